"""The U-Net of a Stable Diffusion model with all that it is given, as the sampling loop asks it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from . import prompts
from .adapters.control import Steering
from .adapters.regions import Composing
from .prompts import Encoded
from .sampling import Predict
from .stable_diffusion import StableDiffusion


def predictor(
    parts: StableDiffusion,
    rows: Sequence[Encoded],
    height: int,
    width: int,
    around: torch.Tensor | None,
    steering: Steering | None,
    composing: Composing | None = None,
) -> Predict:
    """The network for a batch of these prompts, one per row, of pictures of this size in pixels.

    around: [R, 1 + C, h, w], what an inpainting U-Net sees beside the latents. composing: LoRAs in regions.
    """
    unet: Any = parts.unet
    groups = [
        (places, prompts.unet_inputs(parts, [rows[place] for place in places], height, width))
        for places in _alike(rows, steering is not None)
    ]

    def asked(
        latents: torch.Tensor, time: torch.Tensor, seen: torch.Tensor, places: Sequence[int], given: dict[str, Any]
    ) -> torch.Tensor:
        inputs = given if steering is None else steering.inputs(latents, time, given, places)
        if composing is None:
            return unet(seen.to(unet.dtype), time, **inputs).sample.float()
        with composing.on(unet, places, (seen.shape[2], seen.shape[3])):
            return unet(seen.to(unet.dtype), time, **inputs).sample.float()

    def predict(latents: torch.Tensor, time: torch.Tensor) -> torch.Tensor:
        seen = latents if around is None else torch.cat([latents, around], dim=1)
        if len(groups) == 1:
            answers = asked(latents, time, seen, *groups[0])
        else:
            answers = torch.empty_like(latents)
            for places, given in groups:
                answers[places] = asked(latents[places], time, seen[places], places, given)
        if steering is not None:
            steering.advance()
        return answers

    return predict


def _alike(rows: Sequence[Encoded], steered: bool) -> list[list[int]]:
    """The places of rows that are run together: all, but ControlNets take no mask of what fills up shorter prompts."""
    if not steered:
        return [list(range(len(rows)))]
    found: dict[int, list[int]] = {}
    for place, row in enumerate(rows):
        found.setdefault(len(row.states), []).append(place)
    return list(found.values())
