"""What prompts ask for, in the form in which GenEval publishes it: `evaluation_metadata.jsonl`, a record per line."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

import torch

from ...detection.prompt import parse
from ...errors import BadInput
from ...texts import parsed_json

FOLDER: Final = Path(__file__).parent
SHIPPED: Final[Mapping[str, str]] = {"emoji": "emoji.jsonl", "garden scene": "garden_scene.jsonl"}
"""Sets that come with the pack -> their files: prompts of the starter inpainter's names, and what a shipped scene
shows."""
KINDS: Final[Mapping[str, str]] = {
    "single_object": "single object",
    "two_object": "two objects",
    "counting": "counting",
    "colors": "colours",
    "position": "position",
    "color_attr": "colour attribution",
}
"""Tags of records, which are keys of metrics too -> what tables call them; in the published order."""
COLOURS: Final = ("red", "orange", "yellow", "green", "blue", "purple", "pink", "brown", "black", "white")
"""Those that GenEval asks for, and chooses among."""
RELATIONS: Final = ("left of", "right of", "above", "below")
MOST: Final = 16
"""Of a class so many objects count in a picture, as published."""
EXAMPLE: Final = '{"tag": "counting", "include": [{"class": "cat", "count": 2}], "prompt": "two cats"}'


@dataclass(frozen=True)
class Wanted:
    """At least `count` objects of a class. colour: of each of them; empty where any will do.
    relation, target: where each of them is, as of all objects of the entry before with this number; empty, None where
    anywhere will do."""

    name: str
    count: int
    colour: str = ""
    relation: str = ""
    target: int | None = None


@dataclass(frozen=True)
class Unwanted:
    """Fewer than `count` objects of a class."""

    name: str
    count: int


@dataclass(frozen=True)
class Record:
    """What a picture of one prompt has to show. tag: a key of KINDS."""

    tag: str
    include: tuple[Wanted, ...]
    exclude: tuple[Unwanted, ...]
    prompt: str

    @property
    def classes(self) -> tuple[str, ...]:
        """What a detector is asked for, each once."""
        return tuple(dict.fromkeys(each.name for each in (*self.include, *self.exclude)))

    def plain(self) -> dict[str, Any]:
        """The record as it is published."""
        include = [
            {
                "class": each.name,
                "count": each.count,
                **({"color": each.colour} if each.colour else {}),
                **({"position": [each.relation, each.target]} if each.relation else {}),
            }
            for each in self.include
        ]
        exclude = [{"class": each.name, "count": each.count} for each in self.exclude]
        return {
            "tag": self.tag,
            "include": include,
            **({"exclude": exclude} if exclude else {}),
            "prompt": self.prompt,
        }


@cache
def shipped(name: str) -> tuple[Record, ...]:
    """The records of a set of SHIPPED."""
    return read((FOLDER / SHIPPED[name]).read_text(encoding="utf-8"))


def is_text(metadata: str) -> bool:
    """Whether these are records themselves, not the name of their file."""
    return metadata.lstrip("\ufeff \t\r\n").startswith(("{", "["))


def of_kinds(records: Sequence[Record], kinds: str) -> tuple[Record, ...]:
    """Those of the kinds that are named, separated by commas, by their tags; empty keeps all.

    Raises:
        BadInput: there is no such kind, or no record of it.
    """
    wanted = [kind.strip() for kind in kinds.split(",") if kind.strip()]
    for kind in wanted:
        if kind not in KINDS:
            raise BadInput(f"kinds: there is no {kind!r}; choose among {', '.join(KINDS)}.")
    kept = tuple(record for record in records if not wanted or record.tag in wanted)
    if not kept:
        raise BadInput(f"kinds: no prompt of the set is of {', '.join(wanted)}; leave it empty for all.")
    return kept


def matched(images: torch.Tensor, records: Sequence[Record]) -> tuple[torch.Tensor, tuple[Record, ...]]:
    """As many images [N, H, W, C] as records: image i has record i, and the first again after the last; a single image
    is held against all records.

    Raises:
        BadInput: more records than images, where there are several.
    """
    if len(images) == 1:
        return images.expand(len(records), -1, -1, -1), tuple(records)
    if len(records) > len(images):
        raise BadInput(
            f"images: {len(images)} for {len(records)} prompts; draw at least one by each, or keep fewer prompts."
        )
    return images, tuple(records[index % len(records)] for index in range(len(images)))


def write(records: Sequence[Record]) -> str:
    """As `read` takes them, one to a line."""
    return "\n".join(json.dumps(record.plain(), ensure_ascii=False) for record in records)


def read(text: str) -> tuple[Record, ...]:
    """Records, one to a line, or a JSON list of them.

    Raises:
        BadInput: there is none, or one is not as it should be; names the record and what is wrong with it.
    """
    text = text.lstrip("\ufeff")
    if not text.strip():
        raise BadInput(f"metadata: it is empty; give records, one to a line, such as {EXAMPLE}")
    return tuple(_record(told, f"metadata: record {number}") for number, told in enumerate(_values(text), start=1))


def _values(text: str) -> list[Any]:
    try:
        value = parsed_json(text)
        return value if isinstance(value, list) else [value]
    except ValueError:
        pass  # several lines, each a value of its own
    values = []
    # A prompt may hold what str.splitlines takes for the end of a line, such as U+2028.
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            try:
                values.append(parsed_json(line))
            except ValueError as error:
                raise BadInput(f"metadata: line {number} is no JSON ({error}); write records as {EXAMPLE}") from error
    return values


def _record(told: Any, what: str) -> Record:
    if not isinstance(told, Mapping):
        raise BadInput(f"{what}: expected an object such as {EXAMPLE}, found {type(told).__name__}.")
    tag = told.get("tag")
    if not isinstance(tag, str) or tag not in KINDS:
        raise BadInput(f"{what}: its tag is {tag!r}, which is none of {', '.join(KINDS)}.")
    include, exclude = told.get("include"), told.get("exclude", [])
    if not isinstance(include, list) or not include:
        raise BadInput(f"{what}: include is {include!r}; name what the picture has to show, as in {EXAMPLE}")
    if not isinstance(exclude, list):
        raise BadInput(f"{what}: exclude is {exclude!r}; give a list of classes with counts, or leave it out.")
    prompt = told.get("prompt")
    if not isinstance(prompt, str) or not prompt.strip():
        raise BadInput(f"{what}: its prompt is {prompt!r}; write what the picture was drawn by.")
    wanted = tuple(_wanted(entry, place, f"{what}, include {place}") for place, entry in enumerate(include))
    unwanted = tuple(Unwanted(*_named(entry, f"{what}, exclude {place}")) for place, entry in enumerate(exclude))
    return Record(tag, wanted, unwanted, prompt.strip())


def _wanted(told: Any, place: int, what: str) -> Wanted:
    name, count = _named(told, what)
    colour = told.get("color", "")
    if colour not in ("", *COLOURS):
        raise BadInput(f"{what}: the colour {colour!r} is none of {', '.join(COLOURS)}.")
    if "position" not in told:
        return Wanted(name, count, colour)
    position = told["position"]
    if not isinstance(position, list) or len(position) != 2 or position[0] not in RELATIONS:
        raise BadInput(
            f"{what}: its position is {position!r}; give one of {', '.join(RELATIONS)} and the number of an earlier "
            'entry of include, such as ["left of", 0].'
        )
    target = position[1]
    if type(target) is not int or not 0 <= target < place:
        raise BadInput(f"{what}: its position is relative to {target!r}; give the number of an earlier entry, from 0.")
    return Wanted(name, count, colour, position[0], target)


def _named(told: Any, what: str) -> tuple[str, int]:
    if not isinstance(told, Mapping):
        raise BadInput(f"{what}: expected a class with its count, found {told!r}.")
    name, count = told.get("class"), told.get("count", 1)
    if not isinstance(name, str) or not name.strip() or [phrase.written for phrase in parse(name)] != [_plain(name)]:
        raise BadInput(f"{what}: its class is {name!r}; give one phrase, without full stops or commas.")
    if parse(name)[0].text != _plain(name):
        raise BadInput(f"{what}: its class is {name!r}; how many there shall be stands in its count.")
    if type(count) is not int or count < 1:
        raise BadInput(f"{what}: the count of {name} is {count!r}; give a whole number from 1.")
    if count > MOST:
        raise BadInput(f"{what}: the count of {name} is {count}; of a class {MOST} objects are seen at most.")
    return _plain(name), count


def _plain(name: str) -> str:
    return " ".join(name.split())
