"""How much memory GLIDE's networks need beside their weights."""

from __future__ import annotations

from ..adm.memory import peak_floats
from .stages import SCALE, Glide


def stage_bytes(glide: Glide, rows: int, batch_size: int, side: int) -> int:
    """The larger of what small pictures of this side need, for so many rows, and large ones, for so many samples."""
    small = rows * peak_floats(glide.base.sizes, side)
    large = batch_size * peak_floats(glide.upsampler.sizes, SCALE * side)
    return int(max(small, large) * glide.base.positional_embedding.dtype.itemsize)
