"""Runs a saved workflow without a page, converts checkpoints, and tells what is in the model folders.

    python headless.py WORKFLOW.json [--set "Node title.input=value"]... [--output DIR]
    python headless.py convert FILE [--output FILE] [--overwrite]
    python headless.py literature --models DIR --output DIR [--count N] [--prompts FILE] ...
    python headless.py benchmark GRAPH.json --count N (--ray [ADDRESS] | --servers URL,URL) ...
    python headless.py doctor [--models DIR | --comfyui PATH] [--json]

Progress goes to stderr, and one JSON object to stdout: {"outputs": {node id: {"title", "images", "text", ...}},
"seconds"}, for convert {"converted": {"file", "tensors", "bytes", "notes"}, "seconds"}, or {"error": {...}}; literature
and doctor write a page of text, and JSON if it is asked for. Exit code 0: done; 1: a node, the conversion or a system
failed, or a model file is of no use; 2: the call or the graph is invalid; 3: a score missed its threshold (Score Gate);
130: stopped.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import importlib.abc
import importlib.util
import json
import os
import signal
import sys
import time
import traceback
from collections.abc import Iterator, Sequence
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any

ROOT = Path(__file__).resolve().parent
# By its own file and name: the pack asks at import whether ComfyUI is there, so what starts ComfyUI comes before it.
FILES = {"trilemma": ROOT / "__init__.py", "trilemma_boot": ROOT / "host" / "boot.py"}
DONE, NODE_FAILED, INVALID, SCORE_MISSED, STOPPED = 0, 1, 2, 3, 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command line; the exit code."""
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    if arguments[:1] == ["convert"]:
        parser, run = _convert_parser(), _convert
        arguments = arguments[1:]
    elif arguments[:1] == ["doctor"]:
        parser, run = _doctor_parser(), _doctor
        arguments = arguments[1:]
    elif arguments[:1] == ["literature"]:
        parser, run = _literature_parser(), _literature
        arguments = arguments[1:]
    elif arguments[:1] == ["benchmark"]:
        parser, run = _benchmark_parser(), _benchmark
        arguments = arguments[1:]
    else:
        parser, run = _parser(), _run
    options = parser.parse_args(arguments)
    started = time.perf_counter()
    # Whatever nodes and libraries print must not mix with the result.
    with contextlib.redirect_stdout(sys.stderr), _this_folder():
        code, result = run(options)
    result["seconds"] = round(time.perf_counter() - started, 3)
    try:
        print(result.get("page") or _json(result), flush=True)
    except BrokenPipeError:
        # Whoever reads has seen enough, as `head` has. Python would complain once more when it closes the stream.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return code


def _json(result: dict[str, Any]) -> str:
    """As characters of their own, where they are whole: titles and prompts may hold halves."""
    text = json.dumps(result, ensure_ascii=False)
    try:
        text.encode()
    except UnicodeEncodeError:
        return json.dumps(result)
    return text


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="headless.py",
        description="Run a saved workflow without a page.",
        epilog="Exit code 0: done; 1: a node failed; 2: the call or the workflow is invalid; 3: a score missed the "
        "threshold of a Score Gate; 130: stopped.",
    )
    parser.add_argument(
        "workflow",
        type=Path,
        metavar="WORKFLOW.json",
        help="saved by the page, or its API export; also a PNG that holds it, or an entry of ComfyUI's history",
    )
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        dest="settings",
        metavar="'TITLE.INPUT=VALUE'",
        help="set an input of the node with this title, or of node '#ID.INPUT=VALUE'; may be repeated",
    )
    parser.add_argument("--input", type=Path, metavar="DIR", help="folder that Load Image reads from")
    parser.add_argument("--output", type=Path, metavar="DIR", help="folder for saved pictures; previews in its temp/")
    parser.add_argument("--models", type=Path, metavar="DIR", help="folder of model folders (sams, checkpoints, ...)")
    parser.add_argument("--comfyui", type=Path, metavar="PATH", help="run by the ComfyUI checkout at this path")
    return parser


