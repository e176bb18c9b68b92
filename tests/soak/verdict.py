"""What the lines of a soak say: whether memory grew, and whether anything was left.

Memory is compared after the same examples, early and late, for each leaves its own height; and once more with all
models and results dropped, which tells what is lost from what is kept. What the first run of an example imports is no
growth, nor is what the second one adds, which finds the allocator's arenas no longer empty and lays its largest blocks
beside what is there; a third finds room. Bytes that are allocated within them are told too.
"""

from __future__ import annotations

import collections
import statistics
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any, NamedTuple

Line = dict[str, Any]

GROWTH = 0.02
"""Share by which memory may be higher."""
WARM = 2
"""How often every example has been run when memory is compared."""
MB = 2**20


class Growth(NamedTuple):
    """Bytes early and late, of so many examples."""

    early: float
    late: float
    examples: int

    @property
    def share(self) -> float:
        return self.late / self.early - 1

    def __str__(self) -> str:
        return f"{self.early / MB:,.0f} to {self.late / MB:,.0f} MB, {self.share:+.1%}"


def servers(lines: Sequence[Line]) -> Iterator[list[Line]]:
    """The lines of each server's process."""
    for _, told in groupby(lines, key=lambda line: line["process"]):
        yield list(told)


def warmed_up(lines: Sequence[Line]) -> list[Line]:
    """Those after every example was run WARM times."""
    names = [line.get("example", "") for line in lines]
    places = {name: [place for place, each in enumerate(names) if each == name] for name in {*names} - {""}}
    if any(len(each) < WARM for each in places.values()):
        return []
    return list(lines[1 + max(each[WARM - 1] for each in places.values()) :])


def growth(lines: Sequence[Line]) -> Growth | None:
    """Of resident memory, from the first third of each example's prompts to the last third: the mean over examples of
    the medians. None: no example was run twice."""
    read: dict[str, list[int]] = {}
    for line in lines:
        if "freed" not in line:
            read.setdefault(line["example"], []).append(line["rss"])
    early, late = [], []
    for values in read.values():
        third = -(-len(values) // 3)
        if len(values) > 1:
            early.append(statistics.median(values[:third]))
            late.append(statistics.median(values[-third:]))
    return Growth(statistics.mean(early), statistics.mean(late), len(early)) if early else None


def left(lines: Sequence[Line]) -> list[str]:
    """What is there at the end, all dropped, that was not there the first time that all was; models at all."""
    dropped = [line for line in lines if "freed" in line]
    if len(dropped) < 2:
        return []
    first, last = dropped[0], dropped[-1]
    found = [f"{last[what]} {what}" for what in ("loaded", "patchers") if last[what]]
    found += [
        f"{what}: {first[what]}, then {last[what]}" for what in ("threads", "handles") if last[what] > first[what]
    ]
    more = collections.Counter(last["files"]) - collections.Counter(first["files"])
    return found + [f"open: {file}" for file in more.elements()]


def kinds_that_grew(lines: Sequence[Line]) -> list[str]:
    """Classes that have as many more objects at the end, all dropped, as a third of the prompts between."""
    dropped = [line for line in lines if "freed" in line]
    if len(dropped) < 2:
        return []
    first, last = dropped[0], dropped[-1]
    most = max((last["place"] - first["place"]) // 3, 1)
    more = {name: count - first["kinds"].get(name, 0) for name, count in last["kinds"].items()}
    return [f"{name} +{count}" for name, count in sorted(more.items(), key=lambda each: -each[1]) if count >= most]


def report(lines: Sequence[Line]) -> int:
    """Prints what came of each server; 1 if something did that should not."""
    problems = [
        f"{line['place']} {line['example']}: {line['outcome']}: {line['error']}" for line in lines if "error" in line
    ]
    for told in servers(lines):
        problems += _of_server(told)
    for problem in problems:
        print(f"finding: {problem}")
    return 1 if problems else 0


def _of_server(lines: Sequence[Line]) -> list[str]:
    prompts = [line for line in lines if "freed" not in line]
    dropped = [line for line in lines if "freed" in line]
    seconds = sum(line["seconds"] for line in prompts)
    outcomes = collections.Counter(line["outcome"] for line in prompts)
    examples = {line["example"] for line in prompts}
    print(f"{len(prompts)} prompts of {len(examples)} examples, {seconds:.0f} s of processor time: {dict(outcomes)}")
    print(f"all dropped, MB resident: {[line['rss'] // MB for line in dropped]}")
    print(f"threads, handles: {[(line['threads'], line['handles']) for line in dropped]}")
    print(f"objects: {[line['objects'] for line in dropped]}; more of: {kinds_that_grew(lines)[:20]}")
    warm = warmed_up(lines)
    found = growth(warm)
    if found is None:
        print(f"Of memory nothing is said before every example was run {WARM} times and some of them twice more.")
        return left(lines)
    print(f"resident after the same {found.examples} examples: {found}")
    problems = left(lines) + ([f"resident memory grew: {found}"] if found.share >= GROWTH else [])
    for name, what in (("resident", "rss"), ("allocated", "allocated")):
        read = [line[what] for line in warm if "freed" in line and what in line]
        if len(read) > 1:
            found = Growth(read[0], read[-1], len(examples))
            print(f"{name}, all dropped: {found}")
            problems += [f"{name} memory that is not given back grew: {found}"] if found.share >= GROWTH else []
    return problems
