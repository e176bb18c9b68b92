"""`python -m tests.benchmarks [NAME ...] [--write]` from the repository's root: times and memory as Markdown tables.

Names of this folder's files, `python -m tests.benchmarks crops masks`, choose some. With `--write` the tables of each
each take their place in BENCHMARKS.md as soon as it is done. Fails when a promise is not kept.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from typing import Any, Final

import torch

from . import (
    adm,
    cluster,
    codes,
    crops,
    detection,
    extraction,
    grounded,
    growth,
    guidance,
    loading,
    masks,
    memory,
    pairs,
    published_segmenters,
    restoration,
    retrieval,
    sampling,
    scores,
    segmentation,
    stable_diffusion,
    stylegan,
    tables,
    writing,
)
from .tables import Table


def _times(rows: Callable[[], Any]) -> Callable[[], list[Table]]:
    return lambda: [tables.times(rows())]


def _times_and_peaks(rows: Callable[[], Any]) -> Callable[[], list[Table]]:
    def both() -> list[Table]:
        times, peaks = rows()
        return [tables.times(times), tables.peaks(peaks)]

    return both


def _crops() -> list[Table]:
    head = f"what, without the copy | {crops.SMALL:,} px, ms | {crops.LARGE:,} px, ms | times more"
    grown = tables.at_most(head, crops.rows(), lambda found: f"{1000 * found.small:.0f} | {1000 * found.large:.0f}")
    return [tables.times(crops.comparisons()), grown]


def _loading() -> list[Table]:
    head = "what | file, MB | peak of resident memory, MB | times the file"
    peaks = tables.at_most(head, loading.peaks(), lambda found: f"{found.file / 1e6:.0f} | {found.peak / 1e6:.0f}")
    return [tables.times(loading.rows()), peaks]


def _memory() -> list[Table]:
    head = f"what | {memory.FEW:,} images, MB | {memory.MANY:,} images, MB | times more"
    return [tables.at_most(head, memory.rows(), lambda found: f"{found.few / 1e6:.0f} | {found.many / 1e6:.0f}")]


def _restoration() -> list[Table]:
    head = f"Restore Unedited, {restoration.DRIFTS} drifts | mean | worst"
    return [tables.at_most(head, restoration.rows(), lambda found: f"{found.mean:.3f}")]


def _growth() -> list[Table]:
    numbers, sizes = growth.rows()
    growth.plot(numbers, sizes)
    return [
        tables.at_most(
            " | ".join(("what", *(f"{size:,}, ms" for size in measured), "should grow by power", "fitted")),
            rows,
            lambda found: " | ".join((*(f"{1000 * each:,.1f}" for each in found.seconds), f"{found.power:g}")),
        )
        for measured, rows in ((growth.COUNTS, numbers), (growth.SIDES, sizes))
    ]


BENCHMARKS: Final[dict[str, Callable[[], list[Table]]]] = {
    "masks": _times(masks.rows),
    "segmentation": _times(segmentation.rows),
    "published_segmenters": _times_and_peaks(published_segmenters.rows),
    "grounded": _times(grounded.rows),
    "detection": _times(detection.rows),
    "sampling": _times(sampling.rows),
    "codes": _times(codes.rows),
    "guidance": _times(guidance.rows),
    "adm": _times(adm.rows),
    "stable_diffusion": _times_and_peaks(stable_diffusion.rows),
    "stylegan": _times(stylegan.rows),
    "retrieval": _times(retrieval.rows),
    "loading": _loading,
    "scores": _times_and_peaks(scores.rows),
    "pairs": _times_and_peaks(pairs.rows),
    "extraction": _times(extraction.rows),
    "memory": _memory,
    "growth": _growth,
    "cluster": _times(cluster.rows),
    "restoration": _restoration,
    "crops": _crops,
}


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__.splitlines()[0])
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help=f"of {', '.join(BENCHMARKS)}; all, where none is named"
    )
    parser.add_argument("--write", action="store_true", help="put the tables into BENCHMARKS.md")
    options = parser.parse_args(arguments)
    if unknown := [name for name in options.names if name not in BENCHMARKS]:
        parser.error(f"{' '.join(unknown)}: the benchmarks are {', '.join(BENCHMARKS)}")
    torch.set_num_threads(1)  # the references run on one
    missed = False
    for name in options.names or BENCHMARKS:
        measured_on = writing.machine()
        found = [table for table in BENCHMARKS[name]() if table.lines]
        print(f"\n{name}: {measured_on}", *found, sep="\n\n", flush=True)
        missed |= any(table.missed for table in found)
        if options.write and found:
            writing.write(name, found, measured_on)
    return int(missed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
