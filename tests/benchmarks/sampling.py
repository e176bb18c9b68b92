"""Sample Images against a bare loop over the same network, which draws the same noise for every sample.

Of each family one starter. The loops call the network as one would by hand, batch by batch, and nothing else.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import torch
from trilemma import host
from trilemma.models.files import catalog
from trilemma.models.generators.base import Generator
from trilemma.models.generators.binding import Bound
from trilemma.models.generators.loading import load_generator
from trilemma.nodes import NODE_CLASS_MAPPINGS
from trilemma.tests.benchmarks.timing import Comparison, compare_results

COUNT = 1000
BATCH = 50
AT_LEAST = 1 / 1.05
"""The node may cost 5 % more than the loop."""

Streams = list[torch.Generator]


def _labels(streams: Streams, classes: int) -> torch.Tensor:
    return torch.tensor([int(torch.randint(classes, (1,), generator=stream)) for stream in streams])


def _normal(streams: Streams, *shape: int) -> torch.Tensor:
    return torch.stack([torch.randn(*shape, generator=stream) for stream in streams])


def stylegan2(generator: Any, streams: Streams) -> torch.Tensor:
    """Pictures [N, 3, H, W] in 0..1, as all of these."""
    network = generator.network
    z = _normal(streams, network.sizes.z_dim)
    labels = _labels(streams, network.sizes.c_dim)
    noise = [_normal(streams, 1, side, side) for side in network.noise_sides]
    return (network(network.styles(z, labels), noise) + 1) / 2


def autoencoder(generator: Any, streams: Streams) -> torch.Tensor:
    (network,) = generator.modules
    z = _normal(streams, *generator.descriptor.latent_shape)
    means = generator._prior.means.float()
    return network.pictures(means[_labels(streams, len(means))] + z)


def codes(generator: Any, streams: Streams) -> torch.Tensor:
    coder, prior = generator.modules
    labels = _labels(streams, prior.num_classes)
    rows, columns = prior.grid
    uniforms = torch.stack([torch.rand(rows * columns, generator=each, dtype=torch.float64) for each in streams])
    state = prior.begin(labels)
    drawn = torch.zeros(len(streams), rows * columns, dtype=torch.int64)
    for place in range(rows * columns):
        cumulative = prior.next_logits(state, drawn, place).double().softmax(dim=1).cumsum(dim=1)
        drawn[:, place] = torch.searchsorted(cumulative, uniforms[:, place, None].contiguous())[:, 0]
    return coder.restored(coder.vectors(drawn.view(-1, rows, columns)))


def ddpm(generator: Any, streams: Streams) -> torch.Tensor:
    from diffusers import DDIMScheduler

    (unet,) = generator.modules
    scheduler = DDIMScheduler.from_config(generator.scheduler_config)
    scheduler.set_timesteps(FEW_STEPS["steps"])
    labels = _labels(streams, generator.descriptor.num_classes)
    latents = _normal(streams, *generator.descriptor.latent_shape)
    for time in scheduler.timesteps:
        latents = scheduler.step(unet(latents, time, class_labels=labels).sample, time, latents).prev_sample
    return latents / 2 + 0.5


class Loop(NamedTuple):
    """bare: a batch drawn by hand. options: the node's, where they are not the model's own. repeats: turns."""

    bare: Callable[[Any, Streams], torch.Tensor]
    options: Mapping[str, Any] = {}
    repeats: int = 7


FEW_STEPS: dict[str, Any] = {"steps": 2, "guidance_scale": 1.0}
"""What the node adds does not grow with the steps, so that few of them ask the most of it."""
LOOPS = {
    "starter emoji stylegan2": Loop(stylegan2),
    "starter emoji vae": Loop(autoencoder),
    "starter emoji vqvae transformer": Loop(codes, repeats=7),
    "starter emoji vqvae pixelcnn": Loop(codes, repeats=2),
    "starter emoji ddpm": Loop(ddpm, FEW_STEPS, repeats=2),
}


def bare_loop(generator: Generator, loop: Loop, count: int = COUNT) -> torch.Tensor:
    """Samples 0 to `count` - 1 of seed 0, [count, H, W, 3], by the network's own calls."""
    batches = []
    for first in range(0, count, BATCH):
        streams = [torch.Generator().manual_seed(seed) for seed in range(first, min(first + BATCH, count))]
        batches.append(loop.bare(generator, streams).clamp(0, 1).permute(0, 2, 3, 1))
    return torch.cat(batches)


def compare_sampling(generator: Generator, loop: Loop, count: int = COUNT) -> Comparison:
    """The node's time beside the loop's; both give the same images."""
    handle = host.hold(Bound(generator, loop.options), generator.modules)
    node = NODE_CLASS_MAPPINGS["TrilemmaSampleImages"]()

    def through_the_node(images: int = count) -> torch.Tensor:
        with open(os.devnull, "w") as nowhere, contextlib.redirect_stderr(nowhere):
            return node.run(handle, images, 0, BATCH)["result"][0]

    with torch.inference_mode():
        bare_loop(generator, loop, BATCH)
        through_the_node(BATCH)
        times, expected, found = compare_results(
            lambda: bare_loop(generator, loop, count), through_the_node, loop.repeats
        )
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)
    return times


def rows() -> list[tuple[str, Comparison, float]]:
    """What is compared, the times, and the least ratio that is promised."""
    return [
        (
            f"Sample Images, {COUNT} of {starter}",
            compare_sampling(load_generator(catalog.starter_folder("generator", starter)), loop),
            AT_LEAST,
        )
        for starter, loop in LOOPS.items()
    ]
