"""Which files of a folder hold a network's weights, by the names that diffusers and transformers give them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final, NamedTuple

from ..errors import MissingFile

BASES: Final = ("diffusion_pytorch_model", "model", "pytorch_model")
FORMATS: Final = ("safetensors", "bin")
VARIANTS: Final = ("", "ema", "fp32", "fp16", "bf16")
"""What may stand in a name, the best first: weights in full precision, averaged ones. Others come last, such as
`non_ema`, the weights before averaging."""

_NAMED: Final = re.compile(
    rf"(?P<base>{'|'.join(BASES)})(\.(?P<variant>\w+))?"
    r"(-(?P<number>\d{5})-of-(?P<count>\d{5}))?(\.(?P<late>\w+))?"
    rf"\.(?P<format>{'|'.join(FORMATS)})"
)
_INDEX: Final = re.compile(
    rf"(?P<base>{'|'.join(BASES)})(\.(?P<variant>\w+))?\.(?P<format>{'|'.join(FORMATS)})\.index(\.(?P<late>\w+))?\.json"
)
"""diffusers and transformers have put the variant into several places."""


class Weights(NamedTuple):
    """files: all of one state dict. index: tells which tensor lies in which. variant: of their names, or empty."""

    files: tuple[Path, ...]
    index: Path | None
    variant: str


class _Key(NamedTuple):
    """Of weights that belong together, in the order of preference."""

    format: int
    variant: int
    name: str
    base: int

    @classmethod
    def of(cls, match: re.Match[str]) -> _Key:
        name = match["variant"] or match["late"] or ""
        place = VARIANTS.index(name) if name in VARIANTS else len(VARIANTS)
        return cls(FORMATS.index(match["format"]), place, name, BASES.index(match["base"]))


def find_weights(folder: Path) -> Weights | None:
    """The best of the weights in a folder: safetensors before pickles, then by VARIANTS, one file before several.

    None where there are none by the libraries' names. Files that an index names are for its reader to look for.

    Raises:
        MissingFile: the best lie in several files, of which one is missing, and no index tells.
    """
    whole: dict[_Key, Path] = {}
    indices: dict[_Key, Path] = {}
    parts: dict[_Key, dict[int, tuple[int, Path]]] = {}
    for file in sorted(folder.iterdir()):
        if (index := _INDEX.fullmatch(file.name)) is not None:
            indices[_Key.of(index)] = file
        elif (named := _NAMED.fullmatch(file.name)) is not None and named["number"]:
            parts.setdefault(_Key.of(named), {})[int(named["number"])] = (int(named["count"]), file)
        elif named is not None:
            whole[_Key.of(named)] = file
    best = min({*whole, *indices, *parts}, default=None)
    if best is None:
        return None
    if best in whole:
        return Weights((whole[best],), None, best.name)
    found = parts.get(best, {})
    if best not in indices:
        _check_whole(folder, found)
    return Weights(tuple(found[number][1] for number in sorted(found)), indices.get(best), best.name)


def _check_whole(folder: Path, parts: Mapping[int, tuple[int, Path]]) -> None:
    count = max(count for count, _ in parts.values())
    missing = [number for number in range(1, count + 1) if number not in parts]
    if missing:
        _, file = next(iter(parts.values()))
        name = re.sub(r"\d{5}-of-\d{5}", f"{missing[0]:05}-of-{count:05}", file.name)
        raise MissingFile(f"model: {folder.name} lacks {name}, one of the {count} files of its weights; put it there.")
