"""Graphs that are wrong in one to three ways, each from a number alone."""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, NamedTuple

from trilemma.host.validation import choices, declared_inputs
from trilemma.nodes import NODE_CLASS_MAPPINGS
from trilemma.tests.graphs import page_mutations
from trilemma.tests.graphs.node_graphs import CLASSES, Graph, ending_at, example_graphs, graph_of
from trilemma.tests.graphs.odd_values import TEXTS, VALUES, damaged

PAGE_FORMS = 0.15
"""Share of graphs that are mutated as the page saves them."""
DAMAGED_FILES = 0.02
CLASSES_FIRST = 8
"""How often a node's own graph, which is small, is taken for each one that ends in an example's node."""


class Case(NamedTuple):
    """A mutated graph. content: of its file. base: what it was made from. done: what was done to it, in words."""

    seed: int
    base: str
    content: str
    done: tuple[str, ...]
    is_page_form: bool


def case(seed: int) -> Case:
    """The mutated graph with this number; the same on every machine for one version of the examples."""
    rng = random.Random(seed)
    if rng.random() < PAGE_FORMS:
        forms = page_mutations.page_forms()
        base = rng.choice(sorted(forms))
        form = copy.deepcopy(forms[base])
        done = [page_mutations.mutate(form, rng) for _ in range(rng.choice((1, 1, 2)))]
        return Case(seed, base, _text(form, rng, done), tuple(done), True)
    base, graph = _base(rng)
    done = [_mutate(graph, rng) for _ in range(rng.choice((1, 1, 1, 2, 2, 3)))]
    return Case(seed, base, _text(graph, rng, done), tuple(done), False)


def _text(saved: Any, rng: random.Random, done: list[str]) -> str:
    text = json.dumps(saved, ensure_ascii=rng.random() < 0.9 or not _is_text(saved))
    if rng.random() < DAMAGED_FILES:
        done.append("file cut or changed")
        at = rng.randrange(len(text))
        return text[:at] if rng.random() < 0.5 else text[:at] + rng.choice('{}[]",:0x\x00é') + text[at + 1 :]
    return text


