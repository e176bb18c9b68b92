"""Writers and runs on a disk that fills up: `python -m trilemma.tests.faults.full_disk FOLDER MOMENTS`.

FOLDER: of a small file system of its own, such as a tmpfs. One line of JSON for each writer and run on stdout: how
often the disk was full, how often the rest sufficed, and what was wrong.
"""

from __future__ import annotations

import json
import os
import random
import re
import shutil
import sys
from pathlib import Path
from typing import Any

import torch
from trilemma.models.errors import CannotDo
from trilemma.tests.faults.killing import hidden, visible
from trilemma.tests.faults.test_killed_runs import RUNS
from trilemma.tests.faults.writers import WRITERS, Writer

TOLD = re.compile(
    r"cannot be written into (?P<folder>.+) \(.*[Nn]o space left on device.*\); make room there, or choose"
)
FORESEEN = re.compile(r"needs [\d,]+ bytes, but its disk has [\d,]+ free; make room")
RESUMED = ("Benchmark Generator", "shards of a benchmark", "features of a queue")
BLOCK = 4096


def main() -> None:
    torch.set_num_threads(1)
    root, count = Path(sys.argv[1]), int(sys.argv[2])
    for name, writer in WRITERS.items():
        print(json.dumps({"name": name, **_filled(name, root, count, writer)}), flush=True)
    for name in RESUMED:
        print(json.dumps({"name": name, **_resumed(name, root, count)}), flush=True)


def _filled(name: str, root: Path, count: int, writer: Writer) -> dict[str, Any]:
    """Writes the second version beside or over the first, with too little room for it."""
    rng, full, sufficed, wrong = random.Random(name), 0, 0, []
    folder = root / "place"
    for _ in range(count):
        before, after, size = _begun(folder, writer)
        _fill(root, rng.randrange(size))
        case = f"{_free(root)} bytes free of {size}"
        try:
            writer.write(folder, 2)
            sufficed += 1
        except Exception as error:
            full += 1
            wrong += [f"{case}: {said}" for said in _unclear(error, root)]
        found = visible(folder)
        wrong += [
            f"{case}: {file} is neither" for file in found if found[file] not in (before.get(file), after.get(file))
        ]
        wrong += [f"{case}: {file} is lost" for file in before.keys() - found.keys()]
        wrong += [f"{case}: {each} is left" for each in hidden(folder) if ".part" in each]
        (root / "filler").unlink()
        try:
            writer.write(folder, 3)
        except Exception as error:
            wrong.append(f"{case}: then, with room, {type(error).__name__}: {error}")
        shutil.rmtree(folder)
    return {"full": full, "sufficed": sufficed, "wrong": wrong}


def _resumed(name: str, root: Path, count: int) -> dict[str, Any]:
    """A run that finds the disk full on its way, and goes on when there is room."""
    rng, full, sufficed, wrong = random.Random(name), 0, 0, []
    folder, once, run = root / "place", root / "once", RUNS[name]
    once.mkdir()
    run.work(once)
    size = _size(once)
    for _ in range(count):
        folder.mkdir()
        _fill(root, rng.randrange(size))
        case = f"{_free(root)} bytes free of {size}"
        try:
            run.work(folder)
            sufficed += 1
        except Exception as error:
            full += 1
            wrong += [f"{case}: {said}" for said in _unclear(error, root)]
        visible(folder)
        wrong += [f"{case}: {each} is left" for each in hidden(folder) if ".part" in each]
        (root / "filler").unlink()
        run.work(folder)
        run.same(folder, once)
        shutil.rmtree(folder)
    shutil.rmtree(once)
    return {"full": full, "sufficed": sufficed, "wrong": wrong}


def _unclear(error: Exception, root: Path) -> list[str]:
    """What is wrong with what a user is told."""
    if not isinstance(error, CannotDo):
        return [f"{type(error).__name__}: {error}"]
    told = TOLD.search(str(error))
    named = told and Path(told["folder"]).is_relative_to(root) and ".part" not in told["folder"]
    return [] if named or FORESEEN.search(str(error)) else [f"said {error}"]


def _begun(folder: Path, writer: Writer) -> tuple[dict[str, Any], dict[str, Any], int]:
    """A folder with the first version; what is visible in it, what would be after the second, and its size."""
    folder.mkdir()
    for version in (3, 2, 1):
        writer.prepare(folder, version)
    writer.write(folder, 1)
    before = visible(folder)
    copy = folder.with_name("copy")
    shutil.copytree(folder, copy)
    writer.write(copy, 2)
    after = visible(copy)
    size = sum(_size(copy / file) for file in after if after[file] != before.get(file))
    shutil.rmtree(copy)
    return before, after, size


def _size(path: Path) -> int:
    """Bytes that a file, or all in a folder, take on the disk."""
    files = [path] if path.is_file() else [each for each in path.rglob("*") if each.is_file()]
    return sum(-(-each.stat().st_size // BLOCK) * BLOCK for each in files)


def _free(root: Path) -> int:
    told = os.statvfs(root)
    return told.f_bavail * told.f_frsize


def _fill(root: Path, left: int) -> None:
    """Takes all but so many bytes of the disk."""
    size = max(0, _free(root) - left)
    with open(root / "filler", "wb") as file:
        os.posix_fallocate(file.fileno(), 0, max(1, size))


if __name__ == "__main__":
    main()
