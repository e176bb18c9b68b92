"""The tokens of `filename_prefix`, filled in as ComfyUI's page and server do it for Save Image."""

import re
import time
from collections.abc import Mapping
from typing import Any

CLOCK = {"year": "%Y", "month": "%m", "day": "%d", "hour": "%H", "minute": "%M", "second": "%S"}
"""What the server fills in, beside %width% and %height%."""
DATE = {"d": "tm_mday", "M": "tm_mon", "h": "tm_hour", "m": "tm_min", "s": "tm_sec"}
FORBIDDEN = re.compile(r'[/?<>\\:*|"\x00-\x1f\x7f]')


def filled(
    prefix: str,
    width: int,
    height: int,
    graph: Mapping[str, Any] | None,
    page_form: Mapping[str, Any] | None = None,
    now: time.struct_time | None = None,
) -> str:
    """The prefix with its tokens replaced; what is no token, or names no node or input, stays as it is.

    First the page's, see `page_filled`. Then the server's: `%width%`, `%height%`, `%year%`, `%month%`, `%day%`,
    `%hour%`, `%minute%`, `%second%`. `graph`: in API format. `page_form`: of the same graph, where there is one;
    without it, a node's class stands for its name. `now`: local time.
    """
    now = time.localtime() if now is None else now
    prefix = page_filled(prefix, graph, page_form, now)
    for token, value in {"width": str(width), "height": str(height)}.items():
        prefix = prefix.replace(f"%{token}%", value)
    for token, directive in CLOCK.items():
        prefix = prefix.replace(f"%{token}%", time.strftime(directive, now))
    return prefix


def page_filled(
    prefix: str,
    graph: Mapping[str, Any] | None,
    page_form: Mapping[str, Any] | None = None,
    now: time.struct_time | None = None,
) -> str:
    """The prefix with the tokens replaced that the page fills in before it queues the graph; see `filled`.

    `%date:yyyy-MM-dd hh-mm-ss%` (of d, M, h, m, s one or two, of y two or four; hours to 23) and
    `%Node.input%`, a value that is not wired, of the first node with this name in "Node name for S&R", else with this
    title.
    """
    now = time.localtime() if now is None else now
    named = _names(graph or {}, page_form)
    return re.sub(r"%([^%]+)%", lambda match: _page_token(match, graph or {}, named, now), prefix)


def _page_token(match: re.Match[str], graph: Mapping[str, Any], named: Mapping[str, str], now: time.struct_time) -> str:
    token = match[1]
    parts = token.split(".")
    if len(parts) != 2:
        return _date(token.removeprefix("date:"), now) if token.startswith("date:") else match[0]
    place, name = parts
    found = [node_id for node_id in graph if named.get(node_id) == place]
    found = found or [node_id for node_id, node in graph.items() if _title(node) == place]
    inputs = graph[found[0]].get("inputs", {}) if found else {}
    if name not in inputs or isinstance(inputs[name], list):
        return match[0]
    return FORBIDDEN.sub("_", _text(inputs[name]))


def _date(form: str, now: time.struct_time) -> str:
    def part(match: re.Match[str]) -> str:
        text = match[0]
        if text[0] == "y":
            year = str(now.tm_year)
            return {"yy": year[2:], "yyyy": year}.get(text, text)
        return str(getattr(now, DATE[text[0]])).rjust(len(text), "0")

    return re.sub("dd?|MM?|hh?|mm?|ss?|yyy?y?", part, form)


def _names(graph: Mapping[str, Any], page_form: Mapping[str, Any] | None) -> dict[str, str]:
    names = {node_id: node.get("class_type", "") for node_id, node in graph.items()}
    nodes = (page_form or {}).get("nodes")
    for node in nodes if isinstance(nodes, list) else []:
        properties = node.get("properties") if isinstance(node, Mapping) else None
        if isinstance(properties, Mapping) and str(node.get("id")) in names:
            names[str(node["id"])] = properties.get("Node name for S&R", "")
    return names


def _title(node: Mapping[str, Any]) -> Any:
    meta = node.get("_meta")
    return meta.get("title") if isinstance(meta, Mapping) else None


def _text(value: Any) -> str:
    """As JavaScript writes a value of a widget."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    return str(int(value)) if isinstance(value, float) and value.is_integer() and abs(value) < 1e21 else str(value)
