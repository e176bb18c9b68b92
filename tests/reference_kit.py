"""Reference cases under deterministic synthetic weights, kept in `tests/fixtures/reference/<system>/`.

A case is a row of INDEX.json. Its manifest lists names, shapes and dtypes of a published checkpoint; its golden
holds inputs and what the reference implementation answered to them. Every weight depends only on the salt, its
name, its shape and its gain, so that no weights need to travel:

    case = reference_kit.case("sam")
    torch.save(reference_kit.weights(case), path)
    answers = ...  # of a model loaded from path, to reference_kit.inputs(case)
    reference_kit.compare(case, {"masks": answers})
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

KIT = Path(__file__).parent / "fixtures" / "reference"
SALT = "dev"


class Entry(NamedTuple):
    """A tensor of a published checkpoint."""

    name: str
    shape: tuple[int, ...]
    dtype: str


def case(system: str, name: str = "golden") -> dict[str, Any]:
    """The row of one case in INDEX.json."""
    rows = json.loads((KIT / "INDEX.json").read_text())
    return next(row for row in rows if row["system"] == system and row["case"] == name)


def manifest(system: str, file: str = "manifest.json") -> list[Entry]:
    """All tensors of a published checkpoint, in its order."""
    entries = json.loads((KIT / system / file).read_text())["entries"]
    return [Entry(name, tuple(shape), dtype) for name, shape, dtype in entries]


def weights(row: dict[str, Any]) -> dict[str, torch.Tensor]:
    """The case's float32 weights under their published names; integer tensors and kept buffers are left out."""
    made = {}
    for name, shape, dtype in manifest(row["system"], row["manifest"]):
        key = name.removeprefix(row["strip_prefix"])
        if dtype.startswith(("float", "bfloat")) and not _kept(key, row["keep"]):
            gain = [row["gain"], *(gain for part, gain in row["gains"].items() if part in key)][-1]
            made[name] = torch.from_numpy(fill(row["tied"].get(key, key), shape, gain))
    return made


def _kept(key: str, patterns: list[str]) -> bool:
    return any(key.endswith(p[1:]) if p.startswith("*") else key == p for p in patterns)


def fill(name: str, shape: tuple[int, ...], gain: float | list = 1.0, salt: str = SALT) -> np.ndarray:
    """One float32 tensor by the kit's rule. `gain` is a number, or ["std", s] for a fixed standard deviation s."""
    seed = int.from_bytes(hashlib.sha256(f"{salt}:{name}".encode()).digest()[:8], "little")
    values = np.random.default_rng(seed).standard_normal(shape)
    if len(shape) >= 2:
        values = values * (gain[1] if isinstance(gain, list) else gain / np.sqrt(np.prod(shape[1:])))
    elif name.endswith(("running_var", "magnitude_ema")):
        values = 1 + 0.1 * np.abs(values)
    elif name.endswith("weight"):
        values = 1 + 0.1 * values
    else:
        values = 0.1 * values
    return np.asarray(values, dtype=np.float32)


def inputs(row: dict[str, Any]) -> dict[str, np.ndarray]:
    """The case's inputs: stored ones, and those that a stored recipe makes again (its checksum is verified)."""
    found = {}
    with np.load(KIT / row["golden_dev"]) as golden:
        for key in golden.files:
            kind, _, name = key.partition(".")
            if kind == "in":
                found[name] = golden[key]
            elif kind == "recipe":
                found[name] = _cooked(json.loads(str(golden[key])))
                exact = found[name].astype(np.float64)
                np.testing.assert_allclose(golden[f"inchk.{name}"], [exact.sum(), np.abs(exact).sum()], rtol=1e-9)
    return found


def _cooked(recipe: dict[str, Any]) -> np.ndarray:
    rng = np.random.default_rng(recipe["seed"])
    kind, shape = recipe["kind"], recipe["shape"]
    if kind == "normal":
        return rng.standard_normal(shape).astype(np.float32)
    if kind == "uniform":
        return rng.uniform(recipe["lo"], recipe["hi"], shape).astype(np.float32)
    if kind == "ints":
        return rng.integers(recipe["lo"], recipe["hi"], shape)
    return rng.integers(0, 256, shape).astype(np.uint8)


def block_image(seed: int, height: int, width: int) -> np.ndarray:
    """The kit's picture of coloured blocks with noise: uint8 [height, width, 3]."""
    rng = np.random.default_rng(seed)
    blocks = rng.integers(0, 224, (-(-height // 8), -(-width // 8), 3)).repeat(8, axis=0).repeat(8, axis=1)
    return (blocks[:height, :width] + rng.integers(0, 32, (height, width, 3))).astype(np.uint8)


def names(row: dict[str, Any]) -> set[str]:
    """The case's answers."""
    with np.load(KIT / row["golden_dev"]) as stored:
        return {key[4:-7] for key in stored.files if key.startswith("out.") and key.endswith(".stride")}


def golden(row: dict[str, Any]) -> dict[str, np.ndarray]:
    """Those of the case's answers of which every number is stored."""
    with np.load(KIT / row["golden_dev"]) as stored:
        names = [key[4:-7] for key in stored.files if key.endswith(".stride") and int(stored[key]) == 1]
        return {name: stored[f"out.{name}.sub"].reshape(stored[f"out.{name}.shape"]) for name in names}


def compare(row: dict[str, Any], outputs: dict[str, Any], atol: float = 1e-4, rtol: float = 1e-4) -> dict[str, float]:
    """Assert that outputs agree with the golden; returns the largest absolute difference of each.

    Compared are the shape, the stored samples (`atol` is relative to the golden's largest value where that is
    above 1) and the sum of absolute values to 0.1 %.
    """
    differences = {}
    with np.load(KIT / row["golden_dev"]) as golden:
        for name, output in outputs.items():
            found = output.detach().cpu().numpy() if torch.is_tensor(output) else np.asarray(output)
            assert found.shape == tuple(golden[f"out.{name}.shape"]), name
            samples = found.ravel()[:: int(golden[f"out.{name}.stride"])].astype(np.float64)
            expected = golden[f"out.{name}.sub"].astype(np.float64)
            differences[name] = float(np.abs(samples - expected).max())
            largest = max(1.0, np.abs(expected).max())
            np.testing.assert_allclose(samples, expected, atol=atol * largest, rtol=rtol, err_msg=name)
            total = np.abs(found.astype(np.float64)).sum()
            np.testing.assert_allclose(total, golden[f"out.{name}.stats"][2], rtol=1e-3, err_msg=name)
    return differences
