"""What can be wrong with a graph, and where."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ..models.errors import TrilemmaError


@dataclass(frozen=True)
class Problem:
    """What is wrong with a graph, and at which node and input (None: with the graph as a whole)."""

    message: str
    node_id: str | None = None
    title: str | None = None
    class_type: str | None = None
    input: str | None = None

    def __str__(self) -> str:
        if self.node_id is None:
            return self.message
        place = f"{self.title} (#{self.node_id}, {self.class_type})"
        return f"{place}{f', input {self.input!r}' if self.input else ''}: {self.message}"


class InvalidGraph(TrilemmaError):
    """A graph that cannot run; `problems` lists everything that is wrong with it."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = list(problems)
        super().__init__("\n".join(map(str, self.problems)))


class NodeFailed(TrilemmaError):
    """A node raised an error while it ran; `inputs` tells, in words, what it was given, `kind` the error's class."""

    def __init__(self, problem: Problem, inputs: Mapping[str, str], kind: str) -> None:
        self.problem = problem
        self.inputs = dict(inputs)
        self.kind = kind
        super().__init__(str(problem))


def title_of(node_id: str, node: Mapping[str, Any]) -> str:
    """What the page shows above the node."""
    meta = node.get("_meta")
    title = meta.get("title") if isinstance(meta, Mapping) else None
    return title if title and isinstance(title, str) else node.get("class_type") or f"node {node_id}"


def problem_at(graph: Mapping[str, Any], node_id: str, message: str, input: str | None = None) -> Problem:
    """A problem of the node with this id, under its title and class."""
    node = graph[node_id]
    return Problem(message, node_id, title_of(node_id, node), node.get("class_type"), input)
