"""What the nodes of the menu Trilemma/Score share: names and inputs, and what a report says of the host."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ... import host
from ...models.scoring.features.feature_set import Features, summary
from ...models.scoring.metrics.kernel import SUBSET_SIZE, SUBSETS
from ...models.scoring.metrics.neighbours import NEAREST

CATEGORY = "Trilemma/Score"
EXTRACTOR = "TRILEMMA_EXTRACTOR"
FEATURES = "TRILEMMA_FEATURES"
SCORES = "TRILEMMA_SCORES"
LOCATIONS = ["input", "output"]
INFO_TOOLTIP = "How many images, by which network and resize they were taken, and what is kept of them."
NAME = ("STRING", {"default": "", "tooltip": "Of the set, as tables show it. Empty: a name of its own."})

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
"""Inputs by the names of models/scoring/evaluation.py's Settings."""


def run_provenance(prompt: dict[str, Any] | None) -> dict[str, Any]:
    """What of a run only the host knows: its version, and the graph, unless the user keeps that out of files."""
    graph = {"graph": prompt} if prompt and host.keeps_metadata() else {}
    return {"host": host.version(), **graph}


def name_of_images(default: str) -> tuple[str, dict[str, Any]]:
    """The input by which single images get a name."""
    return ("STRING", {"default": default, "tooltip": "How tables and Score Gate call these images."})


def root_of(location: str) -> Path:
    """The host's folder behind a choice of LOCATIONS."""
    return host.input_folder() if location == "input" else host.output_folder()


def shown(features: Features) -> dict[str, Any]:
    """The result of a node that gives features: they themselves, and their summary, on the node too."""
    info = summary(features)
    return {"ui": {"text": [info]}, "result": (features, info)}