def _convert_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="headless.py convert",
        description="Write the weights of a checkpoint as safetensors; none of its code runs.",
    )
    parser.add_argument("file", type=Path, metavar="FILE", help=".pt, .pth, .ckpt, .bin, .tar or .pkl")
    parser.add_argument("--output", type=Path, metavar="FILE", help="a .safetensors file; by default beside FILE")
    parser.add_argument("--overwrite", action="store_true", help="replace the output if it exists")
    return parser


def _convert(options: argparse.Namespace) -> tuple[int, dict[str, Any]]:
    errors = _part("models.errors")
    try:
        done = _part("models.files.converting").convert(options.file, options.output, options.overwrite)
    except (errors.MissingFile, errors.BadInput) as error:
        return INVALID, _complain(str(error))
    except errors.TrilemmaError as error:
        return NODE_FAILED, _complain(str(error))
    except KeyboardInterrupt:
        return STOPPED, _complain("Stopped by the user.")
    facts = {"file": str(done.path.resolve()), "tensors": done.tensors, "bytes": done.bytes, "notes": list(done.notes)}
    return DONE, {"converted": facts}


def _doctor_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="headless.py doctor",
        description="Tell what lies in the model folders, what each file is or why nothing reads it, what published "
        "files are not there and where they are from, and the versions in use.",
        epilog="Exit code 0: every file is read by a loader; 1: some are not; 2: the call is invalid.",
    )
    parser.add_argument("--models", type=Path, metavar="DIR", help="folder of model folders (sams, checkpoints, ...)")
    parser.add_argument("--comfyui", type=Path, metavar="PATH", help="the folders of the ComfyUI checkout at this path")
    parser.add_argument("--json", action="store_true", help="one JSON object in place of a page of text")
    return parser


def _doctor(options: argparse.Namespace) -> tuple[int, dict[str, Any]]:
    if (refused := _boot(options, None, None)) is not None:
        return refused
    pack = importlib.import_module("trilemma")
    if not options.comfyui:
        _part("host.standalone").use_folders(models=options.models)
    doctor = _part("nodes.common.doctor")
    titles = pack.NODE_DISPLAY_NAME_MAPPINGS
    nodes = [(titles[name], node) for name, node in pack.NODE_CLASS_MAPPINGS.items()]
    try:
        found = doctor.examine(nodes, lambda name: print(name, file=sys.stderr))
    except KeyboardInterrupt:
        return STOPPED, _complain("Stopped by the user.")
    unread = any(model["problem"] for model in found["models"])
    return NODE_FAILED if unread else DONE, {"doctor": found} if options.json else {"page": doctor.page(found)}


def _literature_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="headless.py literature",
        description="Draw from every generator that is found, score and time it, and write the table with the "
        "published rows beneath; what was stopped goes on. Published systems whose files are not there are listed.",
        epilog="Exit code 0: all that were found are measured; 1: some failed; 2: the call is invalid; 130: stopped.",
    )
    parser.add_argument("--models", type=Path, metavar="DIR", help="folder of model folders (generators, metrics, ...)")
    parser.add_argument("--comfyui", type=Path, metavar="PATH", help="by the ComfyUI checkout at this path")
    parser.add_argument("--input", type=Path, metavar="DIR", help="folder that --reference is below")
    parser.add_argument("--output", type=Path, metavar="DIR", help="folder for the table, below literature/")
    parser.add_argument("--count", type=int, default=1000, metavar="N", help="samples of each system (1000)")
    parser.add_argument("--seed", type=int, default=0, help="of the first sample (0)")
    parser.add_argument(
        "--prompts", type=Path, metavar="FILE", help="prompts, one to a line, for systems that draw them"
    )
    parser.add_argument(
        "--reference", default="", metavar="FOLDER", help="real pictures; without it the starters' own, and starters"
    )
    parser.add_argument("--extractor", default="", metavar="NAME", help="as Load Feature Extractor lists it")
    parser.add_argument(
        "--system", action="append", default=[], dest="names", metavar="NAME", help="this one alone; may be repeated"
    )
    parser.add_argument("--sort-by", default="fid", metavar="SCORE", help="what ranks (fid)")
    parser.add_argument("--json", action="store_true", help="one JSON object in place of a page of text")
    return parser


