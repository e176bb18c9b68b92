"""What the nodes that score sets of features share: the settings of the scores, and what a report says of the host."""

from __future__ import annotations

from typing import Any

from .. import host
from ..models.scoring.kernel import SUBSET_SIZE, SUBSETS
from ..models.scoring.neighbours import NEAREST

SETTINGS = {
    "kid_subsets": (
        "INT",
        {
            "default": SUBSETS,
            "min": 1,
            "max": 10_000,
            "tooltip": "Random subsets over which KID is averaged.",
            "advanced": True,
        },
    ),
    "kid_subset_size": (
        "INT",
        {
            "default": SUBSET_SIZE,
            "min": 2,
            "max": 100_000,
            "tooltip": "Images of each set in a subset; where no more rows were kept, half of them.",
            "advanced": True,
        },
    ),
    "nearest_k": (
        "INT",
        {
            "default": NEAREST,
            "min": 1,
            "max": 1000,
            "tooltip": "Precision, recall, density and coverage: an image's neighbourhood reaches to its k-th nearest.",
            "advanced": True,
        },
    ),
    # Not `seed`: the page would change that one after every run, and scores would move by themselves.
    "subsets_seed": (
        "INT",
        {
            "default": 0,
            "min": 0,
            "max": 2**64 - 1,
            "tooltip": "Of the random subsets of KID and of FID at infinity.",
            "advanced": True,
        },
    ),
}
"""Inputs by the names of models/scoring/scoring.py's Settings."""


def run_provenance(prompt: dict[str, Any] | None) -> dict[str, Any]:
    """What of a run only the host knows: its version, and the graph, unless the user keeps that out of files."""
    graph = {"graph": prompt} if prompt and host.keeps_metadata() else {}
    return {"host": host.version(), **graph}
