"""The tables that benchmarks print: one line for each thing measured, missed promises in bold."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from trilemma.tests.benchmarks.timing import Comparison, Peaks


class Measured(Protocol):
    """What a promise is compared with."""

    @property
    def ratio(self) -> float: ...


M = TypeVar("M", bound=Measured)


@dataclass(frozen=True)
class Table:
    """head: of the columns, " | " between them; lines: likewise; missed: whether a promise of one was not kept."""

    head: str
    lines: Sequence[str]
    missed: bool

    def __str__(self) -> str:
        return "\n".join(
            (f"| {self.head} |", "|---" * len(self.head.split(" | ")) + "|", *map("| {} |".format, self.lines))
        )


def at_least(head: str, rows: Iterable[tuple[str, M, float]], told: Callable[[M], str]) -> Table:
    """Ratios that are promised to be no less; `told` gives the columns before the ratio."""
    return _table(f"{head} | promised", rows, told, lambda ratio, promised: ratio >= promised)


def at_most(head: str, rows: Iterable[tuple[str, M, float]], told: Callable[[M], str]) -> Table:
    """Ratios that are promised to be no more."""
    return _table(f"{head} | at most", rows, told, lambda ratio, promised: ratio <= promised)


def _table(
    head: str, rows: Iterable[tuple[str, M, float]], told: Callable[[M], str], kept: Callable[[float, float], bool]
) -> Table:
    lines, missed = [], False
    for what, measured, promised in rows:
        good = kept(measured.ratio, promised)
        missed |= not good
        ratio = f"{measured.ratio:.3g}" if good else f"**{measured.ratio:.3g}**"
        lines.append(f"{what} | {told(measured)} | {ratio} | {promised:.3g}")
    return Table(head, lines, missed)


def times(rows: Iterable[tuple[str, Comparison, float]]) -> Table:
    """Of a reference beside ours."""
    head = "what | reference, ms | ours, ms | times faster"
    return at_least(head, rows, lambda found: f"{1000 * found.reference:,.0f} | {1000 * found.ours:,.1f}")


def peaks(rows: Iterable[tuple[str, Peaks, float]]) -> Table:
    """Of a reference beside ours."""
    head = "what | reference, MB | ours, MB | times less"
    return at_least(head, rows, lambda found: f"{found.reference / 1e6:,.0f} | {found.ours / 1e6:,.1f}")
