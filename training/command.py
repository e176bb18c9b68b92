"""What the scripts that train a starter share: their arguments, and the file that they write."""

import argparse
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from . import scenes

RUNS = Path(__file__).parent / "runs"
STARTERS = Path(__file__).parents[1] / "models" / "starter"


def read_arguments(description: str, starter: str) -> argparse.Namespace:
    """data, runs and output as paths, of which `output` is the folder of `starter`; and torch's threads, set."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=scenes.DATA)
    parser.add_argument("--runs", type=Path, default=RUNS, help="where checkpoints are kept")
    parser.add_argument("--output", type=Path, default=STARTERS / starter)
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    return arguments


def save(weights: Mapping[str, Tensor], unseen: Mapping[str, Any], folder: Path) -> None:
    """Write `folder`/model.safetensors in half precision; its metadata says what the shapes cannot tell."""
    from safetensors.torch import save_file

    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "model.safetensors"
    halves = {key: value.half().contiguous() for key, value in weights.items()}
    save_file(halves, path, metadata={"format": "pt", "trilemma": json.dumps(unseen)})
    path.chmod(0o644)
