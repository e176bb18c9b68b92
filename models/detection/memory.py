"""How much memory a Grounding DINO takes while it looks at pictures."""

from __future__ import annotations

from math import ceil
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from transformers import GroundingDinoConfig

FLOAT_BYTES = 4
STRIDES = (8, 16, 32, 64)


def activation_bytes(config: GroundingDinoConfig, batch_size: int, height: int, width: int) -> int:
    """Estimated peak of the activations, in bytes, for inputs [batch_size, 3, height, width] in float32.

    The peak lies in deformable attention, which holds three copies of the features sampled at every level and point:
    in the encoder for every cell, or, for small pictures, in the decoder for every query beside the queries' attention
    to one another. The constants are what else was counted to be alive then, in features per cell or query; counted
    on Swin-T, Swin-B and the starter detector, from 3 tokens (estimate at most 8 % high) to 256 (20 % low).
    """
    cells = sum(ceil(height / stride) * ceil(width / stride) for stride in STRIDES[: config.num_feature_levels])
    feature = config.d_model * FLOAT_BYTES
    levels, queries = config.num_feature_levels, config.num_queries
    encoder = cells * (3 * levels * config.encoder_n_points + 18) * feature
    decoder = (
        cells * 14 * feature
        + queries * (3 * levels * config.decoder_n_points + 16) * feature
        + queries**2 * config.decoder_attention_heads * FLOAT_BYTES
    )
    return batch_size * max(encoder, decoder)
