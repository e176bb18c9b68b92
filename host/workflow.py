"""Reads saved workflows of both kinds, the page's and the API's, and sets inputs of their nodes."""

import copy
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from .object_info import object_info
from .problems import InvalidGraph, Problem, title_of
from .validation import COERCIONS, Declared, check_shape, choices, declared_inputs

Graph = dict[str, dict[str, Any]]


def read(
    path: Path, node_classes: Mapping[str, type], display_names: Mapping[str, str]
) -> tuple[Graph, dict[str, Any] | None]:
    """The API-format graph of a saved workflow, and the page's form of it (None if the file is in API format).

    InvalidGraph if the file is missing, no JSON, no workflow, or if the page's form cannot be converted.
    """
    try:
        saved = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise _invalid(f"Cannot read the workflow {path}: {error.strerror}.") from error
    except ValueError as error:
        raise _invalid(f"{path} is not a JSON file: {error}.") from error
    if not isinstance(saved, dict) or not isinstance(saved.get("nodes"), list):
        check_shape(saved)
        return saved, None
    graph = _convert(path, saved, node_classes, display_names)
    check_shape(graph)
    return graph, saved


def _convert(
    path: Path, saved: dict[str, Any], node_classes: Mapping[str, type], display_names: Mapping[str, str]
) -> Graph:
    try:
        from comfy_cli.workflow_to_api import WorkflowConversionError, convert_ui_to_api
    except ImportError as error:
        raise _invalid(
            f"{path} is in the page's format, which comfy-cli converts: pip install comfy-cli, "
            "or export it in API format (menu: Workflow, Export (API))."
        ) from error
    try:
        return convert_ui_to_api(saved, object_info(node_classes, display_names))
    except WorkflowConversionError as error:
        raise _invalid(f"{path} cannot be converted to API format: {error}.") from error


def with_settings(graph: Graph, settings: Iterable[str], node_classes: Mapping[str, type]) -> Graph:
    """The graph with inputs replaced; each setting reads `Node title.input=value` or `#id.input=value`.

    A value is JSON where it can be read as such, else text; inputs that take text get it as it stands.
    InvalidGraph if a setting names no node, several, or no input of it.
    """
    graph = copy.deepcopy(graph)
    for setting in settings:
        address, equals, text = setting.partition("=")
        place, dot, name = address.rpartition(".")
        if not equals or not dot:
            raise _invalid(f"--set {setting!r}: write 'Node title.input=value' or '#id.input=value'.")
        node = graph[_node_id(graph, place)]
        node_class = node_classes.get(node["class_type"])
        declared = declared_inputs(node_class) if node_class else {}
        inputs = node.setdefault("inputs", {})
        if name not in declared and name not in inputs:
            known = ", ".join(sorted({*declared, *inputs})) or "none"
            raise _invalid(f"--set {setting!r}: {place} has no input {name!r}; its inputs are {known}.")
        spec = declared.get(name, Declared("*", {}, False))
        if isinstance(inputs.get(name), list) and choices(spec) is None and spec.type not in COERCIONS:
            raise _invalid(f"--set {setting!r}: {name} is wired to node {inputs[name][0]} and takes no value.")
        value = _value(text, spec)
        inputs[name] = {"__value__": value} if isinstance(value, list) else value
    return graph


def _node_id(graph: Graph, place: str) -> str:
    if place.startswith("#"):
        if place[1:] in graph:
            return place[1:]
        raise _invalid(f"There is no node {place}; the nodes are {', '.join(f'#{id}' for id in graph)}.")
    found = [node_id for node_id, node in graph.items() if title_of(node_id, node) == place]
    if len(found) == 1:
        return found[0]
    if found:
        named = " or ".join(f"#{node_id}" for node_id in found)
        raise _invalid(f"The title {place!r} is ambiguous: say {named}.")
    titles = ", ".join(repr(title_of(node_id, node)) for node_id, node in graph.items())
    raise _invalid(f"No node has the title {place!r}; the titles are {titles}.")


def _value(text: str, spec: Declared) -> Any:
    try:
        value = json.loads(text)
    except ValueError:
        return text
    takes_text = spec.type == "STRING" or text in (choices(spec) or ())
    return text if takes_text and not isinstance(value, str) else value


def _invalid(message: str) -> InvalidGraph:
    return InvalidGraph([Problem(message)])
