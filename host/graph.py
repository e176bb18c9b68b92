"""Runs a checked graph without ComfyUI, by the rules of its executor.

Every output of a node is a list of values, as in ComfyUI: a node runs once per entry of its longest input list,
shorter lists repeat their last entry, and what the calls return is put side by side again.
"""

import copy
from collections.abc import Callable, Mapping
from typing import Any

import torch

from ..models.errors import BadInput, CannotDo
from .problems import NodeFailed
from .standalone import check_interrupted
from .validation import CheckedNode, call, validate

Values = list[Any]


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
            execution.outputs_of(node_id)
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

    def outputs_of(self, node_id: str) -> list[Values]:
        if node_id not in self.done:
            self.done[node_id] = self._run(self.nodes[node_id])
        return self.done[node_id]

    def _run(self, node: CheckedNode) -> list[Values]:
        inputs = {name: [value] for name, value in node.values.items()}
        for name in node.links:
            inputs[name] = [None] if name in node.lazy else self._linked(node, name)
        inputs |= self._hidden(node)
        instance = node.node_class()
        check_interrupted()
        try:
            self._ask_for_lazy_inputs(node, instance, inputs)
            self.on_node(node.title)
            results = _call_per_entry(node, getattr(instance, node.node_class.FUNCTION), inputs)
            outputs, shown = _split(results, node.node_class)
        except NodeFailed:  # of a lazy input's source
            raise
        except Exception as error:
            described = {name: _describe(inputs[name]) for name in (*node.values, *node.links)}
            kind = type(error).__name__
            raise NodeFailed(node.problem(str(error) or kind), described, kind) from error
        if shown:
            self.shown[node.id] = shown
        return outputs

    def _linked(self, node: CheckedNode, name: str) -> Values:
        source, index = node.links[name]
        outputs = self.outputs_of(source)
        if index >= len(outputs):
            message = f"returned {len(outputs)} outputs, but output {index} is wired."
            raise NodeFailed(self.nodes[source].problem(message), {}, "IndexError")
        return outputs[index]

    def _ask_for_lazy_inputs(self, node: CheckedNode, instance: Any, inputs: dict[str, Values]) -> None:
        waiting = set(node.lazy)
        while waiting and hasattr(instance, "check_lazy_status"):
            answers = _call_per_entry(node, instance.check_lazy_status, inputs)
            wanted = waiting.intersection(name for answer in answers for name in answer or ())
            if not wanted:
                return
            for name in wanted:
                inputs[name] = self._linked(node, name)
            waiting -= wanted

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
