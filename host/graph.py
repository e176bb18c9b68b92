"""Runs a checked graph without ComfyUI, by the rules of its executor.

Every output of a node is a list of values, as in ComfyUI: a node runs once per entry of its longest input list,
shorter lists repeat their last entry, and what the calls return is put side by side again.
"""

import copy
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar

import torch

from ..models.errors import BadInput, CannotDo, is_too_large, no_memory
from .problems import NodeFailed
from .standalone import check_interrupted
from .validation import CheckedNode, call, validate

T = TypeVar("T")
Values = list[Any]
Running = Generator[str, None, T]
"""Work that stops where it needs another node's outputs, gives that node's id, and ends in a value."""


class Prompt:
    """The graph as nodes with the hidden input DYNPROMPT see it."""

    def __init__(self, graph: Mapping[str, Any]) -> None:
        self._graph = graph

    def get_original_prompt(self) -> dict[str, Any]:
        return copy.deepcopy(dict(self._graph))

    def all_node_ids(self) -> set[str]:
        return set(self._graph)

    def has_node(self, node_id: str) -> bool:
        return node_id in self._graph

    def get_node(self, node_id: str) -> dict[str, Any]:
        return copy.deepcopy(self._graph[node_id])


def run(
    graph: Mapping[str, Any],
    node_classes: Mapping[str, type],
    workflow: Mapping[str, Any] | None = None,
    on_node: Callable[[str], None] = lambda title: None,
) -> dict[str, dict[str, list[Any]]]:
    """Runs every output node and what it depends on; what each node showed: `{node id: {"images": [...], ...}}`.

    `workflow` is the page's form of the graph, for the metadata of saved pictures; `on_node` hears each node's
    title before it runs. Raises InvalidGraph before anything has run, NodeFailed, or Interrupted.
    """
    nodes, outputs = validate(graph, node_classes)
    execution = _Execution(graph, nodes, workflow, on_node)
    with torch.inference_mode():
        for node_id in outputs:
            if node_id not in execution.done:
                execution.run(node_id)
    return execution.shown


class _Execution:
    def __init__(
        self,
        graph: Mapping[str, Any],
        nodes: Mapping[str, CheckedNode],
        workflow: Mapping[str, Any] | None,
        on_node: Callable[[str], None],
    ) -> None:
        self.prompt = Prompt(graph)
        self.nodes = nodes
        self.workflow = workflow
        self.on_node = on_node
        self.done: dict[str, list[Values]] = {}
        self.shown: dict[str, dict[str, list[Any]]] = {}

    def run(self, node_id: str) -> None:
        """Runs a node after all that it depends on. A stack of its own: chains are longer than Python's is deep."""
        begun = [(node_id, self._run(self.nodes[node_id]))]
        while begun:
            current, running = begun[-1]
            try:
                wanted = next(running)
            except StopIteration as finished:
                self.done[current] = finished.value
                begun.pop()
            else:
                begun.append((wanted, self._run(self.nodes[wanted])))

    def _run(self, node: CheckedNode) -> Running[list[Values]]:
        """Asks for the nodes that must have run before it goes on; its outputs."""
        inputs = {name: [value] for name, value in node.values.items()}
        for name in node.links:
            inputs[name] = [None] if name in node.lazy else (yield from self._linked(node, name))
        inputs |= self._hidden(node)
        instance = node.node_class()
        check_interrupted()
        waiting = set(node.lazy) if hasattr(instance, "check_lazy_status") else set()
        while waiting:
            with self._told(node, inputs):
                answers = _call_per_entry(node, instance.check_lazy_status, inputs)
                wanted = waiting.intersection(name for answer in answers for name in answer or ())
            if not wanted:
                break
            for name in wanted:
                inputs[name] = yield from self._linked(node, name)
            waiting -= wanted
        self.on_node(node.title)
        with self._told(node, inputs):
            results = _call_per_entry(node, getattr(instance, node.node_class.FUNCTION), inputs)
            outputs, shown = _split(results, node.node_class)
        if shown:
            self.shown[node.id] = shown
        return outputs

    @contextmanager
    def _told(self, node: CheckedNode, inputs: Mapping[str, Values]) -> Iterator[None]:
        """What goes wrong inside is told with the node that it happened in."""
        try:
            yield
        except Exception as error:
            if is_too_large(error):
                error = CannotDo(no_memory(str(error))).with_traceback(error.__traceback__)
            described = {name: _describe(inputs[name]) for name in (*node.values, *node.links)}
            kind = type(error).__name__
            raise NodeFailed(node.problem(str(error) or kind), described, kind) from error

    def _linked(self, node: CheckedNode, name: str) -> Running[Values]:
        source, index = node.links[name]
        if source not in self.done:
            yield source
        outputs = self.done[source]
        if index >= len(outputs):
            message = f"returned {len(outputs)} outputs, but output {index} is wired."
            raise NodeFailed(self.nodes[source].problem(message), {}, "IndexError")
        return outputs[index]

    def _hidden(self, node: CheckedNode) -> dict[str, Values]:
        sources = {
            "UNIQUE_ID": lambda: node.id,
            "PROMPT": self.prompt.get_original_prompt,
            "DYNPROMPT": lambda: self.prompt,
            "EXTRA_PNGINFO": lambda: None if self.workflow is None else {"workflow": copy.deepcopy(self.workflow)},
        }
        hidden = node.node_class.INPUT_TYPES().get("hidden", {})
        return {name: [sources[kind]()] for name, kind in hidden.items() if kind in sources}


def _call_per_entry(node: CheckedNode, function: Callable[..., Any], inputs: Mapping[str, Values]) -> list[Any]:
    if getattr(node.node_class, "INPUT_IS_LIST", False):
        return [call(function, inputs)]
    empty = [name for name, values in inputs.items() if not values]
    if empty:
        raise BadInput(f"input {empty[0]!r} is wired to an empty list.")
    longest = max(map(len, inputs.values()), default=1)
    entries = ({name: values[min(i, len(values) - 1)] for name, values in inputs.items()} for i in range(longest))
    return [call(function, entry) for entry in entries]


def _split(results: list[Any], node_class: type) -> tuple[list[Values], dict[str, list[Any]]]:
    """The outputs of all calls side by side, and what they show on the page joined."""
    shown = [result["ui"] for result in results if isinstance(result, Mapping) and "ui" in result]
    if any(isinstance(result, Mapping) and "expand" in result for result in results):
        raise CannotDo("it builds further nodes while running; run the graph with --comfyui PATH.")
    rows = [result.get("result") if isinstance(result, Mapping) else result for result in results]
    rows = [row for row in rows if row is not None]
    joined = {key: [entry for part in shown for entry in part[key]] for key in (shown[0] if shown else ())}
    if not rows:
        return [], joined
    are_lists = getattr(node_class, "OUTPUT_IS_LIST", (False,) * len(rows[0]))
    columns = zip(zip(*rows, strict=True), are_lists, strict=False)
    outputs = [[entry for part in column for entry in part] if is_list else list(column) for column, is_list in columns]
    return outputs, joined


def _describe(values: Values) -> str:
    shown = [
        f"{type(value).__name__}{list(value.shape)}" if isinstance(value, torch.Tensor) else repr(value)[:200]
        for value in values[:4]
    ]
    return ", ".join(shown) + (f", ... ({len(values)})" if len(values) > 4 else "")
