"""What nodes that encode or decode share: the choice of a resize, and batches that fit the device."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, TypeVar

import torch

from ... import host
from ...models.generators.base import Latents, SampleRequest
from ...models.generators.latents import RESIZES, Resize, decode, encode, fitted, scale_of_images, scale_of_latents
from ...models.generators.sampling import fitting_batch
from ...models.steps import OnStep
from . import inputs

T = TypeVar("T")

RESIZE_INPUT: Final = inputs.choice(
    RESIZES,
    "How images of a size that the model does not take are brought to one. crop: cut off what stands out. resize: "
    "change the aspect ratio. pad: add black. none: refuse them.",
    default="crop",
)


def at_its_size(generator: host.Handle, images: torch.Tensor, resize: Resize) -> torch.Tensor:
    """The images at a size that the model encodes, see `latents.fitted`."""
    with host.progress(len(images)) as on_step:
        return fitted(images, generator.model.generator.descriptor, resize, on_step)


def in_batches(generator: host.Handle, count: int, scale: float, run: Callable[[int, OnStep], T], steps: int = 1) -> T:
    """`run(batch_size, on_step)` on the device, with a batch size that fits it.

    count: number of items. scale: pixels of one relative to the descriptor's. steps: that `on_step` counts for each.
    """
    model = generator.model.generator
    batch_size = fitting_batch(model, count, scale)
    memory = int(model.memory_bytes(batch_size) * scale)
    with host.placed(generator, memory=memory), host.progress(count * steps) as on_step:
        return host.halving(lambda size: run(size, on_step), batch_size)


def encoded(generator: host.Handle, images: torch.Tensor) -> Latents:
    """The latents of fitted images."""
    scale = scale_of_images(generator.model.generator.descriptor, images)
    return in_batches(
        generator, len(images), scale, lambda size, on_step: encode(generator.model, images, size, on_step)
    )


def decoded(generator: host.Handle, latents: Latents, requests: Sequence[SampleRequest]) -> torch.Tensor:
    """The pictures of latents, one request to each, where the host keeps values between nodes."""
    bound = generator.model
    images = in_batches(
        generator,
        len(requests),
        scale_of_latents(bound.generator.descriptor, latents),
        lambda size, on_step: decode(bound, latents, requests, size, on_step),
        bound.generator.evaluations(bound.settings),
    )
    return host.intermediate(images)
