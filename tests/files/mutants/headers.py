"""Safetensors files taken apart: their list of tensors changed as JSON; what a second reader finds there."""

from __future__ import annotations

import copy
import json
import math
import random
from typing import Any, Final

from trilemma.tests.files.mutants import damage

SIZES: Final = {
    **{"BOOL": 1, "U8": 1, "I8": 1, "F8_E5M2": 1, "F8_E4M3": 1, "F8_E8M0": 1, "I16": 2, "U16": 2, "F16": 2, "BF16": 2},
    **{"I32": 4, "U32": 4, "F32": 4, "C64": 8, "F64": 8, "I64": 8, "U64": 8, "F8_E4M3FNUZ": 1, "F8_E5M2FNUZ": 1},
}
"""Bytes of an element."""


def parted(raw: bytes) -> tuple[dict[str, Any], bytes]:
    end = 8 + int.from_bytes(raw[:8], "little")
    return json.loads(raw[8:end]), raw[end:]


def joined(header: str, numbers: bytes) -> bytes:
    encoded = header.encode("utf-8", "surrogatepass")
    return len(encoded).to_bytes(8, "little") + encoded + numbers


def _value(value: Any, dice: random.Random) -> Any:
    numbers = [*damage.NUMBERS, -1, 1.5, "x", None, [], {}, True]
    if isinstance(value, int):
        return dice.choice([*numbers, value + 1, value - 1, value * 2])
    if isinstance(value, list):
        changed = [*value]
        how = dice.randrange(4)
        if how == 0 or not changed:
            changed.append(dice.choice([0, 1, 2, 2**32, 2**63]))
        elif how == 1:
            changed.pop(dice.randrange(len(changed)))
        elif how == 2:
            dice.shuffle(changed)
        else:
            place = dice.randrange(len(changed))
            changed[place] = _value(changed[place], dice)
        return changed
    return dice.choice([*SIZES, "F33", "", *numbers])


def entries(raw: bytes, dice: random.Random) -> bytes:
    """The list of tensors: fields, entries lost, doubled, renamed or exchanged, sizes whose product overflows."""
    header, numbers = parted(raw)
    changed = copy.deepcopy(header)
    names = [name for name in changed if name != "__metadata__"]
    name, other = dice.choice(names), dice.choice(names)
    how = dice.randrange(9)
    if how == 0:
        del changed[name]
    elif how == 1:
        changed[dice.choice(("x", f"{name}.x", "", "__metadata__", other, "a" * 5000, "\ud800"))] = changed.pop(name)
    elif how == 2:
        changed[f"{name}2"] = copy.deepcopy(changed[name])
    elif how == 3:
        changed[name], changed[other] = changed[other], changed[name]
    elif how == 4:
        key = dice.choice(("dtype", "shape", "data_offsets"))
        changed[name][key] = _value(changed[name][key], dice)
    elif how == 5:
        changed[name]["shape"] = dice.choice(([2**32, 2**32], [2**63, 2], [2**33, 2**31], [0, 2**64 - 1], [1] * 100))
    elif how == 6:
        changed[name].pop(dice.choice(("dtype", "shape", "data_offsets")))
    elif how == 7:
        changed["__metadata__"] = dice.choice(({"trilemma": "{"}, {"trilemma": "[1]"}, {"a": 1}, [], "x", {"a": "b"}))
    else:
        changed[name]["data_offsets"] = changed[other]["data_offsets"]
    text = json.dumps(changed)
    if dice.random() < 0.15:  # the same name twice, which JSON allows
        text = text[:-1] + f", {json.dumps(other)}: {json.dumps(header[other])}}}"
    return joined(text + " " * dice.choice((0, 0, 5)), numbers)


def numbers_only(raw: bytes, dice: random.Random) -> bytes:
    """More or fewer numbers than the list tells."""
    header, numbers = parted(raw)
    change = dice.choice((damage.remove, damage.repeat, damage.insert, damage.move, damage.flip))
    return joined(json.dumps(header), change(numbers, dice) if numbers else b"x")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(dict(pairs)) < len(pairs):
        raise ValueError("a name that is there twice")
    return dict(pairs)


def understood(raw: bytes) -> dict[str, tuple[str, tuple[int, ...], bytes]] | None:
    """Element type, shape and bytes of every tensor; None where the file contradicts itself."""
    end = 8 + int.from_bytes(raw[:8], "little")
    if len(raw) < 8 or end > len(raw):
        return None
    numbers, place, found = raw[end:], 0, {}
    try:
        header = json.loads(raw[8:end], object_pairs_hook=_once)
        header.pop("__metadata__", None)
        for name, entry in sorted(header.items(), key=lambda item: tuple(item[1]["data_offsets"])):
            start, stop = entry["data_offsets"]
            shape = tuple(entry["shape"])
            whole = all(type(side) is int and side >= 0 for side in (start, stop, *shape))
            if not whole or start != place or stop - start != math.prod(shape) * SIZES[entry["dtype"]]:
                return None
            found[name] = (entry["dtype"], shape, numbers[start:stop])
            place = stop
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None
    return found if place == len(numbers) else None
