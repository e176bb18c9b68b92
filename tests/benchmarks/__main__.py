"""`python -m tests.benchmarks` from the repository's root: times, as a Markdown table on standard output.

Fails when a promised ratio is not reached.
"""

import sys

import torch

from .. import conftest  # noqa: F401 (imports the pack as `trilemma`)
from . import masks, sampling


def main() -> int:
    torch.set_num_threads(1)  # the references run on one
    rows = [*masks.rows(), *sampling.rows()]
    print("| what | reference, ms | ours, ms | times faster | promised |")
    print("|---|---|---|---|---|")
    for what, times, promised in rows:
        milliseconds = f"{1000 * times.reference:.0f} | {1000 * times.ours:.1f}"
        print(f"| {what} | {milliseconds} | {times.ratio:.3g} | {promised:.3g} |")
    return int(any(times.ratio < promised for _, times, promised in rows))


if __name__ == "__main__":
    sys.exit(main())
