"""Peak resident memory of scoring few and many images: what is kept must not grow with their number.

`python -m tests.benchmarks.memory 5000` scores so many in a process of its own and prints the peak in bytes.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch

FEW, MANY = 5_000, 50_000
AT_MOST = 1.05
"""Times the peak of FEW that MANY may take."""
BATCH = 50
SIDE = 32
STARTER = "starter emoji classifier"


@dataclass(frozen=True)
class Growth:
    """Peak resident bytes at both numbers of images."""

    few: int
    many: int

    @property
    def ratio(self) -> float:
        return self.many / self.few


def peak(count: int) -> int:
    """Peak resident bytes of a new process that scores `count` images."""
    command = [sys.executable, "-m", "tests.benchmarks.memory", str(count)]
    root = Path(__file__).resolve().parents[2]
    return int(subprocess.run(command, cwd=root, capture_output=True, text=True, check=True).stdout.split()[-1])


def compare_memory(few: int = FEW, many: int = MANY) -> Growth:
    """Both numbers, each in a process of its own."""
    return Growth(peak(few), peak(many))


def rows() -> list[tuple[str, Growth, float]]:
    """What is compared, the peaks, and the greatest ratio that is promised."""
    return [(f"FID, KID and IS by the {STARTER}, peak resident memory", compare_memory(), AT_MOST)]


def score(count: int) -> tuple[float, float, float]:
    """FID, KID and Inception score of `count` pictures of noise that are drawn when they are wanted."""
    from trilemma.models.files import catalog
    from trilemma.models.scoring.extractors.loading import EXTRACTORS
    from trilemma.models.scoring.features.extraction import Named, accumulate
    from trilemma.models.scoring.features.feature_set import Features, gaussian_of
    from trilemma.models.scoring.metrics.frechet import frechet_distance
    from trilemma.models.scoring.metrics.inception_score import inception_score
    from trilemma.models.scoring.metrics.kernel import kernel_inception_distance

    extractor = EXTRACTORS.load(catalog.starter_folder("extractor", STARTER)).with_resize("clean")

    def drawn(seed: int, total: int) -> Iterator[Named]:
        generator = torch.Generator().manual_seed(seed)
        for index in range(total):
            pixels = torch.randint(256, (SIDE, SIDE, 3), generator=generator, dtype=torch.uint8)
            yield Named(f"image {index} of {seed}", index, pixels)

    def taken(seed: int, total: int) -> Features:
        return accumulate(extractor, drawn(seed, total), (extractor.main,), f"noise {seed}", BATCH)

    reference, generated = taken(0, FEW), taken(1, count)
    fid = frechet_distance(gaussian_of(generated.taps[0]), gaussian_of(reference.taps[0]))
    kid = kernel_inception_distance(generated.rows.values, reference.rows.values, seed=0)
    return fid, kid.mean, inception_score(*generated.classes).mean


def _peak_of_this_process() -> int:
    # Not getrusage: its peak begins with that of the process which started this one.
    status = Path("/proc/self/status").read_text()
    return 1024 * int(status.split("VmHWM:")[1].split()[0])


if __name__ == "__main__":
    torch.set_num_threads(1)
    with torch.inference_mode():
        print(*score(int(sys.argv[1])), file=sys.stderr)
    print(_peak_of_this_process())
