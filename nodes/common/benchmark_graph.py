"""Graphs with a Benchmark Generator, taken apart: what reaches it, and the graph that draws a part in its place."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any, Final

from ...host import graph as runner
from ...models.errors import BadInput, CannotDo

BENCHMARK: Final = "TrilemmaBenchmarkGenerator"
PART: Final = "TrilemmaBenchmarkPart"
MODELS: Final = ("generator", "extractor")
SHARED: Final = (*MODELS, "reference", "first_seed", "kept_rows", "rows_seed")
"""Inputs that the node of a part has too."""
_KEPT: Final = "TrilemmaKeptInputs"

Graph = Mapping[str, Mapping[str, Any]]


def benchmarks_of(graph: Graph) -> list[str]:
    """Ids of the nodes Benchmark Generator.

    Raises:
        BadInput: there is none.
    """
    found = [node_id for node_id, node in graph.items() if node["class_type"] == BENCHMARK]
    if not found:
        raise BadInput("GRAPH: it holds no Benchmark Generator; save one with it, in the page's or in API format.")
    return found


def with_count(graph: Graph, count: int | None) -> dict[str, Any]:
    """The graph, its benchmarks of so many samples; None leaves each as it is."""
    changed = copy.deepcopy(dict(graph))
    for node_id in benchmarks_of(graph) if count is not None else ():
        changed[node_id]["inputs"]["num_images"] = count
    return changed


def values_of(graph: Graph, node_id: str, names: Sequence[str], node_classes: Mapping[str, type]) -> dict[str, Any]:
    """What reaches these inputs of a node: what they depend on is run, and nothing else of the graph.

    Raises:
        CannotDo: several values reach it, one after the other.
        InvalidGraph, NodeFailed, Interrupted: see `host.graph.run`.
    """
    node_class: Any = node_classes[graph[node_id]["class_type"]]
    types = node_class.INPUT_TYPES()
    specs = {name: spec for kind in ("required", "optional") for name, spec in types[kind].items() if name in names}
    calls: list[dict[str, Any]] = []

    class Kept:
        RETURN_TYPES = ()
        FUNCTION = "keep"
        OUTPUT_NODE = True

        @classmethod
        def INPUT_TYPES(cls) -> dict[str, Any]:
            return {"required": {name: specs[name] for name in types["required"] if name in specs}} | {
                "optional": {name: specs[name] for name in types["optional"] if name in specs}
            }

        def keep(self, **given: Any) -> dict[str, Any]:
            calls.append(given)
            return {}

    cut = _cut(graph, node_id, _KEPT, names)
    runner.run(cut, {**node_classes, _KEPT: Kept})
    if len(calls) != 1:
        raise CannotDo(
            f"Benchmark Generator (#{node_id}): {len(calls)} values reach it one after the other; give each a node of "
            "its own."
        )
    return {**{name: _default(spec) for name, spec in specs.items()}, **calls[0]}


def part_graph(graph: Graph, node_id: str, batch_size: int, first: int, count: int) -> dict[str, Any]:
    """The graph, as a server takes it, that draws samples `first` to `first + count - 1` of a benchmark by the node of
    the same id."""
    cut = _cut(graph, node_id, PART, SHARED)
    cut[node_id]["inputs"] |= {"first_image": first, "num_images": count, "batch_size": batch_size}
    return cut


def _default(spec: tuple[Any, Mapping[str, Any]]) -> Any:
    """What an input is that the graph leaves out; None of a link."""
    kind, options = spec
    return options.get("default", kind[0] if isinstance(kind, list) else None)


def _cut(graph: Graph, node_id: str, class_type: str, names: Sequence[str]) -> dict[str, Any]:
    """A node as one of another class with these of its inputs, and all that they depend on."""
    inputs = {name: value for name, value in graph[node_id]["inputs"].items() if name in names}
    kept: dict[str, Any] = {node_id: {**graph[node_id], "class_type": class_type, "inputs": inputs}}
    waiting = list(inputs.values())
    while waiting:
        value = waiting.pop()
        is_link = isinstance(value, list) and len(value) == 2 and str(value[0]) in graph
        if is_link and str(value[0]) not in kept:
            kept[str(value[0])] = graph[str(value[0])]
            waiting += graph[str(value[0])].get("inputs", {}).values()
    return copy.deepcopy(kept)
