"""Reads saved workflows of both kinds, the page's and the API's, and sets inputs of their nodes."""

import codecs
import copy
import json
import logging
import stat
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from PIL import Image

from .object_info import object_info
from .problems import InvalidGraph, Problem, title_of
from .validation import COERCIONS, Declared, check_shape, choices, declared_inputs

Graph = dict[str, dict[str, Any]]
PNG = b"\x89PNG\r\n\x1a\n"
# Of UTF-32 first: its little-endian mark begins with UTF-16's.
MARKS = {
    codecs.BOM_UTF32_LE: "UTF-32",
    codecs.BOM_UTF32_BE: "UTF-32",
    codecs.BOM_UTF16_LE: "UTF-16",
    codecs.BOM_UTF16_BE: "UTF-16",
}
"""Byte-order marks; that of UTF-8 is read over."""


def read(
    path: Path, node_classes: Mapping[str, type], display_names: Mapping[str, str]
) -> tuple[Graph, dict[str, Any] | None]:
    """The API-format graph of a saved workflow, and the page's form of it (None if the file is in API format).

    Also of what was posted to ComfyUI, of an entry of its history, and of a PNG that was saved with its workflow.
    InvalidGraph if the file is missing, no JSON, no workflow, or if the page's form cannot be converted.
    """
    saved, page_form = _unwrapped(path, _read(path))
    if isinstance(saved, dict) and isinstance(saved.get("nodes"), list):
        saved, page_form = _convert(path, saved, node_classes, display_names), saved
    check_shape(saved)
    return saved, page_form


def _read(path: Path) -> Any:
    """What the JSON file, or the PNG's text chunks, hold; a PNG's as `{"prompt", "workflow"}`."""
    try:
        mode = path.stat().st_mode
        if stat.S_ISCHR(mode) or stat.S_ISBLK(mode):
            raise _invalid(f"Cannot read the workflow {path}: it is a device; name a file.")
        content = path.read_bytes()
        if content.startswith(PNG):
            return _of_picture(path)
    except (OSError, ValueError) as error:  # a ValueError of a name: a NUL, half a character
        reason = getattr(error, "strerror", None) or error
        raise _invalid(f"Cannot read the workflow {path}: {reason}.") from error
    for mark, encoding in MARKS.items():
        if content.startswith(mark):
            raise _invalid(f"{path} is written in {encoding}, and JSON is in UTF-8; save it anew as UTF-8.")
    return _parse(str(path), content)


def _parse(where: str, content: bytes | str) -> Any:
    try:
        text = content.decode("utf-8-sig") if isinstance(content, bytes) else content
        return json.loads(text)
    except UnicodeDecodeError as error:
        raise _invalid(f"{where} is not a JSON file: it is no text in UTF-8 ({error.reason}).") from error
    except ValueError as error:
        raise _invalid(f"{where} is not a JSON file: {error}.") from error
    except RecursionError as error:
        raise _invalid(f"{where} is not a workflow: its lists and objects lie too deep in each other.") from error


def _of_picture(path: Path) -> dict[str, Any]:
    try:
        with Image.open(path) as picture:
            picture.load()  # chunks may follow the pixels
            texts = {key: picture.info[key] for key in ("prompt", "workflow") if key in picture.info}
    except (OSError, ValueError, SyntaxError) as error:
        raise _invalid(f"{path} is a damaged PNG: {error}.") from error
    if not texts:
        raise _invalid(f"{path} is a picture without a workflow: it was saved without metadata, or lost it since.")
    return {key: _parse(f"The text {key!r} of {path}", text) for key, text in texts.items()}


