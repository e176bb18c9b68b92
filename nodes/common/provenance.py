"""What of a run only the host knows, for reports and for saved pictures."""

from __future__ import annotations

from typing import Any

from ... import host


def run_provenance(prompt: dict[str, Any] | None) -> dict[str, Any]:
    """The host's version, and the graph, unless the user keeps that out of files."""
    graph = {"graph": prompt} if prompt and host.keeps_metadata() else {}
    return {"host": host.version(), **graph}


def graph_texts(prompt: dict[str, Any] | None, extra_pnginfo: dict[str, Any] | None) -> dict[str, Any]:
    """The graph as Save Image puts it into a picture, by the names of text chunks; empty where the user wants none."""
    return {"prompt": prompt, **(extra_pnginfo or {})} if prompt and host.keeps_metadata() else {}
