"""The tests that run networks, by the instructions of other processors and by other numbers of threads.

    python -m trilemma.tests.cpus

One run of pytest per setting, one line per run; exits with 1 where a test failed.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import time
from pathlib import Path

import torch

ROOT = Path(__file__).resolve().parents[1]
PATHS = (
    *(f"tests/{room}" for room in ("detection", "diffusion", "generators", "inpainting", "segmentation", "training")),
    *(f"tests/nodes/test_{node}.py" for node in ("detect", "inpaint", "segment", "generate_latents")),
    "tests/scoring/extractors",
    "tests/scoring/metrics/test_lpips.py",
    "tests/test_every_family.py",
    "tests/test_starter_detection.py",
)
SETTINGS = tuple(
    dict(zip(("ATEN_CPU_CAPABILITY", "ONEDNN_MAX_CPU_ISA", "OMP_NUM_THREADS"), values, strict=True))
    for values in (("default", "SSE41", "1"), ("avx2", "AVX2", "2"), ("avx512", "AVX512_CORE", "4"))
)
"""Each value once: every further run takes five minutes of two cores."""
CAPABILITIES = ("default", "avx2", "avx512")


def possible(setting: dict[str, str]) -> dict[str, str]:
    """The setting without instructions that this processor lacks: PyTorch does not ask before it runs what it is told
    to. oneDNN's are the most that it may take."""
    own = torch.backends.cpu.get_cpu_capability().lower()
    if CAPABILITIES.index(setting["ATEN_CPU_CAPABILITY"]) <= CAPABILITIES.index(own):
        return setting
    return {name: value for name, value in setting.items() if name != "ATEN_CPU_CAPABILITY"}


def run(wanted: dict[str, str]) -> bool:
    """Prints one line, and the whole report where a test failed; whether none did."""
    setting = possible(wanted)
    title = " ".join(f"{name}={value}" for name, value in setting.items())
    if setting != wanted:
        title += f" (this processor has no {wanted['ATEN_CPU_CAPABILITY']})"
    # Threads that outnumber the cores by far wait for each other: where there are several, one process has them all.
    processes = ["--numprocesses", "auto", "--dist", "loadfile"] if setting["OMP_NUM_THREADS"] == "1" else []
    command = [sys.executable, "-m", "pytest", "-m", "not host and not weights", "--quiet", *processes, *PATHS]
    started, used = time.monotonic(), processor_time()
    done = subprocess.run(command, cwd=ROOT, env={**os.environ, **setting}, capture_output=True, text=True)
    said = done.stdout.rstrip().rpartition("\n")[2].strip("= ").partition(" in ")[0]
    seconds = f"{time.monotonic() - started:.0f} s, {processor_time() - used:.0f} s of processor time"
    print(f"{title}: {said} in {seconds}", flush=True)
    if done.returncode:
        print(done.stdout, done.stderr, sep="\n", flush=True)
    return not done.returncode


def processor_time() -> float:
    """Of all processes that were waited for, in seconds."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return children.ru_utime + children.ru_stime


if __name__ == "__main__":
    green = [run(setting) for setting in SETTINGS]
    sys.exit(not all(green))
