"""Graphs written as calls, and what is shown of them."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any

from trilemma.nodes import NODE_CLASS_MAPPINGS


@dataclass(frozen=True)
class Output:
    """One output of a node: what a link starts from."""

    id: str
    index: int


@dataclass(frozen=True)
class Node(Output):
    """A node of a graph; in the place of a link its first output, and `node[i]` another."""

    def __getitem__(self, index: int) -> Output:
        return Output(self.id, index)


@dataclass(frozen=True)
class Shot:
    """Nodes side by side, as the page draws them, each pulled to a width in its pixels; 0: as wide as it comes."""

    nodes: tuple[Node, ...]
    width: int = 0


@dataclass(frozen=True)
class Results:
    """Pictures `first` to `first + count - 1` that `shown_by` shows, `columns` to a row; without `columns` in one."""

    shown_by: Node
    first: int
    count: int
    columns: int


Part = Shot | Results


_ids = itertools.count(1)
"""Of all graphs: the page remembers by them what nodes have shown."""


class Graph:
    """A graph in its API form that grows by calls: `graph("Condition", generator=loader, text="cat")`.

    runs: false for graphs that want files which do not come with the pack; they are shown without a run.
    """

    def __init__(self, runs: bool = True) -> None:
        self.nodes: dict[str, dict[str, Any]] = {}
        self.runs = runs

    def __call__(self, kind: str, **inputs: Any) -> Node:
        """Adds a node of this pack; required inputs that are not named have their defaults, as the server asks."""
        required = NODE_CLASS_MAPPINGS[f"Trilemma{kind}"].INPUT_TYPES().get("required", {})
        return self.core(f"Trilemma{kind}", **{**_defaults(required), **inputs})

    def core(self, kind: str, **inputs: Any) -> Node:
        """Adds a node of ComfyUI's."""
        node = Node(str(next(_ids)), 0)
        linked = {key: [one.id, one.index] if isinstance(one, Output) else one for key, one in inputs.items()}
        self.nodes[node.id] = {"class_type": kind, "inputs": linked}
        return node

    def images(self, output: Output, first: int = 0, count: int = 1, columns: int = 0) -> Results:
        """The pictures of an output of kind IMAGE."""
        return Results(self.core("PreviewImage", images=output), first, count, columns)

    def masks(self, output: Output, first: int = 0, count: int = 1) -> Results:
        """The masks of an output of kind MASK."""
        return self.images(self.core("MaskToImage", mask=output), first, count)

    def shot(self, *nodes: Node, width: int = 0) -> Shot:
        """The nodes themselves; what nobody asks of the last one is not run, so somebody asks."""
        if self.runs:
            self.core("PreviewAny", source=nodes[-1])
        return Shot(nodes, width)


@dataclass(frozen=True)
class Picture:
    """The picture of a help page: rows of parts, between which arrows are drawn."""

    graph: Graph
    rows: tuple[tuple[Part, ...], ...]


def _defaults(inputs: dict[str, Any]) -> dict[str, Any]:
    """Of menus the default or the first entry, of texts and numbers the default; links have none."""
    found = {}
    for name, (kind, *options) in inputs.items():
        default = {
            **({"default": kind[0]} if isinstance(kind, list) and kind else {}),
            **(options[0] if options else {}),
        }
        if "default" in default:
            found[name] = default["default"]
    return found
