"""COCO's run-length encoding of masks, in its compressed and its plain form."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from ...errors import BadInput


def encode(mask: torch.Tensor) -> str:
    """A bool mask [H, W] as text: the lengths of its runs down the columns, from the left, of 0 first."""
    flat = mask.cpu().numpy().T.ravel()
    edges = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    lengths = np.diff(np.concatenate([[0], edges, [flat.size]])).tolist()
    return to_text([0, *lengths] if flat.size and flat[0] else lengths)


def to_text(lengths: Sequence[int]) -> str:
    """From the third on, the difference from the one before the last; each in digits of five bits, the lowest first,
    as characters from "0" on, with a sixth bit where more follow. The last digit carries the sign."""
    text = []
    for place, length in enumerate(lengths):
        value = length - lengths[place - 2] if place > 2 else length
        while True:
            digit, value = value & 31, value >> 5
            last = value == (-1 if digit & 16 else 0)
            text.append(chr(48 + (digit if last else digit | 32)))
            if last:
                break
    return "".join(text)


def from_text(text: str) -> list[int]:
    """The lengths that `to_text` wrote.

    Raises:
        ValueError: it is cut short, or holds other characters.
    """
    lengths: list[int] = []
    value = shift = 0
    for character in text:
        digit = ord(character) - 48
        if not 0 <= digit < 64:
            raise ValueError(character)
        value |= (digit & 31) << shift
        shift += 5
        if digit & 32:
            continue
        if digit & 16:
            value -= 1 << shift
        lengths.append(value + lengths[-2] if len(lengths) > 2 else value)
        value = shift = 0
    if shift:
        raise ValueError(text[-1:])
    return lengths


def decode(encoded: Any, where: str) -> torch.Tensor:
    """The bool mask [H, W] of {"size": [H, W], "counts": text or lengths}.

    Raises:
        BadInput: lengths that do not make up the size; says where.
    """
    try:
        height, width = (int(side) for side in encoded["size"])
        counts = encoded["counts"]
        lengths = from_text(counts) if isinstance(counts, str) else [int(length) for length in counts]
        if height < 0 or width < 0 or min(lengths, default=0) < 0 or sum(lengths) != height * width:
            raise ValueError
    except (KeyError, TypeError, ValueError, OverflowError):
        raise BadInput(f"path: {where} has a mask whose runs do not make up its size; repair the file.") from None
    values = np.arange(len(lengths)) % 2 == 1
    return torch.from_numpy(np.repeat(values, lengths).reshape(width, height).T.copy())
