"""Runs the examples by the hundred in one ComfyUI, and tells what its process holds afterwards.

    python -m trilemma.tests.soak [--count 500] [--folder DIR]

It starts the ComfyUI at COMFYUI_PATH in DIR. Every prompt is a line in DIR/prompts.jsonl; a call with the same folder
goes on where the last one stopped, in a new server, which begins with a round of all examples as the first one did.
Every server is judged by itself. Exit code 1: memory grew, something is left, or a prompt failed.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import shutil
import sys
import time
from pathlib import Path
from typing import Any

from trilemma.tests.comfyui import server
from trilemma.tests.graphs.node_graphs import ROOT
from trilemma.tests.soak import prompts, verdict

HERE = Path(__file__).resolve().parent
SECONDS = 1200.0
"""After which a prompt that says nothing is given up."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m trilemma.tests.soak", description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=500)
    parser.add_argument("--folder", type=Path, default=ROOT / ".venv" / "soak")
    options = parser.parse_args()
    checkout = server.comfyui_path()
    if checkout is None:
        raise SystemExit("There is no ComfyUI at COMFYUI_PATH or ~/comfy/ComfyUI.")
    return run(checkout, options.folder.resolve(), options.count)


def run(checkout: Path, folder: Path, count: int) -> int:
    folder.mkdir(parents=True, exist_ok=True)
    done = len(lines(folder))
    if done < count:
        base = folder / "base"
        shutil.rmtree(base, ignore_errors=True)
        base.mkdir()
        with server.running(checkout, base, (HERE / "state_pack",)) as live:
            for place, name in enumerate(prompts.order(count - done), done):
                _write(folder, one(live, name, place))
                if (place + 1 - done) % len(prompts.NAMES) == 0 or place + 1 == count:
                    _write(folder, freed(live, place))
    return verdict.report(lines(folder, freed_too=True))


def one(live: server.Server, name: str, place: int) -> dict[str, Any]:
    """Runs an example; what the process held after it."""
    before = live.get("/soak_state")["seconds"]
    started = time.monotonic()
    told: dict[str, Any] = {"place": place, "example": name, "outcome": "done"}
    try:
        run = live.run(prompts.moved(name, place + 1), seconds=SECONDS)
    except server.Refused as refused:
        told |= {"outcome": "refused", "error": str(refused)[:1000]}
    else:
        told["cached"] = sum(len(data["nodes"]) for data in run.data("execution_cached"))
        for failure in run.data("execution_error"):
            # The thresholds of examples are those of their own seeds.
            missed = failure["exception_type"] == "ScoreMissed"
            told |= {"outcome": "gate"} if missed else {"outcome": "failed", "error": failure["exception_message"]}
    clock = round(time.monotonic() - started, 2)
    # The host keeps the graphs and texts of its last 10,000 prompts, which are no one's leak.
    live.post("/history", {"clear": True})
    state = live.get("/soak_state")
    return {**told, **state, "clock": clock, "seconds": round(state["seconds"] - before, 2)}


def freed(live: server.Server, place: int) -> dict[str, Any]:
    """What the process holds once the host has dropped models and cached results."""
    live.free()
    return {"place": place, "freed": True, **live.get("/soak_state?tidy=1")}


def _write(folder: Path, line: dict[str, Any]) -> None:
    with open(folder / "prompts.jsonl", "a") as file:
        file.write(json.dumps(line) + "\n")


def lines(folder: Path, freed_too: bool = False) -> list[dict[str, Any]]:
    with contextlib.suppress(FileNotFoundError):
        told = [json.loads(line) for line in (folder / "prompts.jsonl").read_text().splitlines()]
        return [line for line in told if freed_too or "freed" not in line]
    return []


if __name__ == "__main__":
    sys.exit(main())
