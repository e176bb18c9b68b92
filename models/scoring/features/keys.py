"""Names of samples as 64-bit numbers: what tells whether a sample was counted already, and which rows are kept."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, Final

import numpy as np
import torch

DRAWN: Final = "sample "


def hash_keys(names: Iterable[str]) -> torch.Tensor:
    """int64 [N]: the first 8 bytes of BLAKE2b of each sample's name."""
    digests = b"".join(hashlib.blake2b(name.encode(), digest_size=8).digest() for name in names)
    return torch.from_numpy(np.frombuffer(digests, "<i8").astype(np.int64))


def name_by_content(images: torch.Tensor) -> list[str]:
    """Names of images [N, H, W, C] that come without any: a hash of the pixels, and which of its like each one is.

    So two equal images of a batch are two samples, and the same batch counted twice is a repeat.
    """
    seen: Counter[str] = Counter()
    names = []
    for image in images:
        shape = "x".join(str(side) for side in image.shape)
        digest = hashlib.blake2b(image.contiguous().numpy().data, digest_size=16).hexdigest()
        names.append(f"image {shape} {digest} {seen[digest]}")
        seen[digest] += 1
    return names


def name_by_record(record: Mapping[str, Any]) -> str:
    """Name of a sample by its record (see `generators/records.py`): model, settings, seed and condition, not its place
    in the run."""
    return DRAWN + json.dumps({key: value for key, value in record.items() if key != "index"}, sort_keys=True)


def is_drawn(name: str) -> bool:
    """Whether it is the name of a sample that is told by how it was drawn."""
    return name.startswith(DRAWN)


def name_by_place(name: str, pixels: torch.Tensor) -> str:
    """Name of a picture in a folder: its relative path and a hash of its pixels, uint8 [H, W, C].

    Not of the file's bytes: a PNG carries the graph that drew it, so that a set's samples would be others, and other
    rows of it kept, with every word that is changed in the graph.
    """
    shape = "x".join(str(side) for side in pixels.shape)
    digest = hashlib.blake2b(pixels.contiguous().numpy().data, digest_size=16).hexdigest()
    return f"picture {name} {shape} {digest}"


def name_by_file(name: str, content: bytes) -> str:
    """The name that versions before 0.2 gave it, by which the files that they kept know it: a hash of the bytes."""
    return f"file {name} {hashlib.blake2b(content, digest_size=16).hexdigest()}"


def ranks(keys: torch.Tensor, seed: int) -> torch.Tensor:
    """int64 [N]: pseudo-random numbers of (seed, key), by the finaliser of SplitMix64 (Steele et al. 2014).

    keys: int64 [N]. seed: 0 to 2^64 - 1.
    """
    mixed = keys.numpy().view(np.uint64) + np.uint64((seed * 0x9E3779B97F4A7C15 + 0x632BE59BD9B4E019) % 2**64)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return torch.from_numpy((mixed ^ (mixed >> np.uint64(31))).view(np.int64))
