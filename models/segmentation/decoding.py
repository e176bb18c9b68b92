"""Prompts and an embedding to masks: SAM's decoder, in chunks of bounded memory."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Final, Literal

import torch
import torch.nn.functional as F

from ..errors import BadInput
from ..pictures.boxes import corners
from ..pictures.packed import pack
from ..values import Objects, PackedMask, SegmentedObject
from .architecture import SamConfig
from .prompts import Prompt
from .sam import Embedding, OnStep, Segmenter, input_size, quiet

MaskChoice = Literal["automatic", "best", "smallest", "middle", "largest"]

MASK_CHOICES: Final[tuple[MaskChoice, ...]] = ("automatic", "best", "smallest", "middle", "largest")
"""Which of SAM's masks becomes the object.

SAM has one mask for prompts that are clear, and three for prompts that may mean a part or the whole. automatic: as
its authors advise, the best of the three for a lone point, the one mask for all other prompts. best: of the three,
that of the highest predicted IoU. smallest, middle, largest: of the three, by area.
"""

CHUNK_BYTES: Final = 512 * 2**20
"""Activation memory that one chunk of prompts may take."""
CHUNK_PROMPTS: Final = 16
"""Prompts that one chunk may hold: as many as a published SAM has room for. More leave a CPU's caches, at a loss of
time that tests/benchmarks/segmentation.py measures."""


@torch.no_grad()
def segment(
    segmenter: Segmenter,
    embedding: Embedding,
    prompts: Sequence[Prompt],
    mask_choice: MaskChoice = "automatic",
    on_step: OnStep = quiet,
    chunk_size: int | None = None,
) -> Objects:
    """One object per prompt of `prompts.read_prompts`, in their order; `on_step` gets the prompts done so far.

    An object takes box, label and score of its box where it had one; else the mask's bounds, no label, and the
    predicted IoU. Where the network sees nothing, the object's mask is empty. `chunk_size` prompts are decoded at
    once (None: as `prompts_per_chunk` says); the result does not depend on it.

    Raises:
        BadInput: the embedding was made by another segmenter.
    """
    check_embedding(segmenter, embedding)
    size = (embedding.height, embedding.width)
    objects: list[SegmentedObject] = []
    for chunk in _chunks(prompts, chunk_size or prompts_per_chunk(segmenter.config)):
        lone_point = chunk[0].box is None and len(chunk[0].points) == 1
        three = mask_choice != "automatic" or lone_point
        logits, ious = decode(segmenter, embedding.features[chunk[0].frame], chunk, size, three)
        chosen = _choose(segmenter.config, logits, ious, mask_choice, size)
        for i, (prompt, mask) in enumerate(zip(chunk, chosen, strict=True)):
            pixels = upscale(segmenter.config, logits[i, mask], size) > 0
            objects.append(_object(prompt, pack(pixels), float(ious[i, mask])))
        on_step(len(objects))
    return Objects(tuple(objects), len(embedding.features), *size)


def check_embedding(segmenter: Segmenter, embedding: Embedding) -> None:
    """Raise BadInput when another network made the embedding."""
    if embedding.identity != segmenter.identity:
        raise BadInput(
            "embedding: it was made by another segmenter; connect this node to the segmenter that Encode Image used."
        )


def decode(
    segmenter: Segmenter, features: torch.Tensor, prompts: Sequence[Prompt], size: tuple[int, int], three: bool
) -> tuple[torch.Tensor, torch.Tensor]:
    """SAM's answer to N prompts of one image: mask logits [N, M, 4 * grid, 4 * grid] and predicted IoU [N, M].

    features: [C, grid, grid] of the image, whose height and width in pixels are `size`. The prompts all have boxes or
    none has, and all have the same number of points. M is 1, or the number of multimasks when `three`.
    """
    device = next(segmenter.mask_decoder.parameters()).device
    input_height, input_width = input_size(segmenter.config, *size)
    scale = torch.tensor([input_width / size[1], input_height / size[0]], dtype=torch.float64)
    points = boxes = None
    if prompts[0].points:
        positions = torch.tensor([[(point.x, point.y) for point in prompt.points] for prompt in prompts]) * scale
        labels = torch.tensor([[point.label for point in prompt.points] for prompt in prompts])
        points = (positions.float().to(device), labels.to(device))
    if prompts[0].box is not None:
        boxes = (corners([prompt.box for prompt in prompts]) * scale.repeat(2)).float().to(device)
    sparse, dense = segmenter.prompt_encoder(points=points, boxes=boxes, masks=None)
    return segmenter.mask_decoder(
        image_embeddings=features[None].to(device),
        image_pe=segmenter.prompt_encoder.get_dense_pe(),
        sparse_prompt_embeddings=sparse,
        dense_prompt_embeddings=dense,
        multimask_output=three,
    )


def upscale(config: SamConfig, logits: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    """Logits [4 * grid, 4 * grid] of one mask at the image's `size` (height, width), as SAM does it: by way of the
    encoder's input size, bilinear."""
    height, width = input_size(config, *size)
    square = F.interpolate(logits[None, None], (config.image_size, config.image_size), mode="bilinear")
    return F.interpolate(square[..., :height, :width], size, mode="bilinear")[0, 0]


def _chunks(prompts: Sequence[Prompt], chunk_size: int) -> Iterator[list[Prompt]]:
    """Runs of prompts that the decoder takes as one tensor: of one image, with as many points each."""
    for _, run in groupby(prompts, key=lambda prompt: (prompt.frame, prompt.box is None, len(prompt.points))):
        alike = list(run)
        yield from (alike[start : start + chunk_size] for start in range(0, len(alike), chunk_size))


def _choose(
    config: SamConfig, logits: torch.Tensor, ious: torch.Tensor, choice: MaskChoice, size: tuple[int, int]
) -> list[int]:
    """Which of the M masks serves each prompt; areas are compared at the decoder's resolution, without the padding."""
    if choice in ("automatic", "best"):
        return ious.argmax(dim=1).tolist()
    height, width = (math.ceil(side * logits.shape[-1] / config.image_size) for side in input_size(config, *size))
    areas = (logits[..., :height, :width] > 0).sum(dim=(2, 3))
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


def prompts_per_chunk(config: SamConfig) -> int:
    """As many prompts as the decoder answers within `CHUNK_BYTES`, at most CHUNK_PROMPTS."""
    return max(1, min(CHUNK_PROMPTS, CHUNK_BYTES // _bytes_per_prompt(config)))


def decode_bytes(config: SamConfig, prompts: int, height: int, width: int) -> int:
    """Estimated peak of activation memory of `segment` in bytes, `prompts` at once, images of height x width pixels.

    It is reached in the decoder's upscaling of the chunk, or when one mask stands at the image's size.
    """
    logits = prompts * (config.num_multimasks + 1) * 16 * config.grid**2 * 4
    mask = 4 * config.image_size**2 + 5 * height * width
    return max(prompts * _bytes_per_prompt(config), logits + mask)


def _bytes_per_prompt(config: SamConfig) -> int:
    # Measured: 7.2 (many prompts) to 8 (one) float32 values per cell and channel, at all sizes.
    return 30 * config.grid**2 * config.prompt_dim
