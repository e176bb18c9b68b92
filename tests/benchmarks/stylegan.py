"""StyleGAN2 and StyleGAN3 beside their authors' reference operations, under the same random weights."""

from __future__ import annotations

from typing import Final

import torch
from torch import nn
from trilemma.models.generators.gan.stylegan2 import network as second
from trilemma.models.generators.gan.stylegan3.design import Sizes, published
from trilemma.models.generators.gan.stylegan3.network import StyleGAN3
from trilemma.tests.benchmarks import stylegan2_reference, stylegan3_reference
from trilemma.tests.benchmarks.timing import Comparison, compare_results

SIDE: Final = 256
COUNT: Final = 8
SECOND: Final = second.Sizes(512, 0, 512, 8, (512, 512, 512, 512, 256, 128, 64), 3)
"""The official configuration for 256 pixels (paper256)."""
SECOND_AT_LEAST, THIRD_AT_LEAST = 1.7, 2.0
SAME: Final = 1e-4
"""Largest difference of two pictures, whose values are about -1..1."""


def prepared(network: nn.Module) -> nn.Module:
    """For inference."""
    return network.eval().requires_grad_(False)


def compare_second(sizes: second.Sizes, repeats: int = 2) -> Comparison:
    """Eight pictures of StyleGAN2 from their w, with noise of their own; the same pictures."""
    torch.manual_seed(0)
    network = second.StyleGAN2(sizes)
    prepared(network)
    for convolution in network.synthesis.convolutions:
        convolution.noise_strength.fill_(0.1)
    ws = network.styles(torch.randn(COUNT, sizes.z_dim))
    noise = [torch.randn(COUNT, 1, side, side) for side in network.noise_sides]
    times, expected, found = compare_results(
        lambda: stylegan2_reference.synthesize(network, ws, noise), lambda: network(ws, noise), repeats
    )
    torch.testing.assert_close(found, expected, rtol=0, atol=SAME * float(expected.abs().max().clamp(min=1)))
    return times


def compare_third(sizes: Sizes, repeats: int = 2) -> Comparison:
    """One picture of StyleGAN3 from its w; the same picture."""
    torch.manual_seed(0)
    network = StyleGAN3(sizes)
    prepared(network)
    ws = network.styles(torch.randn(1, sizes.z_dim))
    times, expected, found = compare_results(
        lambda: stylegan3_reference.synthesize(network, ws), lambda: network(ws), repeats
    )
    torch.testing.assert_close(found, expected, rtol=0, atol=SAME)
    return times


@torch.inference_mode()
def rows() -> list[tuple[str, Comparison, float]]:
    """What is compared, the times, and the least ratio that is promised."""
    return [
        (f"StyleGAN2, {COUNT} pictures of {SIDE} px", compare_second(SECOND), SECOND_AT_LEAST),
        (f"StyleGAN3-t, a picture of {SIDE} px", compare_third(published(SIDE)), THIRD_AT_LEAST),
    ]
