"""Damage that any file can take: bits, bytes, numbers, chunks; nothing is known of the format."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Final

NUMBERS: Final = (0, 1, 2, 127, 128, 255, 256, 2**15, 2**16 - 1, 2**31 - 1, 2**31, 2**32 - 1, 2**62, 2**63, 2**64 - 1)
"""Where readers of lengths and counts go wrong."""


def _chunk(raw: bytes, dice: random.Random) -> tuple[int, int]:
    start = dice.randrange(len(raw))
    return start, min(len(raw), start + dice.choice((1, 1, 2, 4, 8, dice.randrange(1, 200), dice.randrange(1, 2000))))


def flip(raw: bytes, dice: random.Random) -> bytes:
    changed = bytearray(raw)
    for _ in range(dice.choice((1, 1, 1, 2, 5, 20))):
        changed[dice.randrange(len(changed))] ^= 1 << dice.randrange(8)
    return bytes(changed)


def set_byte(raw: bytes, dice: random.Random) -> bytes:
    changed = bytearray(raw)
    for _ in range(dice.choice((1, 1, 3))):
        changed[dice.randrange(len(changed))] = dice.choice((0, 255, dice.randrange(256)))
    return bytes(changed)


def set_number(raw: bytes, dice: random.Random) -> bytes:
    size = dice.choice((1, 2, 4, 8))
    start = dice.randrange(max(1, len(raw) - size))
    number = (dice.choice(NUMBERS) + dice.choice((0, 0, 1, -1))) % 2 ** (8 * size)
    return raw[:start] + number.to_bytes(size, dice.choice(("little", "little", "big"))) + raw[start + size :]


def set_digit(raw: bytes, dice: random.Random) -> bytes:
    """One digit of a text: of a shape, a length, an offset."""
    digits = [place for place, byte in enumerate(raw) if 48 <= byte <= 57]
    if not digits:
        return flip(raw, dice)
    place = dice.choice(digits)
    return raw[:place] + str(dice.randrange(10)).encode() * dice.choice((0, 1, 1, 2)) + raw[place + 1 :]


def remove(raw: bytes, dice: random.Random) -> bytes:
    start, end = _chunk(raw, dice)
    return raw[:start] + raw[end:]


def repeat(raw: bytes, dice: random.Random) -> bytes:
    start, end = _chunk(raw, dice)
    return raw[:end] + raw[start:end] * dice.choice((1, 1, 2, 10)) + raw[end:]


def move(raw: bytes, dice: random.Random) -> bytes:
    start, end = _chunk(raw, dice)
    rest = raw[:start] + raw[end:]
    place = dice.randrange(len(rest) + 1)
    return rest[:place] + raw[start:end] + rest[place:]


def overwrite(raw: bytes, dice: random.Random) -> bytes:
    """A chunk by another one of the same file, or by zeros."""
    start, end = _chunk(raw, dice)
    source = dice.randrange(len(raw))
    new = dice.choice((raw[source : source + end - start], bytes(end - start), dice.randbytes(end - start)))
    return raw[:start] + new + raw[start + len(new) :]


def insert(raw: bytes, dice: random.Random) -> bytes:
    place = dice.randrange(len(raw) + 1)
    return raw[:place] + dice.randbytes(dice.choice((1, 2, 4, 16, 300))) + raw[place:]


def cut(raw: bytes, dice: random.Random) -> bytes:
    size = len(raw)
    return raw[: dice.choice((dice.randrange(size), size - 1, size // 2, dice.randrange(min(64, size))))]


def continued(raw: bytes, dice: random.Random) -> bytes:
    """As when a download goes on at the wrong place."""
    return raw + dice.choice((raw, raw[dice.randrange(len(raw)) :], bytes(100), dice.randbytes(50), b"."))


LENGTH: Final[Sequence[Callable[[bytes, random.Random], bytes]]] = (cut, continued)
"""What leaves the beginning of a file as it was."""
ANY: Final[Sequence[Callable[[bytes, random.Random], bytes]]] = (
    *(flip, flip, set_byte, set_number, set_number, set_digit, remove, repeat, move, overwrite, insert),
    *LENGTH,
)
