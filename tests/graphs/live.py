"""Queues mutated graphs in a running ComfyUI, one after the other, and tells what came of them.

    python -m trilemma.tests.graphs.live [--count 500] [--first 0] [--folder DIR] [--address HOST:PORT]

Without an address it starts the ComfyUI at COMFYUI_PATH in DIR. Every graph is a line in DIR/live.jsonl; a call with
the same folder goes on where the last one stopped. Exit code 1: there are findings, or the server did not live.
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import json
import shutil
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
from trilemma.models.errors import TrilemmaError
from trilemma.tests.comfyui import server
from trilemma.tests.graphs import mutations, world
from trilemma.tests.graphs.node_graphs import ROOT
from trilemma.tests.graphs.running import CLEAR, kinds_of

PATIENCE = 20.0
"""Seconds, of which there are few where the machine is busy, until a graph is asked to stop."""
GONE = 300.0
"""Seconds after which one that was asked is a finding."""
PACK = "ComfyUI-Trilemma"
"""The folder of the pack, which a traceback names that passes through it."""
EVERY = 50
"""Graphs after each of which the server drops its models and memory is measured."""
HOST_KINDS = ("MissingInput", "torch.OutOfMemoryError")
"""Of errors that the host raises itself in a sentence."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m trilemma.tests.graphs.live", description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=500)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--folder", type=Path, default=ROOT / ".venv" / "graphs_live")
    parser.add_argument("--address")
    options = parser.parse_args()
    folder = options.folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    with contextlib.ExitStack() as held:
        running = server.Server(options.address, folder, folder / "log.txt") if options.address else None
        client = running or held.enter_context(_started(folder))
        done = {line["seed"] for line in _lines(folder)}
        cases = (mutations.case(seed) for seed in range(options.first, options.first + 2 * options.count))
        asked = [case for case in cases if _is_graph(case)][: options.count]
        memory = []
        for place, case in enumerate(asked):
            if case.seed in done:
                continue
            told = {"seed": case.seed, "base": case.base, "done": case.done, **_run(client, case)}
            with open(folder / "live.jsonl", "a") as file:
                file.write(json.dumps(told) + "\n")
            if place % EVERY == EVERY - 1:
                client.free()
                memory.append(_resident(client))
                print(f"{place + 1} graphs, {memory[-1]} MB resident", flush=True)
        client.get("/queue")
    return _report(folder, {case.seed for case in asked})


@contextlib.contextmanager
def _started(folder: Path) -> Iterator[server.Server]:
    checkout = server.comfyui_path()
    if checkout is None:
        raise SystemExit("There is no ComfyUI at COMFYUI_PATH or ~/comfy/ComfyUI.")
    world.prepare(folder / "world", with_models=True)
    base = folder / "base"
    shutil.rmtree(base, ignore_errors=True)
    base.mkdir()
    shutil.copytree(folder / "world" / "input", base / "input")
    (base / "models").symlink_to(folder / "world" / "models")
    with server.running(checkout, base) as running:
        yield running


def _is_graph(case: mutations.Case) -> bool:
    """What the page could send: its own form is turned into this one before."""
    with contextlib.suppress(ValueError, RecursionError):
        return not case.is_page_form and isinstance(json.loads(case.content), dict)
    return False


def _run(client: server.Server, case: mutations.Case) -> dict[str, Any]:
    started = time.monotonic()
    try:
        queued = client.post("/prompt", {"prompt": json.loads(case.content)})
    except server.Refused as refused:
        return _refused(refused.answer)
    except (ValueError, urllib.error.URLError) as error:
        # The host's own failure: it answers 500, with a page and no JSON.
        return {"kind": "host", "text": str(error)[:300], "error": type(error).__name__}
    while not (history := client.get(f"/history/{queued['prompt_id']}")):
        if time.monotonic() - started > GONE:
            return {"kind": "late", "text": "", "error": ""}
        if time.monotonic() - started > PATIENCE:
            client.post("/interrupt", {"prompt_id": queued["prompt_id"]})
            time.sleep(2)
        time.sleep(0.05)
    status = history[queued["prompt_id"]]["status"]
    events = dict(status["messages"])
    if "execution_interrupted" in events:
        return {"kind": "stopped", "text": "", "error": ""}
    if "execution_error" not in events:
        return {"kind": "result", "text": "", "error": ""}
    failure = events["execution_error"]
    said = {"text": failure["exception_message"], "error": failure["exception_type"]}
    ours = failure["exception_type"] in {kind.__name__ for kind in kinds_of(TrilemmaError)}
    if not failure["node_type"].startswith("Trilemma"):
        return {"kind": "failed" if ours else "host", **said}
    named = ours and len(failure["exception_message"].split()) > 3
    kind = "failed" if named or failure["exception_type"] in HOST_KINDS else "foreign"
    return {"kind": kind, **said, "trace": "" if kind == "failed" else "".join(failure["traceback"][-6:])}


def _refused(answer: Any) -> dict[str, Any]:
    """Of an error of the host's check, each of which names the input; a check of ours that raised is a finding."""
    problems = answer.get("node_errors") or {}
    errors = [error for node in problems.values() for error in node["errors"]] if isinstance(problems, dict) else []
    raised = [
        error
        for node in (problems.values() if isinstance(problems, dict) else ())
        for error in node["errors"]
        if error["type"] == "exception_during_validation" and PACK in json.dumps(error)
    ]
    text = "; ".join(f"{error['message']}: {error['details']}" for error in errors) or str(answer.get("error"))
    trace = json.dumps(raised)[:1500] if raised else ""
    return {"kind": "foreign" if raised else "refused", "text": text[:500], "error": "validation", "trace": trace}


def _resident(client: server.Server) -> int:
    """MB of the server's process, which listens at the address."""
    port = int(client.address.rpartition(":")[2])
    for each in psutil.net_connections("tcp"):
        if each.laddr and each.laddr.port == port and each.status == psutil.CONN_LISTEN and each.pid:
            return psutil.Process(each.pid).memory_info().rss // 2**20
    return 0


def _lines(folder: Path) -> list[dict[str, Any]]:
    with contextlib.suppress(FileNotFoundError):
        return [json.loads(line) for line in (folder / "live.jsonl").read_text().splitlines()]
    return []


def _report(folder: Path, asked: set[int]) -> int:
    lines = [line for line in _lines(folder) if line["seed"] in asked]
    kinds = collections.Counter(line["kind"] for line in lines)
    print(f"{len(lines)} graphs in ComfyUI: " + ", ".join(f"{count} {kind}" for kind, count in kinds.most_common()))
    findings = [line for line in lines if line["kind"] not in (*CLEAR, "host")]
    for line in findings:
        print(f"{line['kind']} {line['seed']} {line['base']}: {line['error']}: {line['text'][:200]}")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
