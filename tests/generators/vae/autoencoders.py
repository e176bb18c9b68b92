"""What tests of autoencoders share."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from trilemma.models.generators import loading
from trilemma.models.generators.vae.autoencoder import Autoencoder
from trilemma.models.random_weights import random_weights
from trilemma.tests.families.kinds import pictures

__all__ = ["load", "of_side", "pictures", "random_weights", "real_weights"]


def load(tensors: dict[str, torch.Tensor], folder: Path, metadata: dict[str, str] | None = None) -> Any:
    """What the pack makes of these tensors."""
    save_file({name: value.contiguous() for name, value in tensors.items()}, folder / "model.safetensors", metadata)
    generator = loading.load_generator(folder / "model.safetensors")
    assert generator.descriptor.parameters == sum(p.numel() for p in generator.modules[0].parameters())
    return generator


def of_side(generator: Autoencoder, side: int) -> Autoencoder:
    """The same, drawing small pictures by default."""
    described = generator.descriptor
    shape = (described.latent_shape[0], *(side // described.size_multiple,) * 2)
    generator.descriptor = replace(described, height=side, width=side, latent_shape=shape)
    return generator


def real_weights(name: str) -> Path:
    """A published file in the folder that TRILEMMA_REAL_WEIGHTS names; skips the test where it is not."""
    folder = os.environ.get("TRILEMMA_REAL_WEIGHTS")
    if not folder or not (Path(folder) / name).is_file():
        pytest.skip(f"{name} is not there: set TRILEMMA_REAL_WEIGHTS to the folder of published weights")
    return Path(folder) / name
