"""Checks an API-format graph against the node classes, by ComfyUI's rules, and prepares it for running.

One deliberate difference: ComfyUI drops invalid outputs and runs the rest; here any problem stops the graph.
"""

import asyncio
import difflib
import inspect
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from .core_nodes import NEEDS_COMFYUI
from .problems import InvalidGraph, Problem, title_of

COERCIONS: dict[str, Callable[[Any], Any]] = {"INT": int, "FLOAT": float, "STRING": str, "BOOLEAN": bool}


@dataclass(frozen=True)
class Declared:
    """An input as the node's class declares it. `type` is a name, a union "A,B", "*", or a combo's list."""

    type: Any
    options: Mapping[str, Any]
    required: bool


@dataclass(frozen=True)
class CheckedNode:
    """A node ready to run: `values` are its coerced constants, `links` input -> (node id, output index)."""

    id: str
    title: str
    class_type: str
    node_class: type
    values: Mapping[str, Any]
    links: Mapping[str, tuple[str, int]]
    lazy: frozenset[str]

    def problem(self, message: str, input: str | None = None) -> Problem:
        return Problem(message, self.id, self.title, self.class_type, input)


def declared_inputs(node_class: type) -> dict[str, Declared]:
    """Name -> declaration of every required and optional input, in the class's order."""
    declared = {}
    for category in ("required", "optional"):
        for name, spec in node_class.INPUT_TYPES().get(category, {}).items():
            declared[name] = Declared(spec[0], spec[1] if len(spec) > 1 else {}, category == "required")
    return declared


def choices(declared: Declared) -> list[Any] | None:
    """The entries of a combo; None for every other type."""
    if isinstance(declared.type, list | tuple):
        return list(declared.type)
    return list(declared.options.get("options", [])) if declared.type == "COMBO" else None


def call(function: Callable[..., Any], arguments: Mapping[str, Any]) -> Any:
    """The function's result; a coroutine is run to its end."""
    result = function(**arguments)
    return asyncio.run(result) if inspect.iscoroutine(result) else result


def validate(graph: Mapping[str, Any], node_classes: Mapping[str, type]) -> tuple[dict[str, CheckedNode], list[str]]:
    """Every node that an output node depends on, sources first, and the ids of the output nodes.

    `graph` is ComfyUI's API format, `{id: {"class_type", "inputs", "_meta"?}}`; it is not changed.
    Raises InvalidGraph with all the problems found.
    """
    check_shape(graph)
    unknown = [_unknown(id, node, node_classes) for id, node in graph.items() if node["class_type"] not in node_classes]
    if unknown:
        raise InvalidGraph(unknown)
    outputs = [id for id, node in graph.items() if getattr(node_classes[node["class_type"]], "OUTPUT_NODE", False)]
    if not outputs:
        raise InvalidGraph([Problem("The graph has no output node, such as Save Image or Preview Image.")])
    validation = _Validation(graph, node_classes)
    for node_id in outputs:
        validation.visit(node_id)
    if validation.problems:
        raise InvalidGraph(validation.problems)
    return validation.checked, outputs


def check_shape(graph: Any) -> None:
    """InvalidGraph unless this is a dict of nodes that each name their class."""
    if not isinstance(graph, Mapping) or not graph:
        raise InvalidGraph([Problem("The workflow holds no nodes in API format: {id: {class_type, inputs}}.")])
    for node_id, node in graph.items():
        if not isinstance(node, Mapping) or not isinstance(node.get("class_type"), str):
            raise InvalidGraph([Problem(f"Entry {node_id!r} of the workflow is not a node: it has no class_type.")])
        if not isinstance(node.get("inputs", {}), Mapping):
            raise InvalidGraph([Problem(f"The inputs of node {node_id!r} are not an object {{name: value}}.")])


def _unknown(node_id: str, node: Mapping[str, Any], node_classes: Mapping[str, type]) -> Problem:
    class_type = node["class_type"]
    if class_type in NEEDS_COMFYUI:
        message = "this node is ComfyUI's own; run the graph with --comfyui PATH."
    else:
        near = difflib.get_close_matches(class_type, [*node_classes, *NEEDS_COMFYUI], n=1)
        hint = f"did you mean {near[0]!r}?" if near else "is its pack installed? Then run with --comfyui PATH."
        message = f"there is no node type {class_type!r}; {hint}"
    return Problem(message, node_id, title_of(node_id, node), class_type)


