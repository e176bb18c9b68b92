"""The plain values that stand beside weights in a pickle, as JSON knows them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np

from .unpickling import Global, Inert, NumpyDtype, stands_for_tensor

MAX_DEPTH: Final = 64
MAX_VALUES: Final = 50_000
MAX_ELEMENTS: Final = 256
"""Elements of an array that counts as a setting."""


def plain_entries(entries: Mapping[Any, Any]) -> dict[str, Any]:
    """Those entries that hold no tensor, made of what JSON knows: texts, numbers, truth values, None, lists, dicts.

    Objects become the dict of their attributes, or what they were made from; where those say nothing, their name.
    """
    found = {}
    for key, value in entries.items():
        try:
            found[str(key) if isinstance(key, (str, int)) else "?"] = _plain(value, 0, [MAX_VALUES])
        except _NotPlainError:
            continue
    found.pop("?", None)
    return found


class _NotPlainError(Exception):
    """A value holds tensors, or has no end."""


def _plain(value: Any, depth: int, left: list[int]) -> Any:
    left[0] -= 1
    if isinstance(value, np.ndarray) and value.size <= MAX_ELEMENTS and value.dtype.kind != "V":
        value = value.tolist()
    if depth > MAX_DEPTH or left[0] < 0 or stands_for_tensor(value) or isinstance(value, np.ndarray):
        raise _NotPlainError
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_plain(part, depth + 1, left) for part in value]
    if isinstance(value, dict):
        return {_key(key): _plain(part, depth + 1, left) for key, part in value.items()}
    if isinstance(value, Inert):
        return _plain_object(value, depth, left)
    return str(value) if isinstance(value, (Global, NumpyDtype)) else type(value).__name__


def _key(key: Any) -> str:
    return str(key) if isinstance(key, (str, int, float, Global)) else type(key).__name__


def _plain_object(value: Inert, depth: int, left: list[int]) -> Any:
    if value.cls.module.partition(".")[0] == "omegaconf" and isinstance(value.state, dict):
        # A node of a configuration also refers to its parent.
        inner = value.state.get("_content", value.state.get("_val"))
        return _plain(inner, depth + 1, left)
    for inside in (value.items, value.elements, value.state):
        if inside and isinstance(inside, (dict, list)):
            return _plain(inside, depth + 1, left)
    if value.args:
        return _plain(value.args[0] if len(value.args) == 1 else value.args, depth + 1, left)
    return str(value.cls)
