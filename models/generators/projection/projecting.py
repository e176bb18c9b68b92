"""Images to latents by optimisation (Karras et al. 2020, arXiv:1912.04958, appendix D).

The latent begins at the mean of many drawn ones. Gaussian noise, which fades out over three quarters of the steps, is
added to it, so that it does not get stuck; Adam's rate rises and falls again. Where layers add noise, their maps are
optimised too, and kept noise, so that the latent does not have to explain what noise can; they are thrown away in the
end.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final, NamedTuple

import torch

from ...steps import OnStep, after, quiet
from .. import noise
from ..base import Latents, SampleRequest
from ..binding import Bound
from .adam import Adam
from .distances import Distance
from .noise_maps import correlation, normalise

STEPS: Final = 1000
RATE: Final = 0.1
RAMP_UP: Final = 0.05
RAMP_DOWN: Final = 0.25
"""Shares of the steps in which the rate rises and falls."""
JITTER: Final = 0.05
"""Of the noise on the latent, relative to the latents' spread."""
JITTERED: Final = 0.75
"""Share of the steps with noise on the latent."""
CORRELATION: Final = 1e5
"""Weight of `noise_maps.correlation`."""
SAMPLES: Final = 10_000
BATCH: Final = 500
SEED: Final = 123
"""Of the samples that tell mean and spread."""
START_STEPS: Final = SAMPLES // BATCH
LAYERS_KEPT: Final = 5.5
"""Memory of a step with its derivative, relative to drawing; 3.6 to 7 were measured."""
SHOWN: Final = 10
"""Steps between previews."""


class Start(NamedTuple):
    """mean: of a generator's settled latents, [1, ...], the same for every layer where they have some. spread: root of
    the mean square of their distance to it, of one layer's part."""

    mean: Latents
    spread: float


class Projection(NamedTuple):
    """latents: [N, ...]. before, after: distances of the pictures of the mean and of these, as last optimised."""

    latents: Latents
    before: tuple[float, ...]
    after: tuple[float, ...]


def start_of(bound: Bound, on_step: OnStep = quiet) -> Start:
    """Mean and spread of SAMPLES latents, drawn as samples are. on_step: counts START_STEPS.

    Raises:
        CannotDo: the generator's pictures have no derivative, or it has no latents.
    """
    generator, settings = bound.generator, bound.settings
    generator.check_can("project")
    layers = generator.spaces[0].layers
    total, squares, drawn = torch.zeros(0), 0.0, None
    for number in range(START_STEPS):
        requests = noise.requests(BATCH, SEED, bound.conditions, number * BATCH)
        with torch.no_grad():
            drawn = generator.settled(generator.latents(requests, settings), settings)
        rows = drawn.values.double()
        rows = rows.flatten(0, 1) if layers else rows
        total = rows.sum(dim=0) + (total if number else 0)
        squares += float(rows.square().sum()) / (layers or 1)
        on_step(number + 1, None)
    assert drawn is not None  # there are samples
    mean = total / (SAMPLES * (layers or 1))
    spread = math.sqrt(max(0.0, squares / SAMPLES - float(mean.square().sum())))
    return Start(drawn._replace(values=mean.float().expand(1, *drawn.values.shape[1:]).clone()), spread)


def project(
    bound: Bound,
    images: torch.Tensor,
    requests: Sequence[SampleRequest],
    start: Start,
    distance: Distance,
    steps: int,
    batch_size: int,
    by_layer: bool = False,
    on_step: OnStep = quiet,
) -> Projection:
    """The latents of images of the generator's size, [N, H, W, 3], 0..1, one request to each.

    by_layer: a part of its own for each layer, where latents have layers. Image i depends on its request alone,
    whatever the batch size. Also runs in a graph's inference mode. on_step: counts the steps of all images.
    """
    found = []
    for first in range(0, len(images), batch_size):
        part = slice(first, first + batch_size)
        # A tensor that inference mode has made takes part in no derivative; a copy made outside does.
        with torch.inference_mode(False), torch.enable_grad():
            given = images[part].clone().movedim(-1, 1).contiguous()
            told = after(on_step, first * steps)
            found.append(_project(bound, given, requests[part], start, distance, steps, by_layer, told))
    latents = found[0].latents._replace(values=torch.cat([each.latents.values for each in found]))
    before, behind = (tuple(value for each in found for value in each[place]) for place in (1, 2))
    return Projection(latents, before, behind)


def report(loss: str, found: Projection, psnr: Sequence[float]) -> str:
    """A line per image."""
    rows = zip(found.before, found.after, psnr, strict=True)
    return "\n".join(
        f"image {index}: {loss} {before:.4f} -> {behind:.4f}, PSNR {value:.2f} dB"
        for index, (before, behind, value) in enumerate(rows)
    )


def _project(
    bound: Bound,
    targets: torch.Tensor,
    requests: Sequence[SampleRequest],
    start: Start,
    distance: Distance,
    steps: int,
    by_layer: bool,
    on_step: OnStep,
) -> Projection:
    generator, settings = bound.generator, bound.settings
    device = next(generator.modules[0].parameters()).device
    targets, count, streams = targets.to(device), len(targets), noise.generators(requests)
    mean = start.mean.values.to(device)
    shared = bool(generator.spaces[0].layers) and not by_layer
    values = (mean[:, :1] if shared else mean).repeat(count, *[1] * (mean.ndim - 1)).requires_grad_()
    maps = [
        noise.normal(streams, (1, side, side)).to(device).requires_grad_() for side in generator.noise_sides(settings)
    ]
    moved = [values, *maps]
    adam, before, lost = Adam(moved), (), torch.zeros(count)
    for step in range(steps):
        share = step / steps
        jitter = start.spread * JITTER * max(0.0, 1 - share / JITTERED) ** 2
        tried = values + jitter * noise.normal(streams, values.shape[1:]).to(device)
        latents = start.mean._replace(values=tried.expand(count, *mean.shape[1:]))
        pictures = _coloured(generator.render(latents, maps, requests, settings))
        lost = distance(pictures, targets)
        whole = lost.sum() + (CORRELATION * correlation(maps).sum() if maps else 0)
        adam.step(torch.autograd.grad(whole, moved), _rate(share))
        normalise(maps)
        before = before or tuple(lost.detach().tolist())
        preview = None
        if step % SHOWN == 0 or step == steps - 1:
            preview = pictures[-1].detach().clamp(0, 1).movedim(0, -1).cpu()
        on_step(count * (step + 1), preview)
    settled = values.detach().expand(count, *mean.shape[1:]).cpu().contiguous()
    return Projection(start.mean._replace(values=settled), before, tuple(lost.detach().tolist()))


def _rate(share: float) -> float:
    """Of Adam, after a share of the steps."""
    down = 0.5 - 0.5 * math.cos(math.pi * min(1.0, (1 - share) / RAMP_DOWN))
    return RATE * down * min(1.0, share / RAMP_UP)


def _coloured(pictures: torch.Tensor) -> torch.Tensor:
    """[N, C, H, W] with three channels: grey in equal planes, without alpha."""
    return pictures.expand(-1, max(3, pictures.shape[1]), -1, -1)[:, :3]
