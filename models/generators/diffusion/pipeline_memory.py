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

TWO_STREAMS: Final = 12
"""Widths at the peak of a layer of text and of picture, four of them its feed-forward's and four activated."""
ONE_STREAM: Final = 15
"""Of one in which attention and feed-forward stand beside each other."""
LAYER: Final = 14
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


def joint(config: Any, shape: Sequence[int], length: int, rows: int, widths: int = TWO_STREAMS) -> float:
    """Of one sample in a transformer that text and picture go through together. widths: of a layer at its peak."""
    width = config.num_attention_heads * config.attention_head_dim
    cells = shape[1] * shape[2] / config.patch_size**2
    return rows * (cells + length) * widths * width


def codes(config: Any, rows: int) -> float:
    """Of one sample in a transformer that foresees the probability of every code at every place: of both texts, of
    what guidance makes of them, and what is drawn from."""
    layers = rows * LAYER * config.hidden_size
    logits = rows * (config.codebook_size + 5 * config.hidden_size) + 2 * config.codebook_size
    return config.sample_size**2 * max(layers, logits)


def prior(config: Any, rows: int) -> float:
    """Of one sample in a transformer over its prompt's words and what CLIP sees."""
    width, tokens = config.num_attention_heads * config.attention_head_dim, config.num_embeddings
    tokens += config.additional_embeddings
    return rows * tokens * (12 * width + config.num_attention_heads * tokens)


def glm(config: Any, length: int, batch_size: int) -> float:
    """Of a batch in GLM, which keeps the stream behind every layer."""
    return batch_size * length * ((config.num_hidden_layers + 6) * config.hidden_size + 4 * config.intermediate_size)


def unet(config: Any, shape: Sequence[int], rows: int) -> float:
    """Of one sample in a U-Net."""
    return rows * shape[1] * shape[2] * unet_floats(config)


def decoding(vae: Any, descriptor: Descriptor, batch_size: int) -> float:
    """Bytes of the one picture that is decoded at a time, and of the batch of pictures."""
    pixels = descriptor.height * descriptor.width
    return pixels * (vae_floats(vae.config) * vae.dtype.itemsize + batch_size * PICTURE_FLOATS * 4)
