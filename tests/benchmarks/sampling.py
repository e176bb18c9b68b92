"""Sample Images against a bare loop over the same network, which draws the same noise for every sample."""

from __future__ import annotations

import contextlib
import os

import torch
from trilemma import host
from trilemma.models.files import catalog
from trilemma.models.generators.binding import Bound
from trilemma.models.generators.gan.stylegan2.generator import StyleGAN2Generator
from trilemma.models.generators.loading import load_generator
from trilemma.nodes import NODE_CLASS_MAPPINGS
from trilemma.tests.benchmarks.timing import Comparison, compare

COUNT = 1000
BATCH = 50
REPEATS = 7
STARTER = "starter emoji stylegan2"
AT_LEAST = 1 / 1.05
"""The node may cost 5 % more than the loop."""


def bare_loop(generator: StyleGAN2Generator, count: int = COUNT) -> torch.Tensor:
    """Samples 0 to `count` - 1 of seed 0, [count, H, W, 3], by the network's own calls."""
    network = generator.network
    batches = []
    for first in range(0, count, BATCH):
        streams = [torch.Generator().manual_seed(seed) for seed in range(first, min(first + BATCH, count))]
        z = torch.stack([torch.randn(network.sizes.z_dim, generator=stream) for stream in streams])
        classes = network.sizes.c_dim
        labels = torch.tensor([int(torch.randint(classes, (1,), generator=stream)) for stream in streams])
        noise = [
            torch.stack([torch.randn(1, side, side, generator=stream) for stream in streams])
            for side in network.noise_sides
        ]
        images = network(network.styles(z, labels), noise)
        batches.append(((images + 1) / 2).clamp(0, 1).permute(0, 2, 3, 1))
    return torch.cat(batches)


def compare_sampling(generator: StyleGAN2Generator, count: int = COUNT, repeats: int = REPEATS) -> Comparison:
    """The node's time beside the loop's; both give the same images."""
    handle = host.hold(Bound(generator), generator.modules)
    node = NODE_CLASS_MAPPINGS["TrilemmaSampleImages"]()

    def through_the_node() -> torch.Tensor:
        with open(os.devnull, "w") as nowhere, contextlib.redirect_stderr(nowhere):
            return node.run(handle, count, 0, BATCH)[0]

    with torch.inference_mode():
        expected = bare_loop(generator, count)
        torch.testing.assert_close(through_the_node(), expected, rtol=0, atol=1e-5)
        return compare(lambda: bare_loop(generator, count), through_the_node, repeats)


def rows() -> list[tuple[str, Comparison, float]]:
    """What is compared, the times, and the least ratio that is promised."""
    generator = load_generator(catalog.starter_folder("generator", STARTER))
    return [(f"Sample Images, {COUNT} of {STARTER}", compare_sampling(generator), AT_LEAST)]
