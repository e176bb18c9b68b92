"""The features of the reference kit's metrics, made again from their recipes, and what the libraries answered."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

import numpy as np
import torch
from trilemma.tests import reference_kit


class Case(NamedTuple):
    """real, fake: float32 [N, D]. logits: float32 [N, 1008]. recorded: metric -> library -> value."""

    real: torch.Tensor
    fake: torch.Tensor
    logits: torch.Tensor
    subset_size: int
    subsets: int
    recorded: dict[str, dict[str, Any]]


def normal_features(count: int, size: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.random.Generator]:
    """real, fake: float32 [count, size]; the generator goes on to what else a recipe draws."""
    rng = np.random.default_rng(seed)
    real = rng.standard_normal((count, size)).astype(np.float32)
    z = rng.standard_normal((count, size)).astype(np.float32)
    fake = z * np.linspace(0.7, 1.1, size).astype(np.float32) + (0.2 * np.sin(np.arange(size))).astype(np.float32)
    fake[:, 1:] += 0.3 * z[:, :-1]
    return real, fake, rng


def case(name: str) -> Case:
    """One of n500_d64, n500_d2048_rank_deficient, n3000_d2048."""
    golden = json.loads((reference_kit.KIT / "metrics" / "golden_dev.json").read_text())["results"][name]
    recipe = golden["recipe"]
    real, fake, rng = normal_features(recipe["N"], recipe["D"], recipe["seed"])
    logits = 2 * rng.standard_normal((recipe["N"], 1008)).astype(np.float32)
    sums = [array.astype(np.float64).sum() for array in (real, fake, logits)]
    np.testing.assert_allclose(sums, golden["checksum"], rtol=1e-12)
    recorded = {
        metric: {library: value for library, (value, _) in golden[metric].items()}
        for metric in ("fid", "kid", "isc", "prdc")
    }
    arrays = (torch.from_numpy(array) for array in (real, fake, logits))
    return Case(*arrays, recipe["kid_subset_size"], golden["kid_subsets"], recorded)


class Three(NamedTuple):
    """training, held_out, generated: float32 [T, D], [M, D], [N, D]. recorded: package -> metric -> value."""

    training: torch.Tensor
    held_out: torch.Tensor
    generated: torch.Tensor
    recorded: dict[str, dict[str, Any]]


def _second() -> dict[str, Any]:
    return json.loads((reference_kit.KIT / "metrics" / "golden2_dev.json").read_text())["results"]


THREES = tuple(_second())


def three(name: str) -> Three:
    """Features of training, held-out and generated images, by the recipe of one of THREES."""
    golden = _second()[name]
    recipe = golden["recipe"]
    rng, size = np.random.default_rng(recipe["seed"]), recipe["D"]
    training, held_out, z = (
        rng.standard_normal((recipe[which], size)).astype(np.float32) for which in ("train", "test", "gen")
    )
    copied = training[: recipe["gen"]]
    made = {
        "shift": lambda: z * np.linspace(0.7, 1.1, size) + 0.2 * np.sin(np.arange(size)),
        "copy": lambda: copied + 0.05 * z,
        "same": lambda: z,
        "exact_copy": lambda: copied.copy(),
    }
    generated = made[recipe["kind"]]().astype(np.float32)
    if recipe["kind"] == "shift":
        generated[:, 1:] += 0.3 * z[:, :-1]
    sums = [array.astype(np.float64).sum() for array in (training, held_out, generated)]
    np.testing.assert_allclose(sums, golden["checksum"], rtol=1e-9)
    arrays = (torch.from_numpy(array) for array in (training, held_out, generated))
    return Three(*arrays, {package: value for package, value in golden.items() if isinstance(value, dict)})