def _literature(options: argparse.Namespace) -> tuple[int, dict[str, Any]]:
    if (refused := _boot(options, options.input, options.output)) is not None:
        return refused
    importlib.import_module("trilemma")
    if not options.comfyui:
        temp = options.output and options.output / "temp"
        places = {"input": options.input, "output": options.output, "temp": temp, "models": options.models}
        _part("host.standalone").use_folders(**places)
    literature, errors = _part("nodes.common.literature"), _part("models.errors")
    try:
        wish = literature.asked(
            options.count, options.seed, options.prompts, options.names, not options.reference, options.sort_by
        )
        with _on_sigint(_part("host").interrupt):
            scale = literature.scale_of(options.extractor, options.reference)
            found = literature.run(wish, scale, lambda name: print(name, file=sys.stderr))
    except errors.TrilemmaError as error:
        return INVALID, _complain(str(error))
    except KeyboardInterrupt:
        return STOPPED, _complain("Stopped by the user; the same call goes on.")
    result = {"literature": literature.as_values(found)} if options.json else {"page": literature.page(found)}
    return NODE_FAILED if found.failed else DONE, result


def _benchmark_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="headless.py benchmark",
        description="Draw the samples of a graph's Benchmark Generators by many workers, then run the graph, which "
        "finds them drawn: scores, reports and files are those of the graph alone. What was stopped goes on. This "
        "machine needs the graph's models too, for its report.",
        epilog="The network is used only as you name it: --ray with an address speaks with that cluster, --servers "
        "with these servers and no others; --ray alone stays on this machine. Exit code 0: done; 1: a node or all "
        "workers failed; 2: the call or the graph is invalid; 3: a score missed its threshold; 130: stopped.",
    )
    parser.add_argument("workflow", type=Path, metavar="GRAPH", help="as the page or its API export saved it")
    parser.add_argument("--count", type=int, metavar="N", help="samples of each benchmark (as the graph says)")
    places = parser.add_mutually_exclusive_group(required=True)
    places.add_argument(
        "--ray",
        nargs="?",
        const="local",
        metavar="ADDRESS",
        help="workers of the Ray cluster with this head, such as ray://10.0.0.5:10001, or auto; without an address Ray "
        "on this machine (pip install ray)",
    )
    places.add_argument(
        "--servers",
        metavar="URL,URL",
        help="running ComfyUI servers with this pack: parts go into their queues, and are fetched from them",
    )
    parser.add_argument("--workers", type=int, default=0, metavar="N", help="of Ray (as many as there is room for)")
    parser.add_argument("--cpus", type=int, default=1, metavar="N", help="cores of each worker of Ray (1)")
    parser.add_argument(
        "--gpus", type=float, metavar="SHARE", help="of each worker of Ray: 1, or 0.5 where two share one (1, or none)"
    )
    parser.add_argument(
        "--set", action="append", default=[], dest="settings", metavar="'TITLE.INPUT=VALUE'", help="as for a workflow"
    )
    parser.add_argument("--input", type=Path, metavar="DIR", help="folder of pictures, on every machine of Ray")
    parser.add_argument("--output", type=Path, metavar="DIR", help="folder for reports, and for what is drawn so far")
    parser.add_argument("--models", type=Path, metavar="DIR", help="folder of model folders, on every machine of Ray")
    parser.set_defaults(comfyui=None)
    return parser


