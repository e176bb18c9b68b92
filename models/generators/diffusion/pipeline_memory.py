"""Activation memory of diffusers' pipelines: floats at the peak of reading texts, of a step, and bytes of decoding.

Factors count what a layer holds at once, and are measured where libraries keep more than they use.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from ...diffusion.memory import unet_floats, vae_floats
from ..base import Descriptor

PICTURE_FLOATS: Final = 9
"""Floats per pixel of a batch: the pictures decoded, stacked and scaled, three channels each."""

BUCKETS: Final = 13
"""Floats for each two of T5's positions while it tells their distances, as integers of 8 bytes."""


def t5(config: Any, length: int, rows: int, batch_size: int, masked: bool) -> float:
    """Of a batch in T5, texts and negative ones after each other: the gated feed-forward beside the stream, and what is
    kept of each text; a bias for each two positions, which all texts share, and where ends are `masked` one of each."""
    pairs = config.num_heads + (batch_size * (config.num_heads + 1) if masked else 0)
    widths = batch_size * (7 * config.d_model + 3 * config.d_ff)
    layer = length * (length * pairs + widths)
    return max(BUCKETS * length**2, layer) + batch_size * length * rows * config.d_model


def cross_attending(config: Any, shape: Sequence[int], length: int, rows: int) -> float:
    """Of one sample in a transformer that attends to its texts."""
    width = config.num_attention_heads * config.attention_head_dim
    cells = shape[1] * shape[2] / config.patch_size**2
    return rows * (cells * 11 * width + length * (width * 3 + config.caption_channels))


def joint(config: Any, shape: Sequence[int], length: int, rows: int, text: int = 0) -> float:
    """Of one sample in a transformer that text and picture go through together."""
    width = config.num_attention_heads * config.attention_head_dim
    cells = shape[1] * shape[2] / config.patch_size**2
    return rows * ((cells + length) * 12 * width + length * text)


def unet(config: Any, shape: Sequence[int], rows: int) -> float:
    """Of one sample in a U-Net."""
    return rows * shape[1] * shape[2] * unet_floats(config)


def decoding(vae: Any, descriptor: Descriptor, batch_size: int) -> float:
    """Bytes of the one picture that is decoded at a time, and of the batch of pictures."""
    pixels = descriptor.height * descriptor.width
    return pixels * (vae_floats(vae.config) * vae.dtype.itemsize + batch_size * PICTURE_FLOATS * 4)
