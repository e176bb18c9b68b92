"""Pickle streams taken apart: instructions removed, repeated, moved or exchanged, and their arguments."""

from __future__ import annotations

import pickle
import pickletools
import random
import struct
from collections.abc import Callable
from typing import Final

from trilemma.tests.files.mutants import damage

NAMES: Final = (
    "os\nsystem",
    "builtins\nexec",
    "builtins\ngetattr",
    "operator\nattrgetter",
    "importlib\nimport_module",
    "functools\npartial",
    "torch.hub\nload",
    "torch._utils\n_rebuild_tensor_v2",
    "torch._utils\n_rebuild_sparse_tensor",
    "torch._utils\n_rebuild_parameter",
    "torch._utils\n_rebuild_device_tensor_from_numpy",
    "torch.storage\n_load_from_bytes",
    "torch\nFloatStorage",
    "torch\nByteStorage",
    "torch\nSize",
    "numpy.core.multiarray\n_reconstruct",
    "numpy.core.multiarray\nscalar",
    "numpy._core.numeric\n_frombuffer",
    "numpy\ndtype",
    "numpy\nndarray",
    "collections\nOrderedDict",
    "collections\ndefaultdict",
    "builtins\nbytearray",
    "builtins\ncomplex",
    "builtins\nset",
    "_codecs\nencode",
    "copyreg\n_reconstructor",
)
"""What names are exchanged for: those that the reader makes values of, and those that it must not."""
WIDTHS: Final = {b"K": "<B", b"M": "<H", b"J": "<i", b"q": "<B", b"h": "<B", b"r": "<I", b"j": "<I"}


def parted(raw: bytes) -> list[bytes]:
    """The instructions of all streams that follow each other in the bytes; last, what is behind them."""
    parts: list[bytes] = []
    offset = 0
    while offset < len(raw):
        try:
            places = [place for *_, place in pickletools.genops(raw[offset:])]
        except (ValueError, struct.error, IndexError):
            break
        ends = [*places[1:], places[-1] + 1]
        parts += [raw[offset + start : offset + end] for start, end in zip(places, ends, strict=True)]
        offset += ends[-1]
    return [*parts, raw[offset:]]


def _changed(part: bytes, dice: random.Random) -> bytes:
    code = part[:1]
    if code == pickle.GLOBAL:
        return b"c" + dice.choice(NAMES).encode() + b"\n"
    if code in WIDTHS:
        number = dice.choice((*damage.NUMBERS, int.from_bytes(part[1:], "little") + dice.choice((1, -1))))
        size = struct.calcsize(WIDTHS[code])
        return code + (number % 2 ** (8 * size)).to_bytes(size, "little")
    if code in (pickle.SHORT_BINUNICODE, pickle.BINUNICODE) and dice.random() < 0.5:
        text = dice.choice(NAMES).split("\n")[dice.randrange(2)].encode()
        return b"X" + struct.pack("<I", len(text)) + text
    return damage.set_byte(part, dice) if dice.random() < 0.7 else bytes([dice.randrange(256)]) + part[1:]


def instructions(raw: bytes, dice: random.Random) -> bytes:
    """Some instructions of a stream in another order, number or form."""
    parts = parted(raw)
    for _ in range(dice.choice((1, 1, 2, 4))):
        place = dice.randrange(len(parts))
        end = min(len(parts), place + dice.choice((1, 1, 1, 2, 5, 20)))
        how = dice.randrange(6)
        if how == 0:
            del parts[place:end]
        elif how == 1:
            parts[place:place] = parts[place:end] * dice.choice((1, 1, 3))
        elif how == 2:
            taken = parts[place:end]
            del parts[place:end]
            goal = dice.randrange(len(parts) + 1)
            parts[goal:goal] = taken
        elif how == 3 and len(parts) > 1:
            other = dice.randrange(len(parts))
            parts[place], parts[other] = parts[other], parts[place]
        elif how == 4:
            parts.insert(place, bytes([dice.choice(b"02Rb\x81\x93(tue1NasP\x94")]))
        elif parts[place]:
            parts[place] = _changed(parts[place], dice)
        parts = parts or [b"."]
    return b"".join(parts)


def arguments(raw: bytes, dice: random.Random) -> bytes:
    """Numbers and names of a stream, in their places."""
    parts = parted(raw)
    places = [place for place, part in enumerate(parts) if part[:1] in WIDTHS or part[:1] == pickle.GLOBAL]
    for place in dice.sample(places, min(len(places), dice.choice((1, 1, 2, 3)))):
        parts[place] = _changed(parts[place], dice)
    return b"".join(parts)


ANY: Final[tuple[Callable[[bytes, random.Random], bytes], ...]] = (instructions, instructions, arguments)
