"""A small graph with a benchmark, and what shards of it are held against: the graph alone."""

import json
from pathlib import Path

import pytest
import torch
from trilemma.models.scoring.features.feature_files import load_stored
from trilemma.tests.closeness import assert_close

COUNT, BATCH = 90, 8
GRAPH = {
    "1": {
        "class_type": "TrilemmaLoadFeatureExtractor",
        "inputs": {"model": "starter emoji classifier", "resize": "TF1"},
    },
    "2": {"class_type": "TrilemmaExampleReference", "inputs": {"reference": "starter emoji pictures"}},
    "3": {"class_type": "TrilemmaLoadGenerator", "inputs": {"model": "starter emoji vae"}},
    "4": {
        "class_type": "TrilemmaBenchmarkGenerator",
        "_meta": {"title": "Benchmark"},
        "inputs": {
            "generator": ["3", 0],
            "extractor": ["1", 0],
            "reference": ["2", 0],
            "num_images": 4,
            "first_seed": 7,
            "filename_prefix": "bench/vae",
            "kept_rows": 40,
            "batch_size": BATCH,
            "kid_subset_size": 20,
            "kid_subsets": 5,
            "num_shown": 2,
        },
    },
    "5": {"class_type": "PreviewAny", "inputs": {"source": ["4", 5]}},
}


def kept(output: Path):
    """The state and the report of the one benchmark there."""
    (report,) = output.glob(f"bench/*/{COUNT}.json")
    return load_stored(report.with_suffix(".npz")), json.loads(report.read_text())


def assert_as_alone(tmp_path, command, output="out"):
    code, *_ = command("--set", f"#4.num_images={COUNT}", output="alone")
    assert code == 0
    (alone, report), (found, theirs) = kept(tmp_path / "alone"), kept(tmp_path / output)
    for name in ("keys", "drawn_with"):
        assert torch.equal(getattr(found.features.rows, name), getattr(alone.features.rows, name)), name
    # What networks computed, by other processes; of numbers that are given, test_shards.py asks for all digits.
    assert_close(found.features.rows.values, alone.features.rows.values)
    assert torch.equal(found.features.keys, alone.features.keys)
    pairs = zip(
        (*found.features.taps[0].statistics[1:], *found.features.classes),
        (*alone.features.taps[0].statistics[1:], *alone.features.classes),
        strict=True,
    )
    for one, other in pairs:
        assert_close(one, other)
    for end in ("nearest", "farthest"):
        of_parts, of_alone = ([distance for distance, _ in each.notes["candidates"][end]] for each in (found, alone))
        assert_close(of_parts, of_alone)
    for one, other in zip(report["scores"], theirs["scores"], strict=True):
        assert one["metric"] == other["metric"]
        assert one["value"] == pytest.approx(other["value"], rel=1e-4, nan_ok=True)
    # How many batches could be timed depends on how they were shared out.
    cost = {"timed_batches"}
    assert {k: v for k, v in report["provenance"].items() if k not in cost} == {
        k: v for k, v in theirs["provenance"].items() if k not in cost
    }
    assert report["cost"].keys() == theirs["cost"].keys()
    assert not list((tmp_path / output).glob("bench/*/parts"))
