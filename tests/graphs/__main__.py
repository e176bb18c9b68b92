"""Runs thousands of mutated graphs in worker processes that are watched, and tells what came of them.

    python -m trilemma.tests.graphs [--count 5000] [--first 0] [--folder DIR] [--workers 2]

Every graph is a line in DIR/outcomes.jsonl; a call with the same folder goes on where the last one stopped. A worker
that dies, or says nothing for ten minutes, is replaced, and its graph is a finding. Exit code 1: there are findings
other than `late`, which are told: a step may be long. Workers are forked, which Windows cannot.
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import ctypes
import gc
import json
import multiprocessing
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import torch
from trilemma.tests.graphs import mutations, running, world
from trilemma.tests.graphs.node_graphs import ROOT

SILENT = 600.0
"""Seconds without a graph done, beyond which a worker hangs."""
MEMORY = 6 * 2**30
"""Bytes of address space that a worker may take beyond what it has when it begins."""
WARM = 100
"""Graphs after each of which memory is measured; it begins with the second measure."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m trilemma.tests.graphs", description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=5000)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--folder", type=Path, default=ROOT / ".venv" / "graphs")
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    folder = options.folder.resolve()
    torch.set_num_threads(1)
    world.prepare(folder / "world", with_models=True)
    world.use(folder / "world")
    running.warm_up(folder)
    wanted = range(options.first, options.first + options.count)
    _supervise(folder, wanted, options.workers)
    return _report(folder, wanted)


def _supervise(folder: Path, wanted: range, count: int) -> None:
    over: set[int] = set()
    workers = {number: _start(folder, wanted, number, count) for number in range(count)}
    while len(over) < count:
        for number in set(range(count)) - over:
            worker = workers[number]
            silent = time.time() - (folder / f"now_{number}").stat().st_mtime > SILENT
            if silent:
                worker.kill()
                worker.join()
            if worker.is_alive():
                continue
            if worker.exitcode == 0:
                over.add(number)
                continue
            told = json.loads((folder / f"now_{number}").read_text())
            if told["seed"] < 0:
                raise SystemExit(f"A worker died before its first graph, with exit code {worker.exitcode}.")
            said = {"kind": "hangs" if silent else "died", "text": f"exit code {worker.exitcode}"}
            _write(folder, {**told, **said, "error": "", "trace": ""})
            workers[number] = _start(folder, wanted, number, count)
        time.sleep(1)


def _start(folder: Path, wanted: range, number: int, count: int) -> multiprocessing.process.BaseProcess:
    (folder / f"now_{number}").write_text('{"seed": -1}')
    worker = multiprocessing.get_context("fork").Process(target=_work, args=(folder, wanted, number, count))
    worker.start()
    return worker


def _work(folder: Path, wanted: range, number: int, count: int) -> None:
    """Every `count`th of the graphs that have no line yet."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _limit_memory()
    own = folder / f"work_{number}"
    own.mkdir(exist_ok=True)
    os.chdir(own)
    with open(os.devnull, "w") as nowhere:
        os.dup2(nowhere.fileno(), 2)  # progress bars
    done = {line["seed"] for line in _lines(folder)}
    resident: list[int] = []
    for place, seed in enumerate(seed for seed in wanted if seed % count == number and seed not in done):
        told: dict[str, Any] = {"seed": seed, "base": "", "done": ()}
        (folder / f"now_{number}").write_text(json.dumps(told))
        case = mutations.case(seed)
        told |= {"base": case.base, "done": case.done}
        (folder / f"now_{number}").write_text(json.dumps(told))
        _write(folder, {**told, **running.run(case, own)._asdict()})
        if place % WARM == WARM - 1:
            resident.append(_resident())
    (folder / f"memory_{number}.json").write_text(json.dumps([*resident, _resident()]))


def _limit_memory() -> None:
    with contextlib.suppress(ImportError):
        import resource

        limit = psutil.Process().memory_info().vms + MEMORY
        resource.setrlimit(resource.RLIMIT_AS, (limit, resource.getrlimit(resource.RLIMIT_AS)[1]))


def _resident() -> int:
    """Bytes, once all that can be given back was given back."""
    gc.collect()
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL("libc.so.6").malloc_trim(0)
    return psutil.Process().memory_info().rss


def _write(folder: Path, line: dict[str, Any]) -> None:
    with open(folder / "outcomes.jsonl", "ab") as file:
        file.write((json.dumps(line) + "\n").encode())


def _lines(folder: Path) -> list[dict[str, Any]]:
    with contextlib.suppress(FileNotFoundError):
        return [json.loads(line) for line in (folder / "outcomes.jsonl").read_text().splitlines()]
    return []


def _report(folder: Path, wanted: range) -> int:
    lines = [line for line in _lines(folder) if line["seed"] in wanted]
    kinds = collections.Counter(line["kind"] for line in lines)
    print(f"{len(lines)} graphs: " + ", ".join(f"{count} {kind}" for kind, count in kinds.most_common()))
    seconds = [line.get("seconds", 0.0) for line in lines]
    print(f"{sum(seconds):.0f} s of processor time, {sum(seconds) / max(len(lines), 1):.2f} s each")
    for file in sorted(folder.glob("memory_*.json")):
        sizes = [size // 2**20 for size in json.loads(file.read_text())]
        print(f"{file.stem}: MB resident after each {WARM} graphs: {sizes}")
    findings = [line for line in lines if line["kind"] not in running.CLEAR]
    for line in findings:
        print(f"{line['kind']} {line['seed']} {line['base']}: {line['error']}: {line['text'][:200]}")
    return int(any(line["kind"] != "late" for line in findings))


if __name__ == "__main__":
    sys.exit(main())