def _benchmark(options: argparse.Namespace) -> tuple[int, dict[str, Any]]:
    errors, problems = _part("models.errors"), _part("host.problems")
    runner, nodes, titles = _alone(options)
    workflow, graphs = _part("host.workflow"), _part("nodes.common.benchmark_graph")
    sharded = _part("nodes.common.sharded_benchmark")
    gathered = {}
    try:
        if min(options.count or 2, options.workers + 2, options.cpus + 1, (options.gpus or 0) + 2) < 2:
            raise errors.BadInput("--count has to be at least 2, --cpus 1, and neither --workers nor --gpus negative.")
        graph, _ = workflow.read(options.workflow, nodes, titles)
        graph = graphs.with_count(workflow.with_settings(graph, options.settings, nodes), options.count)
        with _on_sigint(_part("host").interrupt), _crew(options) as workers_of:
            for node_id in graphs.benchmarks_of(graph):
                job = sharded.job_of(graph, node_id, nodes)
                found = sharded.gather(job, workers_of(job), lambda lost: print(lost.reason, file=sys.stderr))
                gathered[node_id] = {"title": job.title, **found._asdict(), "lost": len(found.lost)}
    except (problems.InvalidGraph, errors.BadInput) as error:
        return INVALID, _complain(str(error))
    except problems.NodeFailed as error:
        return NODE_FAILED, {"error": {**vars(error.problem), "inputs": error.inputs}}
    except errors.TrilemmaError as error:
        return NODE_FAILED, _complain(str(error))
    except KeyboardInterrupt:
        return STOPPED, _complain("Stopped by the user; the same call goes on.")
    code, result = _run_graph(graph, None, runner, nodes)
    return code, {**result, "drawn": gathered}


@contextlib.contextmanager
def _crew(options: argparse.Namespace) -> Iterator[Any]:
    """A function that gives the workers of a job."""
    if options.servers is not None:
        servers = _part("host.servers")
        urls = [url.strip() for url in options.servers.split(",") if url.strip()]
        print(f"{len(urls)} servers: {', '.join(urls)}", file=sys.stderr)
        yield lambda job: [servers.Server(url, job.graph_of, job.place_of) for url in urls]
        return
    ray, entry = _part("host.cluster_ray"), ("trilemma.nodes.common.shard_drawer", "ShardDrawer")
    places = {name: path and path.resolve() for name, path in (("input", options.input), ("models", options.models))}
    with ray.cluster(options.ray, options.workers, options.cpus, options.gpus) as (count, share):
        print(f"{count} workers of Ray, each with {share.told()}", file=sys.stderr)

        def workers_of(job: Any) -> list[Any]:
            errand = ray.put(job.errand(places, share.cpus))
            return [ray.RayWorker(number, share, entry, errand) for number in range(1, count + 1)]

        yield workers_of


def _boot(options: argparse.Namespace, inputs: Path | None, outputs: Path | None) -> tuple[int, dict[str, Any]] | None:
    """Starts the ComfyUI that the call names, if it names one; the result where it cannot be."""
    if not options.comfyui:
        return None
    if options.models:
        return INVALID, _complain("--models is for running alone; ComfyUI reads its extra_model_paths.yaml.")
    try:
        importlib.import_module("trilemma_boot").boot(options.comfyui, inputs, outputs)
    except FileNotFoundError as error:
        return INVALID, _complain(str(error))
    return None


def _run(options: argparse.Namespace) -> tuple[int, dict[str, Any]]:
    if (refused := _boot(options, options.input, options.output)) is not None:
        return refused
    pack = importlib.import_module("trilemma")
    if options.comfyui:
        runner = _part("host.executor")
        runner.add_pack(ROOT, pack.NODE_CLASS_MAPPINGS, pack.NODE_DISPLAY_NAME_MAPPINGS)
        node_classes, display_names = runner.known_nodes()
    else:
        runner, node_classes, display_names = _alone(options)
    workflow = _part("host.workflow")
    try:
        graph, page_form = workflow.read(options.workflow, node_classes, display_names)
        graph = workflow.with_settings(graph, options.settings, node_classes)
    except _part("host.problems").InvalidGraph as error:
        return INVALID, _complain(str(error), problems=[vars(problem) for problem in error.problems])
    # Changed inputs would contradict the page's form; then pictures carry the API form alone.
    return _run_graph(graph, None if options.settings else page_form, runner, node_classes)


def _alone(options: argparse.Namespace) -> tuple[ModuleType, dict[str, type], dict[str, str]]:
    """What runs graphs without ComfyUI, in the call's folders; classes and names of the nodes that it knows."""
    pack, core = importlib.import_module("trilemma"), _part("host.core_nodes")
    temp = options.output and options.output / "temp"
    places = {"input": options.input, "output": options.output, "temp": temp, "models": options.models}
    _part("host.standalone").use_folders(**places)
    node_classes = {**core.NODES, **pack.NODE_CLASS_MAPPINGS}
    return _part("host.graph"), node_classes, {**core.DISPLAY_NAMES, **pack.NODE_DISPLAY_NAME_MAPPINGS}


