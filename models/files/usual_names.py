"""The tensor names of networks of usual size whose libraries take seconds to import: data, for messages."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Final

FILE: Final = Path(__file__).with_name("usual_names.json")
"""For each network, rows of numbers, and the names that have each of these rows for their #s."""
NUMBER: Final = re.compile(r"(?<![^.])\d+(?![^.])")


@cache
def usual_names(network: str) -> frozenset[str]:
    """The names in a state dict of this network."""
    return names_of(json.loads(FILE.read_text(encoding="utf-8"))[network])


def names_of(groups: Mapping[str, Iterable[str]]) -> frozenset[str]:
    """What `grouped` was given."""
    return frozenset(
        _filled(name, row.split()) for rows, names in groups.items() for row in rows.split("|") for name in names
    )


def grouped(names: Iterable[str]) -> dict[str, list[str]]:
    """Names as the file keeps them."""
    rows: dict[str, list[str]] = {}
    for name in names:
        rows.setdefault(NUMBER.sub("#", name), []).append(" ".join(NUMBER.findall(name)))
    found: dict[str, list[str]] = {}
    for name, numbers in rows.items():
        found.setdefault("|".join(numbers), []).append(name)
    return found


def _filled(name: str, numbers: list[str]) -> str:
    left = iter(numbers)
    return re.sub("#", lambda match: next(left), name)
