"""Prompts and an embedding to objects, by any segmenter, in chunks of bounded memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Final, Literal

import torch

from ..errors import BadInput
from ..pictures.packed import pack
from ..steps import OnStep, quiet
from ..values import Objects, PackedMask, SegmentedObject
from .base import Embedding, MaskLogits, Segmenter
from .prompts import Prompt

MaskChoice = Literal["automatic", "best", "smallest", "middle", "largest"]

MASK_CHOICES: Final[tuple[MaskChoice, ...]] = ("automatic", "best", "smallest", "middle", "largest")
"""Which of a segmenter's masks becomes the object.

Most have one mask for prompts that are clear, and three for prompts that may mean a part or the whole. automatic: as
SAM's authors advise, the best of the three for a lone point, the one mask for all other prompts. best: of the three,
that of the highest predicted IoU. smallest, middle, largest: of the three, by area.
"""

CHUNK_BYTES: Final = 512 * 2**20
"""Activation memory that one chunk of prompts may take."""
CHUNK_PROMPTS: Final = 16
"""Prompts that one chunk may hold, so that a run can be stopped between chunks; it loses no time by that."""


def segment(
    segmenter: Segmenter,
    embedding: Embedding,
    prompts: Sequence[Prompt],
    mask_choice: MaskChoice = "automatic",
    on_step: OnStep = quiet,
    chunk_size: int | None = None,
) -> Objects:
    """One object per prompt of `prompts.read_prompts`, in their order; see `refine`."""
    return refine(segmenter, embedding, prompts, None, mask_choice, on_step, chunk_size)[0]


@torch.no_grad()
def refine(
    segmenter: Segmenter,
    embedding: Embedding,
    prompts: Sequence[Prompt],
    previous: MaskLogits | None,
    mask_choice: MaskChoice = "automatic",
    on_step: OnStep = quiet,
    chunk_size: int | None = None,
) -> tuple[Objects, MaskLogits]:
    """One object per prompt, in their order, and the logits that it was cut from; `on_step` gets the prompts done.

    previous: what an earlier call with as many prompts of the same images gave, which these prompts correct: a mask
    beside each prompt. With it a lone point is no longer ambiguous, so that "automatic" asks for the one mask.

    An object takes box, label and score of its box where it had one; else the mask's bounds, no label, and the
    predicted IoU. Where the network sees nothing, the object's mask is empty. `chunk_size` prompts are decoded at
    once (None: as `prompts_per_chunk` says); the result does not depend on it.

    Raises:
        BadInput: the embedding was made by another segmenter, or the logits are of other prompts, images or networks.
    """
    check_embedding(segmenter, embedding)
    if previous is not None:
        _check_previous(segmenter, embedding, prompts, previous)
    size = (embedding.height, embedding.width)
    objects: list[SegmentedObject] = []
    values = embedding.features[0].new_zeros(0, 0, 0)
    for frame, asked in groupby(prompts, key=lambda prompt: prompt.frame):
        seen = segmenter.seen(embedding, frame)
        for chunk in _chunks([*asked], chunk_size or prompts_per_chunk(segmenter)):
            lone_point = chunk[0].box is None and len(chunk[0].points) == 1 and previous is None
            three = mask_choice != "automatic" or lone_point
            earlier = None if previous is None else previous.values[len(objects) : len(objects) + len(chunk), None]
            logits, ious = segmenter.decode(seen, 0, chunk, three, earlier)
            if not len(values):
                values = values.new_empty(len(prompts), *logits.shape[2:])
            chosen = _choose(logits, ious, mask_choice, segmenter.extent(logits, *size))
            for i, (prompt, mask) in enumerate(zip(chunk, chosen, strict=True)):
                pixels = segmenter.upscale(logits[i, mask], *size) > 0
                within = segmenter.logits_within
                values[len(objects)] = logits[i, mask].clamp(-within, within)
                objects.append(_object(prompt, pack(pixels), float(ious[i, mask])))
            on_step(len(objects))
    frames = tuple(prompt.frame for prompt in prompts)
    return Objects(tuple(objects), embedding.frames, *size), MaskLogits(values, frames, *size, segmenter.identity)


def _check_previous(
    segmenter: Segmenter, embedding: Embedding, prompts: Sequence[Prompt], previous: MaskLogits
) -> None:
    if previous.identity != segmenter.identity:
        raise BadInput("logits: another segmenter gave them; connect the node that used this one.")
    if (previous.height, previous.width) != (embedding.height, embedding.width):
        raise BadInput(
            f"logits: they are of images of {previous.width} x {previous.height} pixels, and these have "
            f"{embedding.width} x {embedding.height}; connect those of the same images."
        )
    if previous.frames != tuple(prompt.frame for prompt in prompts):
        raise BadInput(
            f"logits: they are of {len(previous.frames)} objects, and {len(prompts)} are asked for, or in other "
            "images; ask again for as many objects in each image, in the same order."
        )


def check_embedding(segmenter: Segmenter, embedding: Embedding) -> None:
    """Raise BadInput when another network made the embedding."""
    if embedding.identity != segmenter.identity:
        raise BadInput(
            "embedding: it was made by another segmenter; connect this node to the segmenter that Encode Image used."
        )


def _chunks(prompts: Sequence[Prompt], chunk_size: int) -> Iterator[list[Prompt]]:
    """Runs of an image's prompts that the decoder takes as one tensor: with as many points each."""
    for _, run in groupby(prompts, key=lambda prompt: (prompt.box is None, len(prompt.points))):
        alike = list(run)
        yield from (alike[start : start + chunk_size] for start in range(0, len(alike), chunk_size))


