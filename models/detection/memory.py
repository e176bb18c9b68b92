"""How much memory a Grounding DINO takes while it looks at pictures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from .deformable_attention import QUERIES
from .preprocessing import count_cells, strides

if TYPE_CHECKING:
    from transformers import GroundingDinoConfig

FLOAT_BYTES: Final = 4
PICTURE_FLOATS: Final = 240
"""Of the picture and its int64 mask, for each cell."""
PLACED_FLOATS: Final = 22
"""For each sample that is being placed: where, between which cells, and their shares."""


def activation_bytes(config: GroundingDinoConfig, batch_size: int, height: int, width: int) -> int:
    """Estimated peak of the activations, in bytes, for inputs [batch_size, 3, height, width] in float32.

    The peak lies in the encoder, in deformable attention or in the layers after it, whichever are wider; for small
    pictures, in the queries' attention to one another in the decoder. Samples are placed a part of one picture at a
    time. The other numbers are what was counted to be alive then: on Swin-T, the starter and small networks the
    estimate is between 11 % low and 9 % high.
    """
    cells = count_cells(height, width, strides(config))
    d_model, queries = config.d_model, config.num_queries
    samples = config.num_feature_levels * config.encoder_n_points * config.encoder_attention_heads
    attention = batch_size * cells * (11.4 * d_model + 4.65 * samples + PICTURE_FLOATS)
    attention += min(cells, QUERIES) * PLACED_FLOATS * samples
    after = batch_size * cells * (2 * config.encoder_ffn_dim + 8 * d_model + PICTURE_FLOATS)
    decoder = (14 * cells + 10 * queries) * d_model + 2 * queries**2 * config.decoder_attention_heads
    return round(max(attention, after, batch_size * decoder) * FLOAT_BYTES)
