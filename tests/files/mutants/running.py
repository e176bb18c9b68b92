"""Many mutants in processes of their own, so that an end or a standstill of one is known by its number."""

from __future__ import annotations

import json
import multiprocessing
import os
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Final

import psutil
import torch
from trilemma.tests.files.mutants.judging import SECONDS, Watch, judged, original, told
from trilemma.tests.files.mutants.making import Seed, mutant, seeds_of

BLOCK: Final = 1000
"""Mutants that one process opens."""
WALL: Final = 300.0
"""Seconds without an end, however little of them was this process's, after which it is stopped."""
MAX_FINDINGS: Final = 50
"""Findings that are kept of one format."""


@dataclass
class Count:
    """What came of the mutants of a format. slowest: processor seconds; largest: bytes, both of one file."""

    done: int = 0
    equal: int = 0
    other: int = 0
    refused: int = 0
    slowest: float = 0.0
    largest: int = 0
    findings: list[str] = field(default_factory=list)

    def add(self, part: Count) -> None:
        self.equal += part.equal
        self.other += part.other
        self.refused += part.refused
        self.slowest = max(self.slowest, part.slowest)
        self.largest = max(self.largest, part.largest)
        self.findings = [*self.findings, *part.findings][:MAX_FINDINGS]


def memory_folder() -> str | None:
    """Where files cost no disk, if there is such a place."""
    return "/dev/shm" if os.access("/dev/shm", os.W_OK) else None


def count_here(kind: str, seeds: Sequence[Seed], numbers: range, on_each: Callable[[int], None] | None = None) -> Count:
    """Opens these mutants in this process, one after the other."""
    count, watch = Count(), Watch()
    home = Path.cwd()
    with tempfile.TemporaryDirectory(dir=memory_folder()) as made:
        folder = Path(made)
        os.chdir(folder)
        try:
            expected = [original(kind, seed, folder) for seed in seeds]
            for number in numbers:
                if on_each is not None:
                    on_each(number)
                made_now = mutant(kind, number, seeds)
                verdict = judged(kind, made_now, expected[number % len(seeds)], folder, watch)
                setattr(count, verdict.outcome, getattr(count, verdict.outcome) + 1)
                count.slowest, count.largest = max(count.slowest, verdict.seconds), max(count.largest, verdict.memory)
                if verdict.fault:
                    count.findings.append(told(kind, made_now, verdict))
        finally:
            os.chdir(home)
    return count


def _work(kind: str, seeds: Sequence[Seed], numbers: range, at: Any, result: Connection) -> None:
    torch.set_num_threads(1)

    def note(number: int) -> None:
        at.value = number

    result.send(asdict(count_here(kind, seeds, numbers, note)))


class Block:
    """A process that opens a range of mutants of a format."""

    def __init__(self, kind: str, seeds: Sequence[Seed], numbers: range) -> None:
        context = multiprocessing.get_context("fork")
        self.kind, self.seeds, self.numbers = kind, seeds, numbers
        self.at = context.Value("q", numbers.start - 1, lock=False)
        self.result, theirs = context.Pipe(duplex=False)
        self.process = context.Process(target=_work, args=(kind, seeds, numbers, self.at, theirs), daemon=True)
        self.process.start()
        theirs.close()
        self.seen, self.since, self.spent = numbers.start - 1, time.monotonic(), 0.0

    def ended(self) -> Count | None:
        """What came of it, once it has ended or had to be stopped; `done` is how many numbers are behind it."""
        alive = self.process.is_alive()  # before its result is looked for: it may send that and end in between
        if self.result.poll():
            try:
                count = Count(**self.result.recv())
                self.process.join()
                count.done = len(self.numbers)
                return count
            except EOFError:
                self.process.join()
                return self._lost(f"the process ended by {self.process.exitcode}")
        if not alive:
            return self._lost(f"the process ended by {self.process.exitcode}")
        return self._watched()

    def _watched(self) -> Count | None:
        now = time.monotonic()
        try:
            spent = sum(psutil.Process(self.process.pid).cpu_times()[:2])
        except psutil.Error:
            return None
        if self.at.value != self.seen:
            self.seen, self.since, self.spent = self.at.value, now, spent
        if spent - self.spent > SECONDS + 2 or now - self.since > WALL:
            self.process.kill()
            self.process.join()
            return self._lost(f"no end within {SECONDS:.0f} s")
        return None

    def _lost(self, fault: str) -> Count:
        """The mutant that ended a process; those before it in the block are opened again."""
        number = self.at.value
        made = mutant(self.kind, max(number, self.numbers.start), self.seeds)
        facts = {"format": self.kind, "number": number, "seed": made.seed.name, "how": made.how, "fault": fault}
        count = Count(findings=[json.dumps(facts)])
        if number > self.numbers.start:
            again = Block(self.kind, self.seeds, range(self.numbers.start, number))
            while (before := again.ended()) is None:
                time.sleep(0.05)
            count.add(before)
        count.done = number + 1 - self.numbers.start
        return count


def run(kinds: Sequence[str], wanted: int, state: Path, processes: int) -> dict[str, Count]:
    """Every format up to the wanted number of mutants, going on from the state in a file, which is kept up to date."""
    counts = {kind: Count() for kind in kinds}
    if state.is_file():
        counts |= {kind: Count(**told) for kind, told in json.loads(state.read_text()).items()}
    with tempfile.TemporaryDirectory() as folder:
        seeds = {kind: seeds_of(kind, Path(folder)) for kind in kinds}
    running: dict[str, Block] = {}
    while True:
        unfinished = [kind for kind in kinds if counts[kind].done < wanted and kind not in running]
        waiting = sorted((counts[kind].done, kind) for kind in unfinished)
        for done, kind in waiting[: processes - len(running)]:
            running[kind] = Block(kind, seeds[kind], range(done, min(done + BLOCK, wanted)))
        if not running:
            return {kind: counts[kind] for kind in kinds}
        time.sleep(0.05)
        for kind, block in [*running.items()]:
            if (part := block.ended()) is not None:
                del running[kind]
                counts[kind].add(part)
                counts[kind].done += part.done
                _keep(state, counts)
                for finding in part.findings:
                    print(finding, flush=True)


def _keep(state: Path, counts: dict[str, Count]) -> None:
    part = state.with_suffix(".part")
    part.write_text(json.dumps({kind: asdict(count) for kind, count in counts.items()}, indent=1))
    part.replace(state)
