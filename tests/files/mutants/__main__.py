"""Damaged and forged model files by the hundred thousand: `make test-fuzz`.

    python -m trilemma.tests.files.mutants [--count N] [--formats NAME ...] [--processes N] [--state FILE]
    python -m trilemma.tests.files.mutants --show FORMAT NUMBER

Goes on where the state file says that it stopped. Prints each broken promise as a line of JSON, in the end a table;
exits with 1 if there was any. --show opens one mutant, says what came of it, and writes its files to `mutant/`.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

import torch
from trilemma.tests.files.mutants.judging import Watch, judged, original
from trilemma.tests.files.mutants.making import mutant, seeds_of
from trilemma.tests.files.mutants.running import Count, run
from trilemma.tests.files.mutants.seeds import SEEDS


def table(counts: dict[str, Count]) -> str:
    """Markdown, as SECURITY.md has it."""
    lines = ["| format | files | refused | read, equal | read, other | slowest, s | most memory, MB | findings |"]
    lines.append("|---|---|---|---|---|---|---|---|")
    for kind, count in counts.items():
        numbers = (count.done, count.refused, count.equal, count.other)
        told = " | ".join(f"{number:,}" for number in numbers)
        lines.append(f"| {kind} | {told} | {count.slowest:.2f} | {count.largest / 1e6:.0f} | {len(count.findings)} |")
    return "\n".join(lines)


def show(kind: str, number: int) -> None:
    """Opens one mutant in this process."""
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryDirectory() as empty:
        seeds = seeds_of(kind, Path(empty))
        made = mutant(kind, number, seeds)
        expected = original(kind, made.seed, Path(folder))
        print(kind, number, made.seed.name, made.how, made.keeps)
        kept = Path("mutant")
        kept.mkdir(exist_ok=True)
        for name, raw in made.files.items():
            (kept / name).write_bytes(raw)
        print(*judged(kind, made, expected, Path(folder), Watch()), sep="\n")


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--count", type=int, default=100_000)
    parser.add_argument("--formats", nargs="+", choices=[*SEEDS], default=[*SEEDS])
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--state", type=Path, default=Path("output/mutants.json"))
    parser.add_argument("--show", nargs=2, metavar=("FORMAT", "NUMBER"))
    given = parser.parse_args()
    torch.set_num_threads(1)
    if given.show:
        show(given.show[0], int(given.show[1]))
        return 0
    given.state.parent.mkdir(parents=True, exist_ok=True)
    counts = run(given.formats, given.count, given.state, given.processes)
    print(table(counts))
    return int(any(count.findings for count in counts.values()))


if __name__ == "__main__":
    sys.exit(main())