def _is_text(saved: Any) -> bool:
    try:
        json.dumps(saved, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return False
    return True


@cache
def _bases() -> tuple[tuple[str, Graph, str], ...]:
    """Graph by name, and the node of it that is asked for; of examples every node once, and a graph of each class."""
    found = []
    for name, graph in example_graphs().items():
        found += [(f"{name}#{node_id}", graph, node_id) for node_id in graph]
    for name in NODE_CLASS_MAPPINGS:
        graph, node_id = graph_of(name)
        found += [(name, graph, node_id)] * CLASSES_FIRST
    return tuple(found)


def _base(rng: random.Random) -> tuple[str, Graph]:
    name, graph, node_id = rng.choice(_bases())
    return name, ending_at(graph, node_id)


def _mutate(graph: Graph, rng: random.Random) -> str:
    """Changes the graph, if it has what the chosen change is of; says what was done."""
    how = rng.choice(MUTATIONS)
    nodes = [key for key, node in graph.items() if _has_inputs(node)]
    if not nodes:
        return "nothing left"
    # What only shows the last node has one input, and little can be wrong with it.
    asked = [key for key in nodes if key != "shown"]
    at = rng.choice(asked if asked and rng.random() < 0.95 else nodes)
    return f"{how.__name__.strip('_')} #{at}: {how(graph, at, rng)}"


def _has_inputs(node: Any) -> bool:
    """Whether what stands in a graph is still a node, after an earlier change."""
    return isinstance(node, dict) and isinstance(node.get("inputs"), dict)


def _declared(node: Mapping[str, Any]) -> dict[str, Any]:
    known = CLASSES.get(node["class_type"]) if isinstance(node.get("class_type"), str) else None
    return declared_inputs(known) if known else {}


def _of_kind(node: Mapping[str, Any], wanted: Callable[[Any], bool]) -> list[str]:
    return [name for name, spec in _declared(node).items() if wanted(spec)]


def _set(graph: Graph, at: str, name: str, value: Any) -> str:
    graph[at]["inputs"][name] = value
    return f"{name} = {repr(value)[:60]}"


def _out_of_range(graph: Graph, at: str, rng: random.Random) -> str:
    names = _of_kind(graph[at], lambda spec: spec.type in ("INT", "FLOAT"))
    if not names:
        return _any_value(graph, at, rng)
    name = rng.choice(names)
    options = _declared(graph[at])[name].options
    low, high = options.get("min", 0), options.get("max", 1)
    odd = [low - 1, high + 1, -1, 10**18, -(10**30), 1e300, 0.5, float("nan"), float("inf"), 2**63, 2**64]
    return _set(graph, at, name, rng.choice(odd))


def _at_the_limit(graph: Graph, at: str, rng: random.Random) -> str:
    names = _of_kind(graph[at], lambda spec: spec.type in ("INT", "FLOAT"))
    if not names:
        return _other_choice(graph, at, rng)
    name = rng.choice(names)
    options = _declared(graph[at])[name].options
    return _set(graph, at, name, options.get(rng.choice(("min", "min", "max")), 0))


def _any_value(graph: Graph, at: str, rng: random.Random) -> str:
    names = [*_declared(graph[at]), *graph[at]["inputs"]]
    return _set(graph, at, rng.choice(names), copy.deepcopy(rng.choice(VALUES))) if names else "no inputs"


def _odd_text(graph: Graph, at: str, rng: random.Random) -> str:
    places = [
        (key, name)
        for key, node in graph.items()
        if _has_inputs(node)
        for name in _of_kind(node, lambda spec: spec.type == "STRING")
    ]
    if not places:
        return _any_value(graph, at, rng)
    key, name = rng.choice(places)
    before = graph[key]["inputs"].get(name)
    value = damaged(before, rng) if isinstance(before, str) and rng.random() < 0.5 else rng.choice(TEXTS)
    return f"#{key} {_set(graph, key, name, value)}"


def _other_choice(graph: Graph, at: str, rng: random.Random) -> str:
    """A value that the list has: another model, another way."""
    names = _of_kind(graph[at], lambda spec: bool(choices(spec)))
    if not names:
        return _wire_of_the_kind(graph, at, rng)
    name = rng.choice(names)
    return _set(graph, at, name, rng.choice(choices(_declared(graph[at])[name]) or [""]))


def _other_model(graph: Graph, at: str, rng: random.Random) -> str:
    loaders = [key for key, node in graph.items() if _has_inputs(node) and "model" in _declared(node)]
    return _other_choice(graph, rng.choice(loaders), rng) if loaders else _other_choice(graph, at, rng)


def _unknown_choice(graph: Graph, at: str, rng: random.Random) -> str:
    names = _of_kind(graph[at], lambda spec: choices(spec) is not None)
    if not names:
        return _odd_text(graph, at, rng)
    return _set(graph, at, rng.choice(names), rng.choice(["", "no such thing", "NONE", None, 0, True, [], "ä" * 300]))


def _wire(graph: Graph, at: str, rng: random.Random) -> str:
    """From any output of any node: often of another kind, now and then in a circle."""
    names = [*_declared(graph[at]), *graph[at]["inputs"]]
    return (
        _set(graph, at, rng.choice(names), [rng.choice(list(graph)), rng.choice((0, 0, 0, 1, 2, 9))]) if names else ""
    )


def _wire_of_the_kind(graph: Graph, at: str, rng: random.Random) -> str:
    """From another output that the input takes: another size, another model, a number that no limit was held to."""
    kinds = {name: set(str(spec.type).split(",")) for name, spec in _declared(graph[at]).items()}
    found = [
        (name, [key, output])
        for key, node in graph.items()
        if isinstance(node, dict) and CLASSES.get(str(node.get("class_type")))
        for output, kind in enumerate(CLASSES[node["class_type"]].RETURN_TYPES)
        for name, taken in kinds.items()
        if kind in taken and key != at and graph[at]["inputs"].get(name) != [key, output]
    ]
    return _set(graph, at, *rng.choice(found)) if found else _wire(graph, at, rng)


def _odd_wire(graph: Graph, at: str, rng: random.Random) -> str:
    names = [*_declared(graph[at]), *graph[at]["inputs"]]
    odd = [["999", 0], [at, 0], [at, -1], [1, 0], ["1", "0"], ["1", 0.5], ["1"], [], [[], 0], ["1", 0, 0], [None, None]]
    return _set(graph, at, rng.choice(names), copy.deepcopy(rng.choice(odd))) if names else "no inputs"


def _without_input(graph: Graph, at: str, rng: random.Random) -> str:
    names = list(graph[at]["inputs"])
    if not names:
        return "no inputs"
    del graph[at]["inputs"][name := rng.choice(names)]
    return name


def _without_node(graph: Graph, at: str, rng: random.Random) -> str:
    return graph.pop(at)["class_type"] if len(graph) > 1 else "the only one stays"


def _double_node(graph: Graph, at: str, rng: random.Random) -> str:
    name = rng.choice([f"{at}:1", "", "ü", "-1", "1" * 300, f" {at}"])
    graph[name] = copy.deepcopy(graph[at])
    return repr(name)[:20]


def _other_class(graph: Graph, at: str, rng: random.Random) -> str:
    name = graph[at].get("class_type")
    odd = ["", None, 5, [], "Trilemma", f"{name}x", str(name).lower(), "KSampler", *rng.sample(list(CLASSES), 8)]
    graph[at]["class_type"] = rng.choice(odd)
    return repr(graph[at]["class_type"])


def _odd_node(graph: Graph, at: str, rng: random.Random) -> str:
    key = rng.choice(("inputs", "_meta", "class_type", "is_changed", None))
    value = copy.deepcopy(rng.choice([None, [], "", 3, {"title": 5}, {"title": "x" * 500}, {"title": "\ud800"}, {}]))
    if key is None:
        graph[at] = value
    else:
        graph[at][key] = value
    return f"{key} = {repr(value)[:40]}"


MUTATIONS: tuple[Callable[[Graph, str, random.Random], str], ...] = (
    *(_out_of_range, _at_the_limit, _at_the_limit, _any_value, _any_value, _odd_text, _odd_text, _odd_text),
    *(_other_choice, _other_choice, _other_model, _other_model, _unknown_choice),
    *(_wire, _wire_of_the_kind, _wire_of_the_kind, _wire_of_the_kind, _odd_wire),
    *(_without_input, _without_node, _double_node, _other_class, _odd_node),
)
