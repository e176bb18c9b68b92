"""Pictures whose upper part is given and whose rest a model draws, code by code (Chen et al. 2020; VQGAN)."""

from __future__ import annotations

import torch

from ..errors import BadInput
from ..steps import OnStep, quiet
from . import noise
from .base import Descriptor
from .binding import Bound


def kept_rows(descriptor: Descriptor, share: float) -> tuple[int, int]:
    """How much of a picture stays for a share of it: rows of codes, and the rows of pixels that they are.

    Raises:
        BadInput: nothing would be kept, or nothing drawn.
    """
    rows = descriptor.latent_shape[-2] if descriptor.latent_shape else descriptor.height
    kept = round(share * rows)
    if not 0 < kept < rows:
        raise BadInput(
            f"keep: {share:g} of the model's {rows} rows of codes keeps {kept}; give {1 / rows:.2g} to "
            f"{(rows - 1) / rows:.2g}."
        )
    return kept, kept * descriptor.height // rows


@torch.no_grad()
def complete(
    bound: Bound,
    images: torch.Tensor,
    share: float,
    variants: int,
    seed: int,
    batch_size: int,
    on_step: OnStep = quiet,
) -> torch.Tensor:
    """`variants` pictures for each image [N, H, W, 3] of the model's size, next to each other: [N * variants, H, W, 3].

    Picture i depends on seed + i and its image alone. Kept rows are as the model shows them, through its codes.

    Raises:
        CannotDo: the model draws no pictures code by code.
        BadInput: see `kept_rows`.
    """
    generator, settings = bound.generator, bound.settings
    evaluations = generator.evaluations(settings)
    requests = noise.requests(len(images) * variants, seed, bound.conditions)
    begun = images.repeat_interleave(variants, dim=0)
    drawn = []
    for start in range(0, len(requests), batch_size):
        some = slice(start, start + batch_size)

        def report(step: int, preview: torch.Tensor | None = None, some: slice = some) -> None:
            on_step(some.start * evaluations + len(requests[some]) * step, preview)

        drawn.append(generator.complete(begun[some], share, requests[some], settings, report))
    return torch.cat(drawn)


def with_own_pixels(images: torch.Tensor, completed: torch.Tensor, rows: int) -> torch.Tensor:
    """The completed pictures with the first rows of the images themselves, bit for bit."""
    whole = completed.clone()
    whole[:, :rows] = images.repeat_interleave(len(completed) // len(images), dim=0)[:, :rows]
    return whole
