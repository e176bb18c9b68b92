"""`python -m tests.benchmarks` from the repository's root: times and peak memory as Markdown tables.

Names of this folder's files, `python -m tests.benchmarks crops masks`, choose some of them. Fails when a promised ratio
is not reached.
"""

import sys
from collections.abc import Sequence
from typing import Final

import torch

from . import (
    adm,
    cluster,
    codes,
    crops,
    detection,
    extraction,
    grounded,
    guidance,
    loading,
    masks,
    memory,
    published_segmenters,
    restoration,
    retrieval,
    sampling,
    scores,
    segmentation,
    stable_diffusion,
    stylegan,
)

TIMES: Final = {
    "masks": masks.rows,
    "segmentation": segmentation.rows,
    "detection": detection.rows,
    "grounded": grounded.rows,
    "crops": crops.comparisons,
    "sampling": sampling.rows,
    "codes": codes.rows,
    "guidance": guidance.rows,
    "adm": adm.rows,
    "loading": loading.rows,
    "extraction": extraction.rows,
    "stylegan": stylegan.rows,
    "retrieval": retrieval.rows,
    "cluster": cluster.rows,
}
TIMES_AND_PEAKS: Final = {
    "published_segmenters": published_segmenters.rows,
    "stable_diffusion": stable_diffusion.rows,
    "scores": scores.rows,
}
OTHERS: Final = ("memory", "restoration")


def main(chosen: Sequence[str]) -> int:
    known = (*TIMES, *TIMES_AND_PEAKS, *OTHERS)
    if not set(chosen) <= set(known):
        sys.exit(f"{' '.join(chosen)}: the benchmarks are {', '.join(known)}")
    chosen = chosen or known
    torch.set_num_threads(1)  # the references run on one
    rows = [row for name, compared in TIMES.items() if name in chosen for row in compared()]
    memory_rows = []
    for name, compared in TIMES_AND_PEAKS.items():
        if name in chosen:
            times, peaks = compared()
            rows += times
            memory_rows += peaks
    _table(
        "what | reference, ms | ours, ms | times faster | promised",
        [
            f"{what} | {1000 * times.reference:.0f} | {1000 * times.ours:.1f} | {times.ratio:.3g} | {promised:.3g}"
            for what, times, promised in rows
        ],
    )
    _table(
        "what | reference, MB | ours, MB | times less | promised",
        [
            f"{what} | {peaks.reference / 1e6:.0f} | {peaks.ours / 1e6:.1f} | {peaks.ratio:.3g} | {promised:.3g}"
            for what, peaks, promised in memory_rows
        ],
    )
    growths = memory.rows() if "memory" in chosen else []
    _table(
        f"what | {memory.FEW:,} images, MB | {memory.MANY:,} images, MB | times more | at most",
        [
            f"{what} | {growth.few / 1e6:.0f} | {growth.many / 1e6:.0f} | {growth.ratio:.3f} | {at_most:.3g}"
            for what, growth, at_most in growths
        ],
    )
    taken = loading.peaks() if "loading" in chosen else []
    _table(
        "what | file, MB | peak of resident memory, MB | times the file | at most",
        [
            f"{what} | {found.file / 1e6:.0f} | {found.peak / 1e6:.0f} | {found.ratio:.3g} | {at_most:.3g}"
            for what, found, at_most in taken
        ],
    )
    cuts = crops.rows() if "crops" in chosen else []
    _table(
        f"what, without the copy | {crops.SMALL} px, ms | {crops.LARGE} px, ms | times more | at most",
        [
            f"{what} | {1000 * times.small:.0f} | {1000 * times.large:.0f} | {times.ratio:.2f} | {at_most:.3g}"
            for what, times, at_most in cuts
        ],
    )
    drifts = restoration.rows() if "restoration" in chosen else []
    _table(
        f"Restore Unedited, {restoration.DRIFTS} drifts | mean | worst | at most",
        [f"{what} | {found.mean:.3f} | {found.worst:.3f} | {at_most:.3g}" for what, found, at_most in drifts],
    )
    missed = any(found.worst > at_most for _, found, at_most in drifts)
    missed |= any(times.ratio > at_most for _, times, at_most in cuts)
    missed |= any(found.ratio > at_most for _, found, at_most in taken)
    missed |= any(measured.ratio < promised for _, measured, promised in [*rows, *memory_rows])
    return int(missed or any(growth.ratio > at_most for _, growth, at_most in growths))


def _table(head: str, lines: Sequence[str]) -> None:
    if lines:
        print("", f"| {head} |", "|---" * len(head.split(" | ")) + "|", *(f"| {line} |" for line in lines), sep="\n")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
