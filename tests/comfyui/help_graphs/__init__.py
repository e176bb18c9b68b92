"""What the picture of each help page shows, by the node's id."""

from . import edits, generators, scores, wired
from .graph import Graph, Picture, Results, Shot
from .wired import write_files

__all__ = ["PICTURES", "Graph", "Picture", "Results", "Shot", "write_files"]

PICTURES: dict[str, Picture] = {
    f"Trilemma{name}": picture
    for graph in (edits, generators, scores, wired)
    for name, picture in graph.pictures().items()
}
