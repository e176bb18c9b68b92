"""Images to latents and back, in batches, at sizes that the model takes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final, Literal

import torch

from ..errors import BadInput
from ..pictures.images import rgb
from ..pictures.resizing import FITS, Fit, fit
from ..steps import OnStep, quiet
from .base import Descriptor, Latents, SampleRequest
from .binding import Bound

Resize = Fit | Literal["none"]
RESIZES: Final = (*FITS, "none")


def fitted(images: torch.Tensor, descriptor: Descriptor, resize: Resize, on_step: OnStep = quiet) -> torch.Tensor:
    """Images [N, H, W, 3 or 4] at a size that the model encodes: float32 [N, h, w, 3], 0..1.

    A model of one size gets that, one that takes the multiples of a size the nearest; see `resizing.fit` for the ways.
    Images that have it already stay as they are. on_step: counts images that were brought to it.

    Raises:
        BadInput: no images, values not finite, or another size and `resize` is "none".
    """
    images = rgb(images).clamp(0, 1).cpu()
    size = tuple(images.shape[1:3])
    step = descriptor.size_multiple
    height, width = descriptor.height, descriptor.width
    if step:
        height, width = (max(1, round(side / step)) * step for side in size)
    if size == (height, width):
        return images
    if resize == "none":
        takes = f"sizes that {step} divides" if step else f"{width} x {height} pixels"
        raise BadInput(
            f"image: {size[1]} x {size[0]} pixels, but {descriptor.architecture} takes {takes}; choose a way to resize."
        )
    brought = torch.empty(len(images), height, width, 3)
    for place, image in enumerate(images):
        brought[place] = fit(image, height, width, resize)
        on_step(place + 1, None)
    return brought


def scale_of_images(descriptor: Descriptor, images: torch.Tensor) -> float:
    """How many times the descriptor's pixels an image of the batch has."""
    return images.shape[1] * images.shape[2] / (descriptor.height * descriptor.width)


def scale_of_latents(descriptor: Descriptor, latents: Latents) -> float:
    """How many times the descriptor's pixels a picture of these latents has."""
    if not descriptor.size_multiple:
        return 1.0
    return latents.values[0].numel() / math.prod(descriptor.latent_shape)


def encode(bound: Bound, images: torch.Tensor, batch_size: int, on_step: OnStep = quiet) -> Latents:
    """The latents of fitted images, [N, ...]; `on_step` counts images."""
    parts = []
    with torch.no_grad():
        for batch in images.split(batch_size):
            parts.append(bound.generator.encode(batch))
            on_step(sum(len(part.values) for part in parts), None)
    return parts[0]._replace(values=torch.cat([part.values for part in parts]))


def decode(
    bound: Bound, latents: Latents, requests: Sequence[SampleRequest], batch_size: int, on_step: OnStep = quiet
) -> torch.Tensor:
    """The pictures of latents, one request to each: float32 [N, H, W, 3], 0..1.

    on_step: as in `binding.sample`.

    Raises:
        BadInput: the latents belong to another model.
    """
    generator, settings = bound.generator, bound.settings
    if latents.identity != generator.identity:
        raise BadInput(
            f"latent: it belongs to another model than this {generator.descriptor.architecture}; decode it with the "
            "generator that encoded it."
        )
    count, pictures = len(latents.values), torch.empty(0)
    evaluations = generator.evaluations(settings)
    for start in range(0, count, batch_size):
        end = min(start + batch_size, count)

        def report(step: int, preview: torch.Tensor | None = None, start: int = start, end: int = end) -> None:
            on_step(start * evaluations + (end - start) * min(step, evaluations), preview)

        part = latents._replace(values=latents.values[start:end])
        with torch.no_grad():
            images = generator.decode(part, requests[start:end], settings, report)
        if not start:
            pictures = torch.empty(count, *images.shape[1:])
        pictures[start:end] = images
        on_step(end * evaluations, images[-1])
    return pictures
