"""Small pictures drawn anew at a larger size, by a generator that was trained for it."""

from __future__ import annotations

from dataclasses import replace

import torch

from ..steps import OnStep, quiet
from . import noise
from .binding import Bound
from .latents import Resize, fitted


def small(bound: Bound, images: torch.Tensor, resize: Resize, on_step: OnStep = quiet) -> torch.Tensor:
    """Images at the size that the generator enlarges, see `latents.fitted`.

    Raises:
        CannotDo: it enlarges none.
        BadInput: another size, and `resize` is "none".
    """
    generator = bound.generator
    generator.check_can("upsample")
    side = generator.small_side
    return fitted(images, replace(generator.descriptor, height=side, width=side), resize, on_step)


@torch.no_grad()
def upsample(bound: Bound, images: torch.Tensor, seed: int, batch_size: int, on_step: OnStep = quiet) -> torch.Tensor:
    """Images of `small`, [N, h, w, 3], at the generator's size, [N, H, W, 3]. Picture i depends on seed + i and its
    image alone. on_step: counts up to `binding.total_steps`."""
    generator, settings = bound.generator, bound.settings
    evaluations = generator.evaluations(settings)
    requests = noise.requests(len(images), seed, bound.conditions)
    drawn = []
    for start in range(0, len(images), batch_size):
        part = slice(start, start + batch_size)

        def report(step: int, preview: torch.Tensor | None = None, part: slice = part) -> None:
            on_step(part.start * evaluations + len(requests[part]) * step, preview)

        drawn.append(generator.upsample(images[part], requests[part], settings, report))
    return torch.cat(drawn)
