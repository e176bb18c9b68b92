"""`python -m tests.benchmarks` from the repository's root: times and peak memory as Markdown tables.

Fails when a promised ratio is not reached.
"""

import sys

import torch

from . import crops, detection, extraction, masks, memory, restoration, sampling, scores, segmentation


def main() -> int:
    torch.set_num_threads(1)  # the references run on one
    score_rows, memory_rows = scores.rows()
    rows = [*masks.rows(), *segmentation.rows(), *detection.rows(), *sampling.rows(), *extraction.rows(), *score_rows]
    print("| what | reference, ms | ours, ms | times faster | promised |")
    print("|---|---|---|---|---|")
    for what, times, promised in rows:
        milliseconds = f"{1000 * times.reference:.0f} | {1000 * times.ours:.1f}"
        print(f"| {what} | {milliseconds} | {times.ratio:.3g} | {promised:.3g} |")
    print("\n| what | reference, MB | ours, MB | times less | promised |")
    print("|---|---|---|---|---|")
    for what, peaks, promised in memory_rows:
        megabytes = f"{peaks.reference / 1e6:.0f} | {peaks.ours / 1e6:.1f}"
        print(f"| {what} | {megabytes} | {peaks.ratio:.3g} | {promised:.3g} |")
    growths = memory.rows()
    print(f"\n| what | {memory.FEW:,} images, MB | {memory.MANY:,} images, MB | times more | at most |")
    print("|---|---|---|---|---|")
    for what, growth, at_most in growths:
        print(f"| {what} | {growth.few / 1e6:.0f} | {growth.many / 1e6:.0f} | {growth.ratio:.3f} | {at_most:.3g} |")
    cuts = crops.rows()
    print(f"\n| what, without the copy | {crops.SMALL} px, ms | {crops.LARGE} px, ms | times more | at most |")
    print("|---|---|---|---|---|")
    for what, times, at_most in cuts:
        milliseconds = f"{1000 * times.small:.0f} | {1000 * times.large:.0f}"
        print(f"| {what} | {milliseconds} | {times.ratio:.2f} | {at_most:.3g} |")
    drifts = restoration.rows()
    print(f"\n| Restore Unedited, {restoration.DRIFTS} drifts | mean | worst | at most |")
    print("|---|---|---|---|")
    for what, found, at_most in drifts:
        print(f"| {what} | {found.mean:.3f} | {found.worst:.3f} | {at_most:.3g} |")
    missed = any(found.worst > at_most for _, found, at_most in drifts)
    missed |= any(times.ratio > at_most for _, times, at_most in cuts)
    missed |= any(measured.ratio < promised for _, measured, promised in [*rows, *memory_rows])
    return int(missed or any(growth.ratio > at_most for _, growth, at_most in growths))


if __name__ == "__main__":
    sys.exit(main())
