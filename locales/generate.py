"""Writes the texts of every node in every language: `make names`.

English comes from the node classes. Of every other language a table says what each English text becomes there
(texts.json beside the files that the host reads), so that a text that stands in many nodes is translated once.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
LANGUAGES = ("zh", "zh-TW", "ru")
"""By the host's names: Simplified Chinese, Traditional Chinese, Russian."""


def definitions(nodes: Mapping[str, type], titles: Mapping[str, str]) -> dict[str, Any]:
    """The host's translation table: per node its title, description, and a name and tooltip per input and output."""
    return {name: _definition(node, titles[name]) for name, node in sorted(nodes.items())}


def _definition(node: Any, title: str) -> dict[str, Any]:
    sections = node.INPUT_TYPES()
    fields = {**sections.get("required", {}), **sections.get("optional", {})}
    inputs = {name: {"name": name, "tooltip": spec[1]["tooltip"]} for name, spec in fields.items()}
    pairs = zip(node.RETURN_NAMES, node.OUTPUT_TOOLTIPS, strict=True)
    outputs = {str(i): {"name": name, "tooltip": tooltip} for i, (name, tooltip) in enumerate(pairs)}
    return {"display_name": title, "description": node.DESCRIPTION, "inputs": inputs, "outputs": outputs}


def menus(nodes: Mapping[str, Any]) -> dict[str, Any]:
    """The host's table of menus, which it translates word by word between the slashes."""
    words = {word: word for node in nodes.values() for word in node.CATEGORY.split("/")[1:]}
    return {"nodeCategories": dict(sorted(words.items()))}


def texts(value: Any) -> Iterator[str]:
    """Every text in a host's table, in order."""
    if isinstance(value, str):
        yield value
    else:
        for inner in value.values():
            yield from texts(inner)


def english(nodes: Mapping[str, type], titles: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    """The files that the host reads, by name."""
    return {"main.json": menus(nodes), "nodeDefs.json": definitions(nodes, titles)}


def translated(value: Any, table: Mapping[str, str]) -> Any:
    """A host's table in another language; what has no translation is left out, and the page shows it in English."""
    if isinstance(value, str):
        return table.get(value, "")
    inner = {key: translated(item, table) for key, item in value.items()}
    return {key: item for key, item in inner.items() if item}


def table(language: str) -> dict[str, str]:
    """What each English text becomes in a language; an empty text is still to be translated."""
    return json.loads((HERE / language / "texts.json").read_text(encoding="utf-8"))


def completed(language: str, files: Mapping[str, dict[str, Any]]) -> dict[str, str]:
    """The language's table in the order of the nodes: new texts empty, and without those that no node has any more."""
    known = table(language)
    return {text: known.get(text, "") for text in dict.fromkeys(texts(files))}


def written(value: Mapping[str, Any]) -> str:
    """A file's content."""
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"


def write(nodes: Mapping[str, type], titles: Mapping[str, str]) -> list[str]:
    """Write all files anew, and say, a line each, which texts have no translation and which translations went."""
    files = english(nodes, titles)
    (HERE / "en" / "nodeDefs.json").write_text(written(files["nodeDefs.json"]), encoding="utf-8")
    said = []
    for language in LANGUAGES:
        before, now = table(language), completed(language, files)
        file = HERE / language / "texts.json"
        said += [f"locales/{language}/texts.json: no translation yet of {text!r}" for text in now if not now[text]]
        said += [f"locales/{language}/texts.json: left out {text!r}: {before[text]!r}" for text in before.keys() - now]
        file.write_text(written(now), encoding="utf-8")
        for name, content in files.items():
            (file.parent / name).write_text(written(translated(content, now)), encoding="utf-8")
    return said