def _run_graph(
    graph: dict[str, Any], page_form: dict[str, Any] | None, runner: ModuleType, node_classes: dict[str, type]
) -> tuple[int, dict[str, Any]]:
    problems = _part("host.problems")
    try:
        with _on_sigint(_part("host").interrupt):
            shown = runner.run(graph, node_classes, page_form, lambda title: print(title, flush=True))
    except problems.InvalidGraph as error:
        return INVALID, _complain(str(error), problems=[vars(problem) for problem in error.problems])
    except problems.NodeFailed as error:
        missed = error.kind == _part("models.errors").ScoreMissed.__name__
        if error.__cause__ and not missed:
            traceback.print_exception(error.__cause__)
        _complain(str(error))
        return SCORE_MISSED if missed else NODE_FAILED, {"error": {**vars(error.problem), "inputs": error.inputs}}
    except KeyboardInterrupt:
        return STOPPED, _complain("Stopped by the user.")
    return DONE, {"outputs": _outputs(graph, shown)}


def _complain(message: str, **details: Any) -> dict[str, Any]:
    # Names and titles may hold halves of characters, which cannot be written.
    message = message.encode("utf-8", "backslashreplace").decode()
    print(message, file=sys.stderr)
    return {"error": {"message": message, **details}}


def _outputs(graph: dict[str, Any], shown: dict[str, dict[str, list[Any]]]) -> dict[str, Any]:
    """What each node showed, with its title, and pictures as absolute paths; without what is for the page's scripts."""
    host = _part("host")
    title_of = _part("host.problems").title_of
    page = _part("nodes.common.showing").PAGE
    folders = {"input": host.input_folder, "output": host.output_folder, "temp": host.temp_folder}
    outputs = {}
    for node_id, ui in shown.items():
        images = [folders[image["type"]]() / image["subfolder"] / image["filename"] for image in ui.get("images", [])]
        # A node of a subgraph that grew while running is not in the graph.
        told = {key: value for key, value in ui.items() if not key.startswith(page)}
        outputs[node_id] = {"title": title_of(node_id, graph.get(node_id, {})), **told}
        if images:
            outputs[node_id]["images"] = [str(image.resolve()) for image in images]
    return outputs


@contextlib.contextmanager
def _on_sigint(interrupt: Any) -> Any:
    """The first Ctrl-C asks the graph to stop at its next step; a second one ends the process at once."""

    def ask(number: int, frame: Any) -> None:
        signal.signal(signal.SIGINT, before)
        interrupt()

    before = signal.signal(signal.SIGINT, ask)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _part(name: str) -> ModuleType:
    return importlib.import_module(f"trilemma.{name}")


class _ThisFolder(importlib.abc.MetaPathFinder):
    """Finds the pack beside this file as `trilemma`, whatever its folder is called and whether or not it was installed.

    Its folder stays off sys.path: `nodes`, `models` and `host` are names of ComfyUI's own modules too.
    """

    def find_spec(self, fullname: str, path: object = None, target: object = None) -> ModuleSpec | None:
        if fullname not in FILES:
            return None
        inside = [str(ROOT)] if fullname == "trilemma" else None
        return importlib.util.spec_from_file_location(fullname, FILES[fullname], submodule_search_locations=inside)


def finder() -> importlib.abc.MetaPathFinder:
    """For `sys.meta_path` of a process that is to know the pack beside this file."""
    return _ThisFolder()


@contextlib.contextmanager
def _this_folder() -> Iterator[None]:
    found = finder()
    sys.meta_path.insert(0, found)
    try:
        yield
    finally:
        sys.meta_path.remove(found)


if __name__ == "__main__":
    sys.path[:] = [entry for entry in sys.path if entry != str(ROOT)]
    sys.exit(main())
