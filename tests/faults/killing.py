"""Processes that are killed at a random moment, as by `kill -9`, and what they leave."""

from __future__ import annotations

import hashlib
import json
import os
import random
import signal
import sys
import time
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from safetensors.torch import load_file

Deed = Callable[[], Any]
CHANGES = ("os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.chmod", "os.utime", "os.truncate")
TIMINGS = ("seconds_per_image", "first_call_seconds", "images_per_second", "timings", "peak_bytes", "peak")
"""What two runs differ in that are right both."""


class Extent(NamedTuple):
    """How long an undisturbed run takes, and how often it opens or changes a file below the folder."""

    seconds: float
    events: int


class Moment(NamedTuple):
    """When to kill: so many seconds after the start, or before the event of this number."""

    seconds: float = 0.0
    event: int = 0


def extent(deed: Deed, folder: Path) -> Extent:
    """Of a run in a process of its own, which nobody kills."""
    reading, writing = os.pipe()

    def counted() -> None:
        count = _on_events(folder)
        began = time.perf_counter()
        deed()
        os.write(writing, f"{time.perf_counter() - began} {count[0]}".encode())

    killed = _forked(counted, Moment())
    os.close(writing)
    with open(reading, "rb") as file:
        seconds, events = file.read().split()
    assert not killed
    return Extent(float(seconds), int(events))


def moments(whole: Extent, count: int, rng: random.Random) -> list[Moment]:
    """Half of them anywhere in time, half of them between two deeds at the disk, in turn."""
    times = [Moment(seconds=rng.uniform(0, whole.seconds)) for _ in range(count - count // 2)]
    events = [Moment(event=rng.randint(1, max(1, whole.events))) for _ in range(count // 2)]
    found = [*times, *events]
    rng.shuffle(found)
    return found


def killed(deed: Deed, moment: Moment, folder: Path) -> bool:
    """Whether a process that runs `deed` was still at it at that moment; then it is dead.

    A copy of this process: it needs a system that has `fork`, and pays for no imports.
    """

    def disturbed() -> None:
        if moment.event:
            _on_events(folder, moment.event)
        deed()

    return _forked(disturbed, moment)


def _on_events(folder: Path, end: int = 0) -> list[int]:
    """Counts what this process does with files below the folder, and kills it before the one of number `end`."""
    count, root = [0], os.fspath(folder)

    def hear(event: str, arguments: tuple[Any, ...]) -> None:
        if event != "open" and event not in CHANGES:
            return
        # Of what lies in an opened folder Python tells a name alone.
        if any(isinstance(each, str | bytes) and (os.fsdecode(each).startswith(root)) for each in arguments[:2]):
            count[0] += 1
            if count[0] == end:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(hear)
    return count


def _forked(deed: Deed, moment: Moment) -> bool:
    sys.stdout.flush()
    child = os.fork()
    if not child:
        try:
            # OpenMP's other threads were not copied.
            torch.set_num_threads(1)
            deed()
        except BaseException:
            os.write(2, traceback.format_exc().encode())
            os._exit(1)
        os._exit(0)
    if moment.seconds:
        ends = time.perf_counter() + moment.seconds
        while time.perf_counter() < ends:
            time.sleep(min(0.0005, moment.seconds))
            if (status := _ended(child)) is not None:
                return _judged(status)
        os.kill(child, signal.SIGKILL)
    return _judged(os.waitpid(child, 0)[1])


def _ended(child: int) -> int | None:
    found, status = os.waitpid(child, os.WNOHANG)
    return status if found else None


def _judged(status: int) -> bool:
    if os.WIFSIGNALED(status):
        assert os.WTERMSIG(status) == signal.SIGKILL, f"ended by signal {os.WTERMSIG(status)}"
        return True
    assert os.WEXITSTATUS(status) == 0, "failed by itself; see above"
    return False


def settle(folder: Path) -> None:
    """Makes what killed writers left old: what is young might be of a living one, which has not come to its lock."""
    for each in folder.rglob(".*.part"):
        os.utime(each, (0, 0))


def hidden(folder: Path) -> list[str]:
    """What killed writers left, and nobody reads."""
    return sorted(
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.name.startswith(".") and path.suffix != ".lock" and path.name != "lock"
    )


def visible(folder: Path) -> dict[str, Any]:
    """Every file that a user, or a later run, takes for one, by its name; read as a whole, else this fails."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    shown = {path.relative_to(folder).as_posix(): path for path in paths}
    return {
        name: content(path)
        for name, path in shown.items()
        if not any(part.startswith(".") for part in Path(name).parts)
    }


def content(path: Path) -> Any:
    """What a file holds, but for how long it took."""
    if path.suffix == ".npz":
        with np.load(path) as held:
            arrays = {name: held[name] for name in held.files}
        texts = {
            name: _timeless(json.loads(str(array[()]))) for name, array in arrays.items() if array.dtype.kind == "U"
        }
        return {name: texts.get(name) or _digest(array.tobytes()) for name, array in arrays.items()}
    if path.suffix == ".safetensors":
        # Its library writes what stands beside the tensors in any order.
        return {name: _digest(value.numpy().tobytes()) for name, value in load_file(path).items()}
    if path.suffix == ".json":
        return _timeless(json.loads(path.read_bytes()))
    return _digest(path.read_bytes())


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:16]


def _timeless(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _timeless(each) for name, each in value.items() if name not in TIMINGS}
    return [_timeless(each) for each in value] if isinstance(value, list) else value
