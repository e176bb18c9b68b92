"""Runs graphs by ComfyUI's own executor, in the process where `boot` has started it."""

# ComfyUI's own modules: nowhere on the path until it runs this file.
# pyright: reportMissingImports=false

import inspect
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import comfy.utils
import execution
from server import PromptServer
from tqdm import tqdm

import nodes

from .filenames import page_filled
from .problems import InvalidGraph, NodeFailed, Problem, problem_at, title_of


def add_pack(root: Path, node_classes: Mapping[str, type], display_names: Mapping[str, str]) -> None:
    """Adds the pack's nodes, unless ComfyUI has loaded the pack at `root` from its own custom nodes."""
    if root.resolve() not in {Path(folder).resolve() for folder in nodes.LOADED_MODULE_DIRS.values()}:
        nodes.NODE_CLASS_MAPPINGS.update(node_classes)
        nodes.NODE_DISPLAY_NAME_MAPPINGS.update(display_names)


def known_nodes() -> tuple[dict[str, type], dict[str, str]]:
    """Classes and display names of every node that ComfyUI knows."""
    return nodes.NODE_CLASS_MAPPINGS, nodes.NODE_DISPLAY_NAME_MAPPINGS


def run(
    graph: dict[str, Any],
    node_classes: Mapping[str, type],
    workflow: Mapping[str, Any] | None = None,
    on_node: Callable[[str], None] = lambda title: None,
) -> dict[str, dict[str, list[Any]]]:
    """What each node showed: `{node id: {"images": [...], ...}}`; see `graph.run`, whose errors it raises too.

    KeyboardInterrupt if the run was cancelled.
    """
    graph = {node_id: _with_names(node, graph, workflow) for node_id, node in graph.items()}
    server = _Listener(graph, on_node)
    comfy.utils.set_progress_bar_global_hook(server.progress)
    return PromptServer.instance.loop.run_until_complete(_run(graph, workflow, server))


def _with_names(node: dict[str, Any], graph: Mapping[str, Any], workflow: Mapping[str, Any] | None) -> dict[str, Any]:
    """The node with the tokens of its file names filled in that the page would fill in."""
    inputs = node.get("inputs", {})
    prefix = inputs.get("filename_prefix")
    if not isinstance(prefix, str):
        return node
    return {**node, "inputs": {**inputs, "filename_prefix": page_filled(prefix, graph, workflow)}}


async def _run(
    graph: dict[str, Any], workflow: Mapping[str, Any] | None, server: "_Listener"
) -> dict[str, dict[str, list[Any]]]:
    prompt_id = str(uuid.uuid4())
    valid, error, outputs, node_errors = await execution.validate_prompt(prompt_id, graph, None)
    # Valid with node errors means that ComfyUI would drop some outputs and run the others.
    if node_errors or not valid:
        raise InvalidGraph(list(_problems(graph, node_errors)) or [_graph_problem(graph, error)])
    executor = _executor(server)
    extra_data = {"client_id": server.client_id, "extra_pnginfo": None if workflow is None else {"workflow": workflow}}
    await executor.execute_async(graph, prompt_id, extra_data, outputs)
    events = dict(executor.status_messages)
    if "execution_interrupted" in events:
        raise KeyboardInterrupt
    if "execution_error" in events:
        failure = events["execution_error"]
        print("".join(failure["traceback"]))
        inputs = {name: str(value)[:200] for name, value in failure["current_inputs"].items()}
        # The class with its module; for one of Python's own, the class alone.
        kind = failure["exception_type"].rpartition(".")[2]
        raise NodeFailed(problem_at(graph, failure["node_id"], failure["exception_message"].strip()), inputs, kind)
    return executor.history_result["outputs"]


def _executor(server: "_Listener") -> execution.PromptExecutor:
    options: dict[str, Any] = {"cache_size": 0}
    if "cache_args" in inspect.signature(execution.PromptExecutor).parameters:
        options = {"cache_args": {"lru": 0, "ram": 2.0, "ram_inactive": 8.0}}
    return execution.PromptExecutor(server, cache_type=execution.CacheType.CLASSIC, **options)


def _problems(graph: Mapping[str, Any], node_errors: Mapping[str, Any]) -> Any:
    for node_id, complaint in node_errors.items():
        for error in complaint["errors"]:
            message = f"{error['message']}: {error['details']}"
            yield problem_at(graph, node_id, message, error.get("extra_info", {}).get("input_name"))


def _graph_problem(graph: Mapping[str, Any], error: Mapping[str, Any]) -> Problem:
    message = ": ".join(filter(None, (error["message"].rstrip("."), error["details"])))
    node_id = error.get("extra_info", {}).get("node_id")
    return problem_at(graph, node_id, message) if node_id in graph else Problem(message)


class _Listener:
    """Stands where the executor expects the server, and shows what it is told on stderr."""

    def __init__(self, graph: Mapping[str, Any], on_node: Callable[[str], None]) -> None:
        self.graph = graph
        self.on_node = on_node
        self.client_id = "headless"
        self.last_node_id: str | None = None
        self.last_prompt_id: str | None = None
        self.sockets_metadata: dict[str, Any] = {}
        self._bar: tqdm | None = None

    def send_sync(self, event: Any, data: Any, client_id: str | None = None) -> None:
        if event == "executing" and data["node"] in self.graph:
            self._close_bar()
            self.on_node(title_of(data["node"], self.graph[data["node"]]))

    def progress(
        self, value: int, total: int, preview: Any, prompt_id: str | None = None, node_id: str | None = None
    ) -> None:
        if self._bar is None:
            self._bar = tqdm(total=total, leave=False)
        self._bar.update(value - self._bar.n)
        if value >= total:
            self._close_bar()

    def _close_bar(self) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None
