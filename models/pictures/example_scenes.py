"""Pictures that come with the pack, so that every example runs right after the installation."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from PIL import Image

SCENES = Path(__file__).parents[1] / "starter" / "scenes"


def scene_names() -> list[str]:
    """Names of the shipped scenes, the one of the examples first."""
    return sorted(path.stem for path in SCENES.glob("*.png"))


def scene(name: str) -> torch.Tensor:
    """The scene as float32 [1, H, W, 3], values 0..1."""
    with Image.open(SCENES / f"{name}.png") as picture:
        pixels = np.asarray(picture.convert("RGB"), dtype=np.float32) / 255
    return torch.from_numpy(pixels)[None]
