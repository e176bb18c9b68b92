"""Long runs that are killed at random moments, again and again, until one of them comes to its end."""

import contextlib
import io
import os
import random
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest
import torch
from PIL import Image
from trilemma import headless
from trilemma.models.errors import BadInput
from trilemma.models.generators.binding import Bound
from trilemma.models.retrieval import indexing
from trilemma.models.scoring.benchmark.gathering import Gathered
from trilemma.models.scoring.benchmark.run import Benchmark, Plan
from trilemma.models.scoring.benchmark.task import Task, carry_out
from trilemma.models.scoring.evaluation import Settings
from trilemma.models.scoring.features import feature_files
from trilemma.models.scoring.features.extraction import accumulate
from trilemma.models.scoring.features.folder import Folder
from trilemma.models.scoring.features.folder_cache import FolderCache
from trilemma.tests.closeness import assert_close
from trilemma.tests.faults.killing import extent, hidden, killed, moments, settle, visible
from trilemma.tests.generators.toy import Toy as ToyGenerator
from trilemma.tests.scoring.benchmark.test_shards import assert_same, drawn
from trilemma.tests.scoring.toy import Toy, features, pictures

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not hasattr(os, "fork"), reason="the system cannot copy a process"),
]

CPU = torch.device("cpu")
COUNT = 60
PLAN = Plan(COUNT, seed=5, kept_rows=30)
REFERENCE = features(0, 50, "real", 40)
FEW = 4
"""Kills of each run in `make test`."""


class Run(NamedTuple):
    """work: into a folder, going on from what is there. same: fails unless two folders hold the same.
    most: kills in the long form, of what takes seconds."""

    work: Callable[[Path], object]
    same: Callable[[Path, Path], None]
    most: int = 100


def _benchmark(folder: Path) -> None:
    """With its state always fresh, then its report."""
    state = folder / "state"
    Benchmark(Bound(ToyGenerator()), Toy(), REFERENCE, PLAN, state, save_seconds=0).run(4, CPU)
    task = Task(PLAN, Settings(kid_subset_size=20), folder, "bench/toy", 4)
    carry_out(task, Bound(ToyGenerator()), Toy(), REFERENCE, CPU)


def _same_benchmark(found: Path, expected: Path) -> None:
    for name in ("state", "bench"):
        (ours,), (theirs,) = (list((folder / name).rglob(f"{COUNT}.npz")) for folder in (found, expected))
        assert_same(feature_files.load_stored(ours), feature_files.load_stored(theirs))
    assert visible(found).keys() == visible(expected).keys()


def _shards(folder: Path) -> None:
    """That come in any order."""
    gathered = Gathered(folder, COUNT, save_seconds=0)
    shards = gathered.missing(4, 2)
    random.Random(os.getpid()).shuffle(shards)
    for shard in shards:
        gathered.add(shard, drawn(shard.first, shard.count, plan=PLAN))
    gathered.save()


def _same_shards(found: Path, expected: Path) -> None:
    assert visible(found).keys() == visible(expected).keys() == {f"{COUNT}.npz"}
    ours, theirs = (feature_files.load_stored(folder / f"{COUNT}.npz") for folder in (found, expected))
    assert_same(ours, theirs)


def _queue(folder: Path) -> None:
    """Runs of a queue that add to one file; what is there already is refused, and so counts once."""
    for part in range(10):
        with contextlib.suppress(BadInput):
            feature_files.append(folder / "set.npz", features(part * 9, part * 9 + 9, capacity=50))


def _same_queue(found: Path, expected: Path) -> None:
    ours, theirs = (feature_files.load(folder / "set.npz") for folder in (found, expected))
    assert ours.count == theirs.count == 90
    assert torch.equal(ours.keys, theirs.keys) and torch.equal(ours.rows.values, theirs.rows.values)
    assert_close(ours.taps[0].statistics.products, theirs.taps[0].statistics.products, 1e-12)