class _Validation:
    def __init__(self, graph: Mapping[str, Any], node_classes: Mapping[str, type]) -> None:
        self.graph = graph
        self.node_classes = node_classes
        self.checked: dict[str, CheckedNode] = {}
        self.problems: list[Problem] = []

    def visit(self, node_id: str) -> None:
        """Checks a node and all that it depends on. A stack of its own: chains are longer than Python's is deep."""
        path: dict[str, tuple[CheckedNode, Iterator[str]]] = {}
        wanted: str | None = node_id
        while True:
            if wanted is None:
                node_id, (node, sources) = next(reversed(path.items()))
                wanted = next(sources, None)
                if wanted is not None:
                    continue
                self.checked[node_id] = node
                del path[node_id]
            elif wanted in path:
                ids = list(path)
                cycle = [title_of(id, self.graph[id]) for id in (*ids[ids.index(wanted) :], wanted)]
                raise InvalidGraph([Problem(f"The graph runs in a circle: {' -> '.join(reversed(cycle))}.")])
            elif wanted not in self.checked:
                node = self._check(wanted)
                path[wanted] = (node, iter([source for source, _ in node.links.values()]))
            if not path:
                return
            wanted = None

    def _check(self, node_id: str) -> CheckedNode:
        entry = self.graph[node_id]
        node_class = self.node_classes[entry["class_type"]]
        declared = declared_inputs(node_class)
        own_rules, takes_all = _validator_inputs(node_class)
        given = {name: value for name, value in entry.get("inputs", {}).items() if name in declared}
        complaints: list[tuple[str | None, str]] = []
        values: dict[str, Any] = {}
        links: dict[str, tuple[str, int]] = {}
        received_types: dict[str, Any] = {}
        for name, spec in declared.items():
            if name not in given:
                if spec.required:
                    complaints.append((name, "required, but neither wired nor given."))
                continue
            try:
                if isinstance(given[name], list):
                    link = self._link(given[name])
                    received_types[name] = self._output_type(link)
                    if "input_types" not in own_rules:
                        _check_type(received_types[name], spec.type)
                    links[name] = link
                else:
                    values[name] = _constant(given[name], spec)
                    if not takes_all and name not in own_rules:
                        _check_range(values[name], spec)
            except ValueError as error:
                complaints.append((name, str(error)))
        lazy = frozenset(name for name in links if declared[name].options.get("lazy"))
        node = CheckedNode(node_id, title_of(node_id, entry), entry["class_type"], node_class, values, links, lazy)
        complaints += _custom_validation(node, own_rules, takes_all, received_types)
        self.problems += [node.problem(message, name) for name, message in complaints]
        return node

    def _link(self, value: list[Any]) -> tuple[str, int]:
        if len(value) != 2 or not isinstance(value[0], str) or not isinstance(value[1], int):
            raise ValueError(f"{value} is read as a link [node id, output]; write a list as {{'__value__': [...]}}.")
        if value[0] not in self.graph:
            raise ValueError(f"wired to node {value[0]}, which is not in the graph.")
        return value[0], value[1]

    def _output_type(self, link: tuple[str, int]) -> Any:
        node_id, index = link
        types = self.node_classes[self.graph[node_id]["class_type"]].RETURN_TYPES
        if not 0 <= index < len(types):
            raise ValueError(
                f"wired to output {index} of {title_of(node_id, self.graph[node_id])}, which has {len(types)} outputs."
            )
        return types[index]


def _check_type(received: Any, accepted: Any) -> None:
    if received == accepted or "*" in (received, accepted) or (isinstance(received, list) and accepted == "COMBO"):
        return
    if isinstance(received, str) and isinstance(accepted, str) and set(received.split(",")) & set(accepted.split(",")):
        return
    raise ValueError(f"takes {accepted}, but is wired to {received}.")


def _constant(value: Any, spec: Declared) -> Any:
    if isinstance(value, Mapping) and "__value__" in value:
        value = value["__value__"]
    coerce = COERCIONS.get(spec.type) if isinstance(spec.type, str) else None
    if coerce is None:
        if not _takes_values(spec) and not (value is None and not spec.required):
            raise ValueError(f"takes {spec.type} from a node, but is given {_short(value)}; wire a node to it.")
        return value
    try:
        coerced = coerce(value)
    except (TypeError, ValueError, OverflowError):
        raise ValueError(f"{_short(value)} is not of type {spec.type}.") from None
    if isinstance(coerced, float) and not math.isfinite(coerced):
        raise ValueError(f"{_short(value)} is no finite number.")
    return coerced


def _takes_values(spec: Declared) -> bool:
    """Whether an input can be given in the file. Others, such as images and models, only nodes can make."""
    return choices(spec) is not None or bool(set(str(spec.type).split(",")) & {*COERCIONS, "*", "BOUNDING_BOX"})


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 200 else f"{text[:200]}..."


def _check_range(value: Any, spec: Declared) -> None:
    number = isinstance(value, int | float)
    if number and "min" in spec.options and value < spec.options["min"]:
        raise ValueError(f"{value} is below the minimum of {spec.options['min']}.")
    if number and "max" in spec.options and value > spec.options["max"]:
        raise ValueError(f"{value} is above the maximum of {spec.options['max']}.")
    entries = choices(spec)
    if entries is None:
        return
    picked = value if isinstance(value, list) and spec.options.get("multiselect") else [value]
    for entry in picked:
        if entry not in entries:
            shown = ", ".join(map(repr, entries[:20])) + (", ..." if len(entries) > 20 else "")
            raise ValueError(f"{_short(entry)} is not in its list: {shown or 'the list is empty'}.")


def _validator_inputs(node_class: type) -> tuple[set[str], bool]:
    """Names that VALIDATE_INPUTS asks for (their range checks are its own business), and whether it takes all."""
    validator = getattr(node_class, "VALIDATE_INPUTS", None)
    if validator is None:
        return set(), False
    spec = inspect.getfullargspec(validator)
    return set(spec.args) - {"cls", "self", "s"}, spec.varkw is not None


def _custom_validation(
    node: CheckedNode, names: set[str], takes_all: bool, received_types: Mapping[str, Any]
) -> list[tuple[str | None, str]]:
    """What the class's VALIDATE_INPUTS says; linked inputs are None to it."""
    if not names and not takes_all:
        return []
    arguments: dict[str, Any] = {**dict.fromkeys(node.links), **node.values}
    arguments = {name: value for name, value in arguments.items() if takes_all or name in names}
    named = next(iter(arguments), None)
    if getattr(node.node_class, "INPUT_IS_LIST", False):
        arguments = {name: [value] for name, value in arguments.items()}
    if "input_types" in names:
        arguments["input_types"] = dict(received_types)
    try:
        verdict = call(node.node_class.VALIDATE_INPUTS, arguments)
    except Exception as error:
        return [(named, f"its check failed: {error}")]
    return [] if verdict is True else [(named, str(verdict) if verdict else "refused by the node.")]
