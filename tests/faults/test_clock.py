"""A clock that is set back while something runs, or between two runs, and files from the future."""

import itertools
import os
import time

import torch
from PIL import Image
from trilemma.host import standalone
from trilemma.models.files.atomic import sweep_parts
from trilemma.models.files.paths import fingerprint
from trilemma.models.generators.binding import Bound
from trilemma.models.retrieval.indexing import Indexing
from trilemma.models.scoring.benchmark.run import Benchmark, Plan
from trilemma.models.scoring.features.extraction import accumulate
from trilemma.models.scoring.features.folder import Folder
from trilemma.models.scoring.features.folder_cache import FolderCache
from trilemma.tests.closeness import assert_close
from trilemma.tests.generators.toy import Toy as ToyGenerator
from trilemma.tests.scoring.toy import Toy, features, pictures

YEAR = 365 * 24 * 3600


def going_back(monkeypatch):
    """Every look at the clock finds it an hour earlier than the last one."""
    ticks = itertools.count()
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now - 3600 * next(ticks))


def test_a_run_counts_no_hours_less_than_none(tmp_path, monkeypatch):
    going_back(monkeypatch)
    run = Benchmark(Bound(ToyGenerator()), Toy(), features(0, 50, "real", 40), Plan(30, 5), tmp_path, save_seconds=0)
    outcome = run.run(4, torch.device("cpu"))
    assert outcome.features.count == 30
    assert outcome.cost["seconds_per_image"] > 0 and min(outcome.cost.values()) >= 0


def test_the_bar_tells_no_time_below_none(monkeypatch, capsys):
    import tqdm.std

    hours = itertools.chain([0.0, 10.0], itertools.count(-3600.0, -1.0))
    monkeypatch.setattr(tqdm.std, "time", lambda: next(hours))
    with standalone.progress(20) as on_step:
        for done in range(1, 21):
            time.sleep(0.02)
            on_step(done)
    shown = capsys.readouterr().err
    assert "| 1" in shown, "it stands still"
    assert "-" not in shown


def test_what_was_left_in_the_future_is_swept(tmp_path):
    """By a killed writer, before the clock was set back; without a lock its age alone tells."""
    left = tmp_path / ".x.png.abcdefgh.part"
    left.mkdir()
    sweep_parts(tmp_path)
    assert left.exists(), "as young, it may be of a living one"
    os.utime(left, (time.time() + YEAR, time.time() + YEAR))
    sweep_parts(tmp_path)
    assert not left.exists()


def test_a_picture_that_is_older_than_what_is_kept_of_it_is_looked_at_again(tmp_path):
    place = tmp_path / "pictures"
    place.mkdir()
    for number, pixels in enumerate(pictures(6)):
        Image.fromarray(pixels.numpy()).save(place / f"{number}.png")
        os.utime(place / f"{number}.png", (time.time() + YEAR, time.time() + YEAR))

    def kept():
        toy, folder = Toy(), Folder(place)
        cache = FolderCache(tmp_path / "cache", folder, toy.source, ("deep",), 20, 0)
        if (found := cache.find()) is None:
            found = folder.take(lambda named: accumulate(toy, named, ("deep",), "set", 4, 20, 0))
            assert cache.keep(found) == []
        looked = sum(toy.batches)
        with torch.inference_mode():
            index, work = Indexing(tmp_path / "cache", place, False, toy).run(4)
        return found.features, index, (looked, work.described)

    _, _, looked = kept()
    assert looked == (6, 6)
    # What is kept is from the future, too.
    for file in (tmp_path / "cache").iterdir():
        os.utime(file, (time.time() + YEAR, time.time() + YEAR))
    _, _, looked = kept()
    assert looked == (0, 0)
    before = fingerprint(place, lasting=True)
    Image.fromarray(pictures(1, seed=9)[0].numpy()).save(place / "0.png")
    os.utime(place / "0.png", (time.time() - YEAR, time.time() - YEAR))
    assert fingerprint(place, lasting=True) != before
    found, index, looked = kept()
    assert looked == (6, 1)
    fresh = Toy()
    expected = fresh.extract(fresh.prepare(torch.cat([pictures(1, seed=9), pictures(6)[1:]])), ("deep",)).taps[0]
    assert_close(found.rows.values.sum(0), expected.sum(0))
    assert index.count == 6
