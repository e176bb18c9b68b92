"""How much memory a Grounding DINO takes while it looks at pictures."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .preprocessing import count_cells, strides

if TYPE_CHECKING:
    from transformers import GroundingDinoConfig

FLOAT_BYTES = 4
PICTURE_FLOATS = 240
"""Of the picture and its int64 mask, for each cell."""


def activation_bytes(config: GroundingDinoConfig, batch_size: int, height: int, width: int) -> int:
    """Estimated peak of the activations, in bytes, for inputs [batch_size, 3, height, width] in float32.

    The peak lies in deformable attention, which holds three copies of the features sampled at every level and point:
    in the encoder for every cell, or, for small pictures, in the decoder for every query beside the queries' attention
    to one another. The other numbers are what was counted to be alive then; on Swin-T, Swin-B and the starter the
    estimate is 2 % high at 3 tokens and 20 % low at 256.
    """
    cells = count_cells(height, width, strides(config))
    d_model, queries = config.d_model, config.num_queries
    encoder_samples = config.num_feature_levels * config.encoder_n_points
    decoder_samples = config.num_feature_levels * config.decoder_n_points
    encoder = cells * (
        (3 * encoder_samples + 10) * d_model + 10 * config.encoder_attention_heads * encoder_samples + PICTURE_FLOATS
    )
    decoder = (
        cells * 14 * d_model
        + queries * ((3 * decoder_samples + 10) * d_model + 10 * config.decoder_attention_heads * decoder_samples)
        + 2 * queries**2 * config.decoder_attention_heads
    )
    return batch_size * max(encoder, decoder) * FLOAT_BYTES
