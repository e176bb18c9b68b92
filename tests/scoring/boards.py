"""Scores of models that were never drawn, for tests of tables and pictures."""

from __future__ import annotations

from trilemma.models.scoring.extractors.inception import NAME as INCEPTION
from trilemma.models.scoring.scores import Score, Scores

STARTER = "starter emoji classifier"


def provenance(extractor=INCEPTION, resize="TF1", reference="new renderings", samples=5000, **more):
    """As a scoring node writes it."""
    return {
        "extractor": {"name": extractor, "identity": "e" * 8, "resize": resize},
        "reference": {"name": reference, "identity": "r" * 8},
        "samples": samples,
        "rows": samples,
        "subsets": {"nearest_k": 5, "kid_subset_size": 1000},
        **more,
    }


def model(name, fid=5.0, recall=0.5, seconds=0.01, costs=None, came_from=None, **metrics):
    """fid has an interval; a score or cost of None is left out."""
    given = {"fid": fid, "recall": recall, **metrics}
    found = [Score(key, value) for key, value in given.items() if value is not None and key != "fid"]
    if fid is not None:
        found.insert(0, Score("fid", fid, low=fid * 0.9, high=fid * 1.1))
    cost = {} if seconds is None else {"seconds_per_image": seconds, "parameters": 1_544_715, "peak_bytes": 3.1e7}
    return Scores(name, tuple(found), {**cost, **(costs or {})}, came_from or provenance())
