"""Weights of a scoring network: whether a file's fit, and what tells them from others."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import torch

from ...errors import BadCheckpoint


def check_fit(expected: Mapping[str, torch.Tensor], found: Mapping[str, torch.Tensor], name: str, network: str) -> None:
    """
    Args:
        expected: the network's state dict. found: the file's. name: of the file. network: as messages call it.

    Raises:
        BadCheckpoint: a tensor is missing, unexpected, or of another shape; the first few are named.
    """
    misshapen = [
        f"{key} {tuple(found[key].shape)} instead of {tuple(value.shape)}"
        for key, value in expected.items()
        if key in found and found[key].shape != value.shape
    ]
    for problem, keys in (
        ("missing", [key for key in expected if key not in found]),
        ("unexpected", [key for key in found if key not in expected]),
        ("of another shape", misshapen),
    ):
        if keys:
            raise BadCheckpoint(
                f"model: the tensors of {name} do not fit {network}: {len(keys)} {problem}, first "
                f"{', '.join(keys[:3])}; download it again, or choose another file."
            )


def identity_of(tensors: Mapping[str, torch.Tensor]) -> str:
    """SHA-256 of the names and of all values, as float32, whatever the file's format and order."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        digest.update(name.encode())
        digest.update(tensors[name].float().contiguous().numpy())
    return digest.hexdigest()
