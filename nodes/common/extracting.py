"""What the nodes that take features share: the network in its place, and what of their inputs decides the features."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any

from ... import host
from ...models.scoring.extractors.base import chosen_taps
from ...models.scoring.features.extraction import accumulate, fitting_batch
from ...models.scoring.features.feature_set import Features


def extraction_settings(
    extractor: host.Handle, kept_rows: int, rows_seed: int, sfid: bool, compound_fid: bool
) -> dict[str, Any]:
    """What of the inputs in EXTRACTION_INPUTS decides the features."""
    return {"taps": chosen_taps(extractor.model, sfid, compound_fid), "capacity": kept_rows, "seed": rows_seed}


@contextmanager
def extracting(
    extractor: host.Handle, count: int, batch_size: int, extraction: Mapping[str, Any]
) -> Iterator[Callable[..., Features]]:
    """`accumulate` of that many images, with the network in its place and the node's bar at hand."""
    model = extractor.model
    size = min(batch_size, count) or fitting_batch(model, count)
    with host.placed(extractor, memory=model.memory_bytes(size)), host.progress(count) as on_step:
        yield partial(accumulate, model, batch_size=size, on_step=on_step, halving=host.halving, **extraction)
