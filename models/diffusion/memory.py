"""How much memory the networks need beside their weights."""

from __future__ import annotations

from typing import Any, Final

FEED_FORWARD: Final = 16
"""Widths of a gated feed-forward layer at its peak: both halves of 4 widths projected, the gate, and the product."""
ATTENTION: Final = 7
"""Widths of an attention layer on its own: input, normalised, queries, keys, values, output, and the input again."""
BLOCK: Final = 4
"""Widths that a transformer block holds meanwhile: its input, the residual stream twice, and the normalised one."""


def unet_floats(config: Any) -> float:
    """Peak floats per latent cell of a U-Net of diffusers with this configuration, with text or without.

    On the way up each level holds all outputs on the way down that are still to join. A level either joins its input
    with one of them and normalises and activates both, or feeds it forward.
    """
    widths = list(config.block_out_channels)
    layers = config.layers_per_block
    peak = joined = 0.0
    for level, (width, below) in enumerate(zip(widths, widths[1:] + widths[-1:], strict=True)):
        share = 4.0**-level
        joined += (layers + 1) * width * share
        needs = below + 3 * (width + below)
        if config.up_block_types[-1 - level].startswith("CrossAttn"):
            needs = max(needs, below + (FEED_FORWARD + BLOCK) * width)
        elif config.up_block_types[-1 - level].startswith("Attn"):
            needs = max(needs, ATTENTION * width)
        peak = max(peak, joined + needs * share)
    return peak


def vae_floats(config: Any) -> int:
    """Peak floats per pixel of the decoder's or encoder's layers at full resolution.

    A residual block holds its input, normalised and activated; the last level also that of the level below.
    """
    if "encoder_block_out_channels" in config:
        return 3 * config.block_out_channels[0] + 3
    top, below = config.block_out_channels[0], config.block_out_channels[min(1, len(config.block_out_channels) - 1)]
    return max(3 * below, below + 3 * top, 4 * top)