def _unwrapped(path: Path, saved: Any) -> tuple[Any, dict[str, Any] | None]:
    """The graph inside of what ComfyUI's API takes and gives, and the page's form of it where that lies beside it.

    A request `{"prompt", "extra_data"}`, an entry of the history or of the queue (`[number, id, graph, extra_data,
    ...]`, alone or under "prompt" or its id), and the texts of a picture; anything else is the graph itself.
    """
    if isinstance(saved, list) and len(saved) > 2 and isinstance(saved[2], Mapping):
        return saved[2], _page_form(saved[3] if len(saved) > 3 else None)
    if not isinstance(saved, dict) or isinstance(saved.get("nodes"), list):
        return saved, None
    inside = {key: saved.get(key) for key in ("prompt", "workflow")}
    for key, value in inside.items():
        if isinstance(value, list) or (isinstance(value, dict) and "class_type" not in value):
            graph, page_form = _unwrapped(path, value)
            beside = inside["workflow"] if key == "prompt" and _is_page_form(inside["workflow"]) else None
            return graph, page_form or _page_form(saved.get("extra_data")) or beside
    entries = {key: entry for key, entry in saved.items() if isinstance(entry, dict) and "class_type" not in entry}
    if entries and len(entries) == len(saved) and all("prompt" in entry for entry in entries.values()):
        if len(entries) > 1:
            raise _invalid(f"{path} holds {len(entries)} runs of the history; keep one: {', '.join(entries)}.")
        return _unwrapped(path, next(iter(entries.values())))
    return saved, None


def _page_form(extra_data: Any) -> dict[str, Any] | None:
    info = extra_data.get("extra_pnginfo") if isinstance(extra_data, dict) else None
    found = info.get("workflow") if isinstance(info, dict) else None
    return found if _is_page_form(found) else None


def _is_page_form(value: Any) -> bool:
    return isinstance(value, dict) and isinstance(value.get("nodes"), list)


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
    for graph in (saved, *_subgraphs(saved)):
        nodes = graph.get("nodes")
        for number, node in enumerate(nodes if isinstance(nodes, list) else ()):
            if (wrong := _wrong_with(node)) is not None:
                raise _invalid(
                    f"{path} is damaged: node {_name_of(node, number)} {wrong}; open it in the page and save it anew."
                )
    skipped: list[str] = []

    def note(record: logging.LogRecord) -> bool:
        # The converter logs a node that it cannot read, and leaves it out.
        if record.exc_info:
            skipped.append(f"{record.getMessage()} ({record.exc_info[1]})")
        return not record.exc_info

    logger = logging.getLogger(convert_ui_to_api.__module__)
    logger.addFilter(note)
    try:
        graph = convert_ui_to_api(saved, object_info(node_classes, display_names))
    except WorkflowConversionError as error:
        raise _invalid(f"{path} cannot be converted to API format: {error}.") from error
    except Exception as error:
        # The converter takes for granted that fields have their kind.
        raise _invalid(
            f"{path} is damaged: comfy-cli cannot convert it to API format ({type(error).__name__}: {error}); "
            "open it in the page and save it anew."
        ) from error
    finally:
        logger.removeFilter(note)
    if skipped:
        raise _invalid(f"{path} is damaged: {'; '.join(skipped)}; open it in the page and save it anew.")
    return graph


def _subgraphs(saved: dict[str, Any]) -> list[dict[str, Any]]:
    definitions = saved.get("definitions")
    found = definitions.get("subgraphs") if isinstance(definitions, dict) else None
    return [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []


def _wrong_with(node: Any) -> str | None:
    """What the converter takes for granted of a node of the page's form, and is not so."""
    if not isinstance(node, dict):
        return "is no object"
    if not isinstance(node.get("type"), str):
        return "has no type"
    for side in ("inputs", "outputs"):
        slots = node.get(side)
        if slots is not None and not (isinstance(slots, list) and all(isinstance(slot, dict) for slot in slots)):
            return f"has {side} that are no list of objects"
    return None


def _name_of(node: Any, number: int) -> str:
    names = [node.get(key) for key in ("title", "type")] if isinstance(node, dict) else []
    place = f"#{node['id']}" if isinstance(node, dict) and isinstance(node.get("id"), int | str) else f"{number + 1}"
    known = [repr(name[:80]) for name in names if isinstance(name, str) and name]
    return " ".join([*known[:1], place])


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
    except (ValueError, RecursionError):
        return text
    takes_text = spec.type == "STRING" or text in (choices(spec) or ())
    return text if takes_text and not isinstance(value, str) else value


def _invalid(message: str) -> InvalidGraph:
    return InvalidGraph([Problem(message)])
