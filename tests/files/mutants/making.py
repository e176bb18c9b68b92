"""The mutant of a format that a number stands for, and what must be left of its seed."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

from trilemma.tests.files.mutants import damage, headers, pickles, zips
from trilemma.tests.files.mutants.seeds import SEEDS, Seed

Keeps = Literal["values", "shapes", "what it says", "nothing"]
"""What a load must have of the seed's tensors, where the file is not refused: all of them; their names, shapes and
types; nothing, since there is no redundancy. Or what a second reader finds in the file."""
Change = Callable[[bytes, random.Random], bytes]


class Mutant(NamedTuple):
    """number: from which it is made anew. how: the change's name."""

    number: int
    seed: Seed
    files: dict[str, bytes]
    how: str
    keeps: Keeps


def seeds_of(kind: str, folder: Path) -> list[Seed]:
    return [*SEEDS[kind](folder)]


def mutant(kind: str, number: int, seeds: Sequence[Seed]) -> Mutant:
    """The same one for the same number, whatever was made before."""
    dice = random.Random(f"{kind} {number}")
    seed = seeds[number % len(seeds)]
    if kind == "folder":
        return _of_folder(number, seed, dice)
    ((name, raw),) = seed.files.items()
    if kind in ("archive", "program", "features"):
        how, changed, keeps = _of_archive(seed, raw, dice)
    elif kind == "safetensors":
        change = dice.choice((*damage.ANY, *(headers.entries,) * 8, *(headers.numbers_only,) * 3))
        how, changed, keeps = change.__name__, change(raw, dice), "what it says"
    else:
        changes = damage.ANY if kind == "array" else (*damage.ANY, *pickles.ANY * 3)
        how, changed, keeps = _unsealed(seed, raw, changes, dice)
    return Mutant(number, seed, {name: changed}, how, "nothing" if seed.hostile else keeps)


def _unsealed(seed: Seed, raw: bytes, changes: Sequence[Change], dice: random.Random) -> tuple[str, bytes, Keeps]:
    places = [(raw.index(numbers), len(numbers)) for numbers in seed.numbers if numbers and numbers in raw]
    if places and dice.random() < 0.1:
        start, length = dice.choice(places)
        changed = damage.flip(raw[start : start + length], dice)
        return "numbers", raw[:start] + changed + raw[start + length :], "shapes"
    change = dice.choice(changes)
    return change.__name__, change(raw, dice), "values" if change in damage.LENGTH else "nothing"


def _of_archive(seed: Seed, raw: bytes, dice: random.Random) -> tuple[str, bytes, Keeps]:
    if dice.random() < 0.25:
        suffix = dice.choice((".pkl", "/0", ".npy"))
        if any(part.name.endswith(suffix) and part.content for part in zips.records(raw)):
            changes = (*damage.ANY, *(pickles.ANY * 5 if suffix == ".pkl" else ()))
            change = dice.choice(changes)
            return f"{change.__name__} in {suffix}", zips.within(raw, dice, suffix, change), "nothing"
    if not seed.sealed and dice.random() < 0.5:
        return _unsealed(seed, raw, damage.ANY, dice)
    changes = (*damage.ANY, *zips.BOUND, zips.no_checksums)
    repacked = (zips.doubled, zips.shuffled, zips.lost, zips.renamed)
    change = dice.choice(changes if seed.sealed else repacked)
    return change.__name__, change(raw, dice), "values"


def _of_folder(number: int, seed: Seed, dice: random.Random) -> Mutant:
    files = dict(seed.files)
    name, other = dice.choice([*files]), dice.choice([*files])
    how = dice.choice(("damage", "damage", "damage", "index", "lost", "exchanged", "copied", "renamed"))
    keeps: Keeps = "values"
    index = next((each for each in files if each.endswith(".index.json")), None)
    if how == "index" and index is not None:
        files[index] = json.dumps(_index(json.loads(files[index]), [*files], dice)).encode()
    elif how == "lost":
        del files[name]
    elif how == "exchanged":
        files[name], files[other] = files[other], files[name]
    elif how == "copied":
        files[name] = files[other]
    elif how == "renamed":
        ending = dice.choice((".safetensors", ".bin", ".pth", ".json", ""))
        files[name.rpartition(".")[0] + ending] = files.pop(name)
    else:
        change = dice.choice(damage.ANY)
        how = f"{change.__name__} in {name}"
        files[name] = change(files[name], dice)
        keeps = "nothing" if name.endswith(".safetensors") else "values"
    return Mutant(number, seed, files, how, keeps)


def _index(index: dict, names: list[str], dice: random.Random) -> dict:
    """An index that leads elsewhere, lacks a tensor, or names one more."""
    listed = index["weight_map"]
    tensor = dice.choice([*listed])
    how = dice.randrange(4)
    if how == 0:
        del listed[tensor]
    elif how == 1:
        listed[f"{tensor}.x"] = listed.pop(tensor)
    elif how == 2:
        listed[tensor] = dice.choice((*names, "../x.bin", "/etc/passwd", "C:\\x", "", ".", "x.bin", 5, None, []))
    else:
        index["weight_map"] = dice.choice(([], {}, None, "x", [listed]))
    return index
