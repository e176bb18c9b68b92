"""Images of a batch as samples of a set: what each is called, and where in the set it stands."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import torch

from ...errors import BadInput
from ...generators.records import Record
from ...pictures.images import check_images
from ..extractors.base import eight_bit
from .extraction import Named
from .feature_set import SPLITS
from .keys import hash_keys, name_by_content, name_by_record

BLOCKS: Final = 2**20
"""Places where a batch without records may begin."""
TOGETHER: Final = 16
"""Images that become eight bits at once: the copies on the way would be as large as the batch."""


def of_batch(images: torch.Tensor, records: Sequence[Record] | None = None) -> list[Named]:
    """Samples of images [N, H, W, 3 or 4], 0..1; an alpha channel is ignored.

    records: one per image, as Sample Images gives them. A sample is then called by how it was drawn, and its place is
    its seed, so that runs which follow each other make one set. Without them it is called by its pixels, and its place
    is that in the batch, counted from a number that the first image decides: many small batches fill every split.

    Raises:
        BadInput: no images, values that are not finite, or a record without a seed.
    """
    batch = check_images(images, "images")
    pixels = torch.cat([eight_bit(part) for part in batch.split(TOGETHER)])
    if records is None:
        names = name_by_content(pixels)
        begun = SPLITS * (int(hash_keys(names[:1])) % BLOCKS)
        indices = list(range(begun, begun + len(names)))
    else:
        names, indices = [name_by_record(record) for record in records], [_seed(record) for record in records]
    return [Named(*sample) for sample in zip(names, indices, pixels, strict=True)]


def _seed(record: Record) -> int:
    seed = record.get("seed")
    if not isinstance(seed, int):
        raise BadInput(f"records: expected a seed in every record, found {seed!r}; wire them from Sample Images.")
    # As a place it is kept in 64 bits with a sign.
    return seed % 2**63
