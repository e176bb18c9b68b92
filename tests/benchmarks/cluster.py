"""A benchmark drawn by two workers of Ray beside one, by the clock: each worker has a core of its own.

Nothing is compared where Ray is not installed. The time of a worker's start is in both.
"""

from __future__ import annotations

import contextlib
import importlib.util
import io
import json
import tempfile
from pathlib import Path
from typing import Any

from trilemma import headless
from trilemma.tests.benchmarks.timing import Comparison

AT_LEAST = 1.8
COUNT, STARTER = 1024, "starter emoji ddpm"
EXTRACTOR, REFERENCE = "starter emoji classifier", "starter emoji pictures"


def graph_of(count: int) -> dict[str, Any]:
    """A benchmark of the starter alone."""
    models = {"generator": ["3", 0], "extractor": ["1", 0], "reference": ["2", 0]}
    drawn = {"num_images": count, "first_seed": 0, "filename_prefix": "bench", "batch_size": 32, "num_shown": 1}
    return {
        "1": {"class_type": "TrilemmaLoadFeatureExtractor", "inputs": {"model": EXTRACTOR, "resize": "TF1"}},
        "2": {"class_type": "TrilemmaExampleReference", "inputs": {"reference": REFERENCE}},
        "3": {"class_type": "TrilemmaLoadGenerator", "inputs": {"model": STARTER}},
        "4": {"class_type": "TrilemmaBenchmarkGenerator", "inputs": {**models, **drawn}},
    }


def seconds_by(workers: int, count: int = COUNT) -> float:
    """From the first shard to the last, by the clock."""
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()) as told:
        graph = Path(folder, "graph.json")
        graph.write_text(json.dumps(graph_of(count)))
        ways = ["--ray", "--workers", str(workers), "--gpus", "0", "--output", folder]
        assert headless.main(["benchmark", str(graph), *ways]) == 0
        return json.loads(told.getvalue())["drawn"]["4"]["seconds"]


def rows() -> list[tuple[str, Comparison, float]]:
    """What is compared, the times, and the least ratio that is promised."""
    if importlib.util.find_spec("ray") is None:
        return []
    times = Comparison(seconds_by(1), seconds_by(2))
    return [(f"headless.py benchmark --ray, {COUNT:,} of {STARTER}, two workers beside one", times, AT_LEAST)]
