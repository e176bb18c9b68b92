"""CLIP score (Hessel et al. 2021, arXiv:2104.08718): how well images fit their prompts, from embeddings of any CLIP."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from statistics import fmean
from typing import Final

import torch
import torch.nn.functional as F

from ...errors import BadCheckpoint, BadInput
from ...steps import OnStep, quiet
from ..scores import Score

LARGEST: Final = 1000.0
"""No weight of a trained projection comes near; of memory that nobody has filled, many are beyond."""


def read_prompts(text: str, count: int) -> list[str]:
    """One prompt for each of `count` images: line i of the text for image i, and the first again after the last.

    Raises:
        BadInput: no prompt, or more prompts than images.
    """
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if not lines:
        raise BadInput("prompt: it is empty; write what the images shall show, one prompt, or one to a line.")
    if len(lines) > count:
        raise BadInput(f"prompt: {len(lines)} lines for {count} images; write one line per image, or one for all.")
    return [lines[index % len(lines)] for index in range(count)]


def check_projection(weight: torch.Tensor | None, what: str, files: Sequence[str], in_files: bool) -> None:
    """That a tower's last layer, [D, width], is one that was trained, and not what a loader has put in its place.

    what: the input that brought the tower. files: where it was loaded from, as far as known. in_files: whether one of
    them has the layer. A file without it is told from no other by what the loader makes of it: memory as it lay
    there, at times zeros; older programs put, and saved, the identity.

    Raises:
        BadCheckpoint: the layer is missing, or was never trained.
    """
    remedy = "its scores would be wrong; load a whole CLIP, such as one published for zero-shot classification."
    if weight is None or (files and not in_files):
        where = f" ({', '.join(files)})" if files else ""
        raise BadCheckpoint(f"{what}: this model{where} has no projection into CLIP's common space: {remedy}")
    square = weight.shape[0] == weight.shape[1]
    problem = None
    if not bool(torch.isfinite(weight).all()) or float(weight.abs().max()) > LARGEST:
        problem = "holds what was left in memory"
    elif not bool(weight.any(dim=1).all()):
        problem = "is zero, at least in part"
    elif square and torch.equal(weight.float(), torch.eye(len(weight), device=weight.device)):
        problem = "is the identity, which stands for a missing one"
    if problem:
        raise BadCheckpoint(f"{what}: its projection into CLIP's common space {problem}: {remedy}")


def clip_scores(images: torch.Tensor, texts: torch.Tensor) -> tuple[float, ...]:
    """100 max(cos, 0) of embeddings of images [N, D] and of their prompts [N, D]: 0..100, as torchmetrics scales it.

    The paper scales by 2.5 instead of 100.

    Raises:
        BadInput: embeddings of different sizes.
    """
    if images.shape[1] != texts.shape[1]:
        raise BadInput(
            f"clip, clip_vision: prompts have {texts.shape[1]} features and images {images.shape[1]}; connect the two "
            "halves of the same CLIP."
        )
    cosine = F.cosine_similarity(images.double(), texts.double(), dim=1)
    return tuple((100 * cosine.clamp(min=0)).tolist())


def embed_images(
    images: torch.Tensor,
    embed: Callable[[torch.Tensor], torch.Tensor],
    batch_size: int,
    on_step: OnStep = quiet,
) -> torch.Tensor:
    """Embeddings [N, D] of images [N, H, W, 3], `batch_size` at a time; `on_step` hears how many are done."""
    parts = []
    for start in range(0, len(images), batch_size):
        parts.append(embed(images[start : start + batch_size]))
        on_step(min(start + batch_size, len(images)))
    return torch.cat(parts)


def as_scores(values: Sequence[float]) -> tuple[Score, ...]:
    """The mean, and the standard deviation over the images where there are several."""
    spread = float(torch.tensor(values, dtype=torch.float64).std()) if len(values) > 1 else None
    return (Score("clip_score", fmean(values), spread=spread),)
