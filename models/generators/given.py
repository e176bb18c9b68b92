"""Numbers that a picture is drawn from, told apart by what they are."""

from __future__ import annotations

import hashlib
from functools import cached_property

import torch

DIGITS = 16


class Given:
    """A float32 tensor on the CPU, never changed; equal to another of the same shape and numbers.

    source: for a vector the key of what made it, such as `Source.key` of an extractor; empty for images.
    """

    def __init__(self, values: torch.Tensor, source: tuple[str, ...] = ()) -> None:
        self.values = values.detach().float().cpu().contiguous().clone()
        self.source = source

    @cached_property
    def digest(self) -> str:
        """Hexadecimal digits that tell it from others."""
        told = f"{tuple(self.values.shape)} {self.source}".encode()
        return hashlib.sha256(told + self.values.numpy().tobytes()).hexdigest()[:DIGITS]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Given) and self.digest == other.digest

    def __hash__(self) -> int:
        return hash(self.digest)

    def __repr__(self) -> str:
        return f"Given({' x '.join(map(str, self.values.shape))}, {self.digest})"
