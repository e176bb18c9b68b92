"""What the tests of an accelerator measured, as Markdown tables for BENCHMARKS.md."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from trilemma.tests.device import accelerator

DIFFERENCES: list[tuple[str, str, float, float]] = []
"""Model, dtype, greatest difference from the processor as a share of the largest value, and what is allowed."""
MEMORY: list[tuple[str, str, int, int]] = []
"""Model, size, estimated and measured bytes."""
TIMES: list[tuple[str, float, float]] = []
"""What was done, seconds of the pack and of the plain library."""
NOTES: list[str] = []


class Table(NamedTuple):
    head: str
    rows: list[str]


def table() -> Iterator[str]:
    """The lines; none where nothing was measured."""
    tables = [
        Table(
            "| model | dtype | off by, of the largest value | allowed |",
            [f"| {model} | {dtype} | {off:.1e} | {allowed:.0e} |" for model, dtype, off, allowed in DIFFERENCES],
        ),
        Table(
            "| model | size | estimated, MB | measured, MB | ratio |",
            [
                f"| {model} | {size} | {estimated / 1e6:,.1f} | {measured / 1e6:,.1f} | {estimated / measured:.2f} |"
                for model, size, estimated, measured in MEMORY
            ],
        ),
        Table(
            "| what | the pack, ms | the plain library, ms | times faster |",
            [
                f"| {what} | {1e3 * ours:,.1f} | {1e3 * theirs:,.1f} | {theirs / ours:.2f} |"
                for what, ours, theirs in TIMES
            ],
        ),
    ]
    measured = [one for one in tables if one.rows]
    if measured:
        yield f"Measured on {accelerator.name()}"
    for one in measured:
        columns = one.head.count("|") - 1
        yield from ("", one.head, "|" + "---|" * columns, *one.rows)
    yield from NOTES