def with_pictures(folder: Path) -> Path:
    place = folder / "pictures"
    place.mkdir(exist_ok=True)
    for number, pixels in enumerate(pictures(24)):
        if not (place / f"{number}.png").exists():
            part = folder / f".{number}.png"
            Image.fromarray(pixels.numpy()).save(part, "PNG")
            part.replace(place / f"{number}.png")
    return place


def _index(folder: Path) -> None:
    # Kept after every batch; of this process alone, which is a copy.
    indexing.WRITE_EVERY = -1.0
    with torch.inference_mode():
        indexing.Indexing(folder / "cache", with_pictures(folder), False, Toy()).run(2)


def _same_index(found: Path, expected: Path) -> None:
    rows = []
    for folder in (found, expected):
        toy = Toy()
        with torch.inference_mode():
            index, work = indexing.Indexing(folder / "cache", folder / "pictures", False, toy).run(2)
        assert work.new == 0 and not toy.batches, "all of it was kept"
        rows.append({digest: index.rows[place] for place, digest in enumerate(index.digests)})
    ours, theirs = rows
    assert ours.keys() == theirs.keys() and len(ours) == 24
    for digest, row in ours.items():
        assert_close(row, theirs[digest])


def _folder_features(folder: Path) -> None:
    place = Folder(with_pictures(folder))
    toy = Toy()
    cache = FolderCache(folder / "cache", place, toy.source, ("deep",), 20, 0)
    if cache.find() is None:
        taken = place.take(lambda named: accumulate(toy, named, ("deep",), "set", 4, 20, 0))
        assert cache.keep(taken) == []


def _same_folder_features(found: Path, expected: Path) -> None:
    (ours,), (theirs,) = (list((folder / "cache").glob("*.npz")) for folder in (found, expected))
    first, second = (feature_files.load_stored(file).features for file in (ours, theirs))
    assert torch.equal(first.keys, second.keys) and first.count == 24
    assert_close(first.rows.values, second.rows.values)


def _literature(folder: Path) -> None:
    systems = ["--system", "starter emoji vae", "--system", "starter emoji stylegan2"]
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        code = headless.main(["literature", "--output", str(folder), "--count", "12", *systems])
    assert code == headless.DONE


def _same_literature(found: Path, expected: Path) -> None:
    ours, theirs = visible(found), visible(expected)
    assert ours.keys() == theirs.keys()
    for one, other in zip(ours["literature/scores.json"], theirs["literature/scores.json"], strict=True):
        assert one["name"] == other["name"]
        scores = [{each["metric"]: each["value"] for each in row["scores"]} for row in (one, other)]
        assert scores[0].keys() == scores[1].keys()
        for metric, value in scores[0].items():
            assert value == pytest.approx(scores[1][metric], rel=1e-3, abs=1e-6, nan_ok=True), (one["name"], metric)


RUNS = {
    "Benchmark Generator": Run(_benchmark, _same_benchmark),
    "shards of a benchmark": Run(_shards, _same_shards),
    "features of a queue": Run(_queue, _same_queue),
    "index of a folder": Run(_index, _same_index),
    "features of a folder": Run(_folder_features, _same_folder_features),
    "literature": Run(_literature, _same_literature, 30),
}


@pytest.mark.parametrize("name", RUNS)
def test_a_killed_run_goes_on_and_ends_as_an_undisturbed_one(name, tmp_path, faults):
    run, rng = RUNS[name], random.Random(name)
    if not faults and run.most < 100:
        pytest.skip("takes seconds each time; `make test-faults` kills it")
    once = tmp_path / "once"
    once.mkdir()
    whole = extent(lambda: run.work(once), once)
    wanted, kills, runs = min(faults, run.most) or FEW, 0, 0
    while kills < wanted:
        folder = tmp_path / str(runs)
        folder.mkdir()
        for moment in moments(whole, wanted - kills, rng):
            if not killed(lambda: run.work(folder), moment, folder):  # noqa: B023 (called at once)
                break
            kills += 1
            visible(folder)
        else:
            run.work(folder)
        run.same(folder, once)
        runs += 1
    settle(folder)
    run.work(folder)
    assert not hidden(folder)
    print(f"{name}: {kills} kills in {runs} runs, {whole}")
