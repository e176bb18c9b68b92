"""What read the files that a batch of images came from, by the graph that it runs through."""

from __future__ import annotations

from typing import Any, Final

from ... import host
from ...models.pictures.image_files import READER

HOSTS: Final = frozenset({"LoadImage", "LoadImageMask", "LoadImageOutput"})
"""ComfyUI's own nodes that read picture files."""
OURS: Final = {
    "TrilemmaLoadImages": "path",
    "TrilemmaImagesAsGenerator": "folder",
    "TrilemmaIndexFolder": "folder",
}
"""The pack's, and the input that names the files."""


def readers_above(graph: Any, node_id: str | None, name: str) -> tuple[str, ...]:
    """The readers of files above the input `name` of a node, sorted; none where the graph is not known.

    graph, node_id: the hidden DYNPROMPT and UNIQUE_ID of the node.
    """
    if graph is None or node_id is None:
        return ()
    found, seen = set(), set()
    waiting = [graph.get_node(node_id)["inputs"].get(name)]
    while waiting:
        value = waiting.pop()
        if not isinstance(value, list) or len(value) != 2 or str(value[0]) in seen:
            continue
        seen.add(str(value[0]))
        node = graph.get_node(str(value[0]))
        kind, given = node["class_type"], node["inputs"]
        if kind in HOSTS:
            found.add(host.image_reader())
        elif kind in OURS and given.get(OURS[kind]):
            found.add(READER)
        waiting += given.values()
    return tuple(sorted(found))