def _choose(logits: torch.Tensor, ious: torch.Tensor, choice: MaskChoice, extent: tuple[int, int]) -> list[int]:
    """Which of the M masks serves each prompt; areas are compared at the decoder's resolution, without the padding."""
    if choice in ("automatic", "best"):
        return ious.argmax(dim=1).tolist()
    areas = (logits[..., : extent[0], : extent[1]] > 0).sum(dim=(2, 3))
    rank = {"smallest": 0, "middle": areas.shape[1] // 2, "largest": areas.shape[1] - 1}[choice]
    return areas.argsort(dim=1, stable=True)[:, rank].tolist()


def _object(prompt: Prompt, mask: PackedMask, predicted_iou: float) -> SegmentedObject:
    score = min(max(predicted_iou, 0.0), 1.0)
    if prompt.box is None:
        return SegmentedObject(prompt.frame, mask_bounds(mask), "", score, mask)
    box = prompt.box
    bounds = (float(box["x"]), float(box["y"]), float(box["width"]), float(box["height"]))
    return SegmentedObject(prompt.frame, bounds, str(box.get("label", "")), float(box.get("score", score)), mask)


def mask_bounds(mask: PackedMask) -> tuple[float, float, float, float]:
    """x, y, width, height of the mask's tight bounds in pixels; zeros for an empty mask."""
    return (float(mask.x), float(mask.y), float(mask.width), float(mask.bits.shape[0]))


def prompts_per_chunk(segmenter: Segmenter) -> int:
    """As many prompts as the decoder answers within `CHUNK_BYTES`, at most CHUNK_PROMPTS."""
    return max(1, min(CHUNK_PROMPTS, CHUNK_BYTES // segmenter.prompt_bytes()))


def memory_bytes(segmenter: Segmenter, embedding: Embedding, prompts: int) -> int:
    """Activation memory of `segment` and `segment_everything`, so many prompts at once; as `Segmenter.decode_bytes`."""
    decoding = segmenter.decode_bytes(prompts, embedding.height, embedding.width)
    return max(decoding, segmenter.encode_bytes(1) if len(embedding.later) else 0)
