"""Writes locales/en/nodeDefs.json, the English texts of every node, from the node classes: `make names`."""

from __future__ import annotations

import json
from pathlib import Path

ENGLISH = Path(__file__).parent / "en" / "nodeDefs.json"


def definitions(nodes: dict[str, type], titles: dict[str, str]) -> dict:
    """The host's translation table: per node its title, description, and a name and tooltip per input and output."""
    return {name: _definition(node, titles[name]) for name, node in sorted(nodes.items())}


def _definition(node: type, title: str) -> dict:
    sections = node.INPUT_TYPES()
    fields = {**sections.get("required", {}), **sections.get("optional", {})}
    inputs = {name: {"name": name, "tooltip": spec[1]["tooltip"]} for name, spec in fields.items()}
    pairs = zip(node.RETURN_NAMES, node.OUTPUT_TOOLTIPS, strict=True)
    outputs = {str(i): {"name": name, "tooltip": tooltip} for i, (name, tooltip) in enumerate(pairs)}
    return {"display_name": title, "description": node.DESCRIPTION, "inputs": inputs, "outputs": outputs}


def text(nodes: dict[str, type], titles: dict[str, str]) -> str:
    """The file's content."""
    return json.dumps(definitions(nodes, titles), indent=2, ensure_ascii=False) + "\n"
