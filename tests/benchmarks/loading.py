"""A file of 300 MB into the tensors of a network, beside the libraries that write such files.

Reading maps the file where it can, so that its one copy, which the network keeps, is what reads the disk. It is part of
ours, and allowed once beside 1.2 times the library's own reading.

`python -m tests.benchmarks.loading FILE` loads a file as Load Generator does, in a process of its own, and prints by
how many bytes that raised its resident memory at most.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import torch
from torch import nn
from trilemma.models import weights
from trilemma.models.files import checkpoints
from trilemma.tests.benchmarks.timing import Comparison, seconds

TIMES_THE_READING: Final = 1.2
PEAK_AT_MOST: Final = 2.1
"""Times the file that loading may take of memory: the file as it is mapped, and the network."""
WIDTHS: Final = (128, 256, 512, 512)
"""Of the autoencoder of Stable Diffusion 1, whose file has 335 MB."""
REPEATS: Final = 5


@dataclass(frozen=True)
class Taken:
    """Bytes of a file, and by how many loading it raised resident memory at most."""

    file: int
    peak: int

    @property
    def ratio(self) -> float:
        return self.peak / self.file


def network() -> nn.Module:
    """Without memory of its own."""
    from diffusers import AutoencoderKL

    with weights.empty_weights():
        return AutoencoderKL(
            down_block_types=("DownEncoderBlock2D",) * len(WIDTHS),
            up_block_types=("UpDecoderBlock2D",) * len(WIDTHS),
            block_out_channels=WIDTHS,
            layers_per_block=2,
        )


def write(folder: Path) -> dict[str, tuple[Path, Callable[[Path], Mapping[str, torch.Tensor]]]]:
    """The same weights as three kinds of file, each with the function that its own library reads it by."""
    from safetensors.torch import load_file, save_file

    torch.manual_seed(0)
    tensors = {name: 0.02 * torch.randn(value.shape) for name, value in network().state_dict().items()}
    save_file(tensors, folder / "vae.safetensors")
    torch.save(tensors, folder / "vae.pth")
    torch.save(tensors, folder / "vae_old.pth", _use_new_zipfile_serialization=False)

    def unpickled(path: Path) -> Mapping[str, torch.Tensor]:
        return torch.load(path, weights_only=True)

    return {
        "safetensors": (folder / "vae.safetensors", load_file),
        "torch.save": (folder / "vae.pth", unpickled),
        "torch.save before 1.6": (folder / "vae_old.pth", unpickled),
    }


def compare_reading(path: Path, theirs: Callable[[Path], Mapping[str, torch.Tensor]]) -> Comparison:
    """Reading and filling a network, beside what is allowed; the tensors are the same."""
    made = network()
    expected = theirs(path)

    def ours() -> None:
        weights.fill(made, checkpoints.read(path).tensors, path.name)

    def copy() -> list[torch.Tensor]:
        return [value.clone() for value in expected.values()]

    ours()
    found = made.state_dict()
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], value) for name, value in expected.items())
    turns = [(seconds(lambda: theirs(path)), seconds(copy), seconds(ours)) for _ in range(REPEATS)]
    reading, copying, own = (min(times) for times in zip(*turns, strict=True))
    return Comparison(TIMES_THE_READING * reading + copying, own)


def peak(path: Path) -> Taken:
    """Of a new process that loads the file."""
    command = [sys.executable, "-m", "tests.benchmarks.loading", str(path)]
    root = Path(__file__).resolve().parents[2]
    told = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True).stdout.split()[-1]
    return Taken(path.stat().st_size, int(told))


def rows() -> list[tuple[str, Comparison, float]]:
    """What is compared, the times, and the least ratio that is promised."""
    with tempfile.TemporaryDirectory() as folder, torch.inference_mode():
        files = write(Path(folder))
        return [
            (f"{kind}, a file of 335 MB", compare_reading(path, theirs), 1.0) for kind, (path, theirs) in files.items()
        ]


def peaks() -> list[tuple[str, Taken, float]]:
    """What is loaded, its size and the peak, and the greatest ratio that is promised."""
    with tempfile.TemporaryDirectory() as folder:
        files = write(Path(folder))
        return [(f"Load Generator, {kind}", peak(path), PEAK_AT_MOST) for kind, (path, _) in files.items()]


def _load(path: Path) -> int:
    """By how much resident memory rose, with all that is imported and made once left out."""
    from trilemma.models.generators import loading
    from trilemma.models.generators.vae import autoencoder_kl

    def resident(which: str) -> int:
        return 1024 * int(Path("/proc/self/status").read_text().split(f"{which}:")[1].split()[0])

    with tempfile.TemporaryDirectory() as folder:
        loading.load_generator(autoencoder_kl.tiny(Path(folder)))
    before = resident("VmRSS")
    loading.load_generator(path)
    return resident("VmHWM") - before


if __name__ == "__main__":
    torch.set_num_threads(1)
    print(_load(Path(sys.argv[1])))
