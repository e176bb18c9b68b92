"""The page's form of graphs, damaged as hands, other programs and half-written files damage it."""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Callable
from functools import cache
from typing import Any

from trilemma.tests.graphs.node_graphs import CLASSES, ROOT
from trilemma.tests.graphs.odd_values import VALUES

Form = dict[str, Any]


@cache
def page_forms() -> dict[str, Form]:
    """Of the examples, of those that were released, and of the blueprints, whose graphs are subgraphs."""
    examples = [*ROOT.glob("example_workflows/*.json"), *ROOT.glob("tests/workflows/*/*.json")]
    files = sorted([*examples, *ROOT.glob("subgraphs/*.json")])
    forms = {f"{file.parent.name}/{file.stem}, page": json.loads(file.read_text()) for file in files}
    return {name: form for name, form in forms.items() if _is_ours(form)}


def _is_ours(form: Form) -> bool:
    inside = {each["id"]: each for each in (form.get("definitions") or {}).get("subgraphs", [])}
    nodes = [*form["nodes"], *(node for each in inside.values() for node in each["nodes"])]
    return all(node["type"] in CLASSES or node["type"] in inside or node["type"] in DRAWN for node in nodes)


DRAWN = ("Note", "MarkdownNote", "Reroute", "PrimitiveNode")
"""Kinds of node that only the page knows."""


def mutate(form: Form, rng: random.Random) -> str:
    """Damages the form, or one of its subgraphs; says how."""
    inside = form.get("definitions", {}) if isinstance(form.get("definitions"), dict) else {}
    graphs = [form, *(each for each in inside.get("subgraphs", []) if isinstance(each, dict))]
    graph = rng.choice(graphs)
    nodes = [node for node in graph.get("nodes", []) if isinstance(node, dict)] if _has_nodes(graph) else []
    how = rng.choice(MUTATIONS if nodes else (_field,))
    return f"{how.__name__.strip('_')}: {how(graph, rng.choice(nodes) if nodes else {}, rng)}"


def _has_nodes(graph: Form) -> bool:
    return isinstance(graph.get("nodes"), list)


def _value(rng: random.Random) -> Any:
    return copy.deepcopy(rng.choice(VALUES))


def _widgets(graph: Form, node: Form, rng: random.Random) -> str:
    values = node.get("widgets_values")
    if not isinstance(values, list) or not values or rng.random() < 0.2:
        node["widgets_values"] = _value(rng)
        return f"of #{node.get('id')} = {repr(node['widgets_values'])[:40]}"
    at = rng.randrange(len(values))
    rng.choice(
        (
            lambda: values.pop(at),
            lambda: values.insert(at, _value(rng)),
            lambda: values.append(_value(rng)),
            lambda: values.clear(),
            lambda: values.reverse(),
            lambda: values.__setitem__(at, _value(rng)),
        )
    )()
    return f"of #{node.get('id')} at {at}, now {len(values)}"


def _links(graph: Form, node: Form, rng: random.Random) -> str:
    links = graph.get("links")
    if not isinstance(links, list) or not links or rng.random() < 0.1:
        graph["links"] = _value(rng)
        return f"= {repr(graph['links'])[:40]}"
    at = rng.randrange(len(links))
    link = links[at]
    which = rng.random()
    if which < 0.3:
        links.pop(at)
    elif which < 0.4:
        links.append(copy.deepcopy(link))
    elif which < 0.5:
        links[at] = _value(rng)
    elif isinstance(link, list) and link:
        link[rng.randrange(len(link))] = rng.choice([999, -1, None, "x", 0, 1, "IMAGE"])
    elif isinstance(link, dict) and link:
        link[rng.choice(sorted(link))] = rng.choice([999, -1, None, "x", 0, 1, "IMAGE"])
    return f"at {at}"


def _slot(graph: Form, node: Form, rng: random.Random) -> str:
    side = rng.choice(("inputs", "outputs"))
    slots = node.get(side)
    if not isinstance(slots, list) or not slots or rng.random() < 0.2:
        node[side] = _value(rng)
        return f"{side} of #{node.get('id')} = {repr(node[side])[:40]}"
    at = rng.randrange(len(slots))
    slot = slots[at]
    if rng.random() < 0.3 or not isinstance(slot, dict) or not slot:
        slots.pop(at)
    else:
        slot[rng.choice(sorted(slot))] = rng.choice([999, -1, None, "x", [], {}, [999]])
    return f"{side} of #{node.get('id')} at {at}"


def _node(graph: Form, node: Form, rng: random.Random) -> str:
    nodes = graph["nodes"]
    at = next(place for place, each in enumerate(nodes) if each is node)
    if (which := rng.random()) < 0.3:
        nodes.pop(at)
    elif which < 0.5:
        nodes.append(copy.deepcopy(node))
    elif which < 0.6:
        nodes[at] = _value(rng)
    else:
        key = rng.choice(sorted(node))
        node[key] = _value(rng)
        return f"{key} of #{node.get('id')} = {repr(node[key])[:40]}"
    return f"#{node.get('id')}"


def _mode(graph: Form, node: Form, rng: random.Random) -> str:
    node["mode"] = rng.choice((2, 4, 4, 1, 3, -1, None, "4"))
    return f"{node['mode']} of #{node.get('id')}"


def _type(graph: Form, node: Form, rng: random.Random) -> str:
    node["type"] = rng.choice([*DRAWN, "", None, 5, "NoSuchNode", *rng.sample(list(CLASSES), 6)])
    return f"{node['type']!r} of #{node.get('id')}"


def _field(graph: Form, node: Form, rng: random.Random) -> str:
    key = rng.choice(sorted(graph)) if graph else "nodes"
    if rng.random() < 0.5:
        graph.pop(key, None)
        return f"without {key}"
    graph[key] = _value(rng)
    return f"{key} = {repr(graph[key])[:40]}"


MUTATIONS: tuple[Callable[[Form, Form, random.Random], str], ...] = (
    *(_widgets, _widgets, _widgets, _links, _links, _slot, _node, _mode, _type, _field),
)
