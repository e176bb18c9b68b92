"""A benchmark equals drawing, extracting and scoring by hand; stopped at any place, it goes on and loses nothing."""

import json
import os
import subprocess
import sys

import pytest
import torch
from trilemma.models.errors import BadInput
from trilemma.models.generators.base import Condition
from trilemma.models.generators.binding import Bound, sample
from trilemma.models.generators.records import records_of
from trilemma.models.generators.vae.priors import standard_normal
from trilemma.models.scoring.benchmark.candidates import Candidates
from trilemma.models.scoring.benchmark.cost import PeakMemory, Timings, weight_bytes
from trilemma.models.scoring.benchmark.run import Benchmark, Plan, key_of
from trilemma.models.scoring.benchmark.task import Task, batch_size_of, carry_out, steps_of
from trilemma.models.scoring.evaluation import Settings, score
from trilemma.models.scoring.extractors.base import eight_bit
from trilemma.models.scoring.features import samples
from trilemma.models.scoring.features.extraction import accumulate
from trilemma.models.scoring.scores import from_json
from trilemma.tests.generators.toy import HEIGHT, WIDTH
from trilemma.tests.generators.toy import Toy as ToyGenerator
from trilemma.tests.scoring.toy import Toy, features

CPU = torch.device("cpu")
PLAN = Plan(30, seed=5, kept_rows=20)
REFERENCE = features(0, 50, "real", 40)


class Stopped(BaseException):
    """As an interrupt or a kill would end a run."""


def stop_after(steps):
    def on_step(done, preview=None):
        if done > steps:
            raise Stopped

    return on_step


def run(folder, plan=PLAN, batch_size=4, generator=None, extractor=None, reference=REFERENCE, on_step=None, **changes):
    bound = Bound(generator or ToyGenerator(), **changes)
    arguments = {"on_step": on_step} if on_step else {}
    return Benchmark(bound, extractor or Toy(), reference, plan, folder, **arguments).run(batch_size, CPU)


def by_hand(plan=PLAN, **changes):
    bound, toy = Bound(ToyGenerator(), **changes), Toy()
    named = []
    for batch in sample(bound, plan.num_images, plan.seed, 7):
        named += samples.of_batch(batch.images, records_of(bound, batch.requests))
    return accumulate(toy, named, ("deep",), "Toy", 7, plan.kept_rows, plan.rows_seed)


def assert_same(found, expected, tolerance=1e-6):
    assert torch.equal(found.keys, expected.keys)
    assert torch.equal(found.rows.keys, expected.rows.keys)
    torch.testing.assert_close(found.rows.values, expected.rows.values, rtol=tolerance, atol=tolerance)
    torch.testing.assert_close(
        found.taps[0].statistics.products, expected.taps[0].statistics.products, rtol=tolerance, atol=tolerance
    )
    assert torch.equal(found.classes.counts, expected.classes.counts)


def assert_alike(found, expected):
    assert_same(found.features, expected.features)
    for one, other in ((found.nearest, expected.nearest), (found.farthest, expected.farthest)):
        assert [each.index for each in one] == [each.index for each in other]
        assert [each.distance for each in one] == pytest.approx([each.distance for each in other], abs=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("batch_size", [1, 3, 8, 30])
def test_one_pass_equals_drawing_and_extracting_by_hand(tmp_path, batch_size):
    found = run(tmp_path, batch_size=batch_size)
    assert_same(found.features, by_hand())
    assert_alike(found, run(tmp_path / "other", batch_size=5))


def test_conditions_and_options_reach_the_samples(tmp_path):
    changes = {"options": {"truncation_psi": 0.5}, "conditions": (Condition("dark"), Condition("light"))}
    assert_same(run(tmp_path, **changes).features, by_hand(**changes))


@pytest.mark.slow
@pytest.mark.parametrize("steps", [0, 8, 9, 25, 59])
def test_a_stopped_run_goes_on_and_draws_only_the_rest(tmp_path, steps):
    generator = ToyGenerator()
    with pytest.raises(Stopped):
        run(tmp_path / "run", generator=generator, on_step=stop_after(steps))
    before = len(generator.drawn)
    found = run(tmp_path / "run", generator=generator)
    # What was stopped while it was drawn is drawn again, and nothing else.
    assert generator.drawn[before:] == list(range(generator.drawn[before], 30))
    assert generator.drawn[before] == steps // 8 * 4
    assert_alike(found, run(tmp_path / "once"))


def die_after(steps, folder):
    """Runs with a state that is always fresh, until the process ends without a word."""

    def on_step(done, preview=None):
        if done > steps:
            os._exit(9)

    Benchmark(Bound(ToyGenerator()), Toy(), REFERENCE, PLAN, folder, on_step, save_seconds=0).run(4, CPU)


@pytest.mark.slow
def test_a_killed_process_goes_on_from_what_is_on_disk(tmp_path):
    script = (
        "import pathlib;"
        "from trilemma.tests.scoring.benchmark.test_benchmark import die_after;"
        f"die_after(30, pathlib.Path({str(tmp_path / 'run')!r}))"
    )
    assert subprocess.run([sys.executable, "-c", script]).returncode == 9
    generator = ToyGenerator()
    found = run(tmp_path / "run", generator=generator)
    assert generator.drawn == list(range(12, 30))
    assert_alike(found, run(tmp_path / "once"))


@pytest.mark.slow
def test_the_state_is_written_on_the_way(tmp_path):
    seen = []
    bound = Bound(ToyGenerator())
    on_step = lambda done, preview=None: seen.append((tmp_path / "30.npz").exists())  # noqa: E731
    Benchmark(bound, Toy(), REFERENCE, PLAN, tmp_path, on_step, save_seconds=0).run(4, CPU)
    assert not any(seen[:2])
    assert all(seen[4:])
    assert_alike(run(tmp_path), run(tmp_path / "once"))


@pytest.mark.slow
def test_a_finished_run_draws_nothing_and_a_longer_one_begins_with_it(tmp_path):
    generator = ToyGenerator()
    first = run(tmp_path, generator=generator)
    again = run(tmp_path, generator=generator)
    assert generator.drawn == list(range(30))
    assert_alike(again, first)
    assert again.cost == first.cost
    longer = run(tmp_path, Plan(45, seed=5, kept_rows=20), generator=generator)
    assert generator.drawn == list(range(45))
    assert_alike(longer, run(tmp_path / "once", Plan(45, seed=5, kept_rows=20)))
    shorter = run(tmp_path, Plan(12, seed=5, kept_rows=20))
    assert_alike(shorter, run(tmp_path / "short", Plan(12, seed=5, kept_rows=20)))


def test_memory_that_runs_out_costs_no_sample(tmp_path):
    from trilemma.host.batches import halve

    generator = ToyGenerator(room=3)
    benchmark = Benchmark(Bound(generator), Toy(), REFERENCE, PLAN, tmp_path / "run")
    found = benchmark.run(
        8, CPU, lambda go, size: halve(go, size, lambda e: isinstance(e, torch.cuda.OutOfMemoryError), lambda: None)
    )
    assert generator.drawn == list(range(30))
    assert_alike(found, run(tmp_path / "once"))


def test_best_and_worst_are_nearest_and_farthest(tmp_path):
    found = run(tmp_path)
    values = by_hand(Plan(30, 5, kept_rows=30)).rows
    expected = torch.cdist(values.values.double(), REFERENCE.rows.values.double()).amin(dim=1).sort().values
    assert [each.distance for each in found.nearest] == pytest.approx(expected.tolist(), abs=1e-5)
    assert [each.distance for each in found.farthest] == pytest.approx(expected.flip(0).tolist(), abs=1e-5)


def test_strips_are_the_samples_again(tmp_path):
    bound = Bound(ToyGenerator(), conditions=(Condition("dark"), Condition("light")))
    benchmark = Benchmark(bound, Toy(), REFERENCE, PLAN, tmp_path)
    found = benchmark.run(4, CPU)
    strip = benchmark.draw_again(found.farthest[:5], 2)
    assert strip.shape == (1, HEIGHT, 5 * WIDTH, 3)
    images = torch.cat([batch.images for batch in sample(bound, 30, 5, 30)])
    for place, (each, told) in enumerate(zip(found.farthest[:5], benchmark.told(found.farthest[:5]), strict=True)):
        torch.testing.assert_close(strip[0, :, place * WIDTH : (place + 1) * WIDTH], images[each.index])
        assert told["seed"] == 5 + each.index
        assert told["condition"] == ("light" if each.index % 2 else "dark")


def test_a_reference_without_rows_is_its_mean():
    rowless = REFERENCE._replace(rows=None)
    found = Candidates(rowless)
    statistics = REFERENCE.taps[0].statistics
    found.add([3, 4], torch.stack([statistics.total / statistics.count, torch.zeros(6)]).float())
    assert found.nearest[0].index == 3
    assert found.nearest[0].distance == pytest.approx(0, abs=1e-5)


def test_the_key_tells_runs_apart_that_would_draw_or_describe_otherwise():
    def key(bound=None, extractor=None, reference=REFERENCE, plan=PLAN):
        return key_of(bound or Bound(ToyGenerator()), extractor or Toy(), reference, plan)

    prior, other = (standard_normal((5,), "toy")._replace(means=torch.full((1, 5), mean)) for mean in (0.0, 1.0))
    keys = [
        key(),
        key(Bound(ToyGenerator(), {"truncation_psi": 0.5})),
        key(Bound(ToyGenerator(), {"prior": prior})),
        key(Bound(ToyGenerator(), {"prior": other})),
        key(Bound(ToyGenerator(), conditions=(Condition("dark"),))),
        key(extractor=Toy(resize="pad")),
        key(reference=features(0, 51, "real", 40)),
        key(plan=Plan(30, seed=6, kept_rows=20)),
        key(plan=Plan(30, seed=5, kept_rows=21)),
    ]
    assert len(set(keys)) == len(keys)
    assert key(plan=Plan(99, seed=5, kept_rows=20)) == key()
    assert key(reference=REFERENCE._replace(name="renamed")) == key()


def test_cost_of_a_run(tmp_path):
    cost = run(tmp_path).cost
    assert cost["parameters"] == 5 * 36 + 36
    assert cost["weight_bytes"] == 4 * cost["parameters"]
    assert cost["evaluations"] == 2
    assert 0 < cost["seconds_per_image"] < 1
    assert cost["peak_bytes"] > 10**7


def test_the_first_call_stands_apart_and_the_median_ignores_what_is_rare(monkeypatch):
    clock = iter([0.0, 90.0, 90.0, 92.0, 92.0, 96.0, 96.0, 98.0, 98.0, 99.0, 100.0, 101.0])
    monkeypatch.setattr("trilemma.models.scoring.benchmark.cost.time.perf_counter", lambda: next(clock))
    timings = Timings()
    for _ in range(4):
        timings.timed(lambda: "images", lambda drawn: 2)
    timings.timed(lambda: None, lambda drawn: 0)
    assert timings.cost() == {"seconds_per_image": 1.0, "first_call_seconds_per_image": 45.0}
    later = Timings()
    later.resume(json.loads(json.dumps(timings.state())))
    assert later.cost() == timings.cost()
    later.timed(lambda: "images", lambda drawn: 2)
    assert later.cost() == {"seconds_per_image": 1.0, "first_call_seconds_per_image": 0.5}


def test_shared_weights_count_once():
    layer = torch.nn.Linear(3, 4)
    assert weight_bytes([layer, torch.nn.Sequential(layer)]) == 4 * 16


@pytest.mark.slow
def test_peak_memory_sees_what_is_gone_at_the_end():
    import mmap
    import time

    import psutil

    with PeakMemory(CPU) as memory:
        # Straight from the system: the allocator may have as much at hand from earlier tests.
        with mmap.mmap(-1, 2**26) as block:
            for _ in range(64):
                block.write(b"\1" * 2**20)
            time.sleep(0.1)
        left = psutil.Process().memory_info().rss
    assert memory.bytes - left > 2**25


def task_in(root, prefix="bench/toy", plan=PLAN):
    return Task(plan, Settings(kid_subset_size=8, nearest_k=2), root, prefix, shown=3, provenance={"graph": {"1": {}}})


def carried_out(root, prefix="bench/toy", plan=PLAN, reference=REFERENCE, generator=None, **changes):
    bound = Bound(generator or ToyGenerator())
    return carry_out(task_in(root, prefix, plan), bound, Toy(), reference, CPU, **changes)


@pytest.mark.slow
def test_the_report_lies_beside_the_state_and_is_complete(tmp_path):
    done = carried_out(tmp_path)
    report = tmp_path / done.file
    assert sorted(file.name for file in report.parent.iterdir() if not file.name.startswith(".")) == [
        "30.json",
        "30.npz",
    ]
    assert report.parent.parent == tmp_path / "bench"
    assert from_json(report.read_text()) == done.scores
    told = done.scores.provenance
    assert told["generator"] == {"architecture": "Toy", "family": "gan", "identity": "toy"}
    assert told["settings"] == {"truncation_psi": 1.0}
    assert told["conditions"] == [["", ""]]
    assert (told["seed"], told["samples"], told["timed_batches"], told["batch_size"]) == (5, 30, 7, 4)
    assert told["graph"] == {"1": {}}
    assert [each["index"] for each in told["best"]] != [each["index"] for each in told["worst"]]
    assert done.best.shape == done.worst.shape == (1, HEIGHT, 3 * WIDTH, 3)
    expected = score(by_hand(), REFERENCE, Settings(kid_subset_size=8, nearest_k=2))
    for each in expected.scores:
        assert done.scores.value(each.metric) == pytest.approx(each.value, rel=1e-5, abs=1e-6), each.metric


def test_scores_carry_pictures_of_the_best_and_the_worst_as_the_report_does(tmp_path):
    done = carried_out(tmp_path)
    text = (tmp_path / done.file).read_text()
    loaded = from_json(text)
    assert loaded == done.scores and "pictures" not in json.loads(text)["provenance"]
    for end, strip in (("best", done.best), ("worst", done.worst)):
        pictures = done.scores.pictures[end]
        assert pictures.shape == (3, HEIGHT, WIDTH, 3)
        assert torch.equal(torch.cat(list(pictures), dim=1)[None], eight_bit(strip))
        assert torch.equal(loaded.pictures[end], pictures)


def test_a_finished_run_draws_the_few_of_its_strips_alone_counts_them_and_stops_there(tmp_path):
    first = carried_out(tmp_path)
    generator, seen = ToyGenerator(), []
    again = carried_out(tmp_path, generator=generator, on_step=lambda done, _=None: seen.append(done))
    told = [each["index"] for end in ("best", "worst") for each in again.scores.provenance[end]]
    assert generator.drawn == told
    assert seen == sorted(seen) and seen[-1] == steps_of(task_in(tmp_path), Bound(generator)) == 2 * (30 + 3 + 3)
    for end, pictures in first.scores.pictures.items():
        assert (again.scores.pictures[end].int() - pictures.int()).abs().max() <= 1
    with pytest.raises(Stopped):
        carried_out(tmp_path, generator=generator, on_step=stop_after(61))
    assert generator.drawn == told


def test_a_batch_is_small_enough_to_be_timed():
    task = Task(PLAN, Settings(), None, "x")
    assert batch_size_of(task, Bound(ToyGenerator()), Toy()) == 4
    assert batch_size_of(Task(Plan(8), Settings(), None, "x"), Bound(ToyGenerator()), Toy()) == 2
    assert batch_size_of(Task(Plan(2), Settings(), None, "x"), Bound(ToyGenerator()), Toy()) == 1


@pytest.mark.parametrize("prefix", ["", ".", "../out", "bench/"])
def test_names_that_are_none(tmp_path, prefix):
    with pytest.raises(BadInput, match="filename_prefix"):
        carried_out(tmp_path, prefix)


@pytest.mark.slow
def test_a_link_out_of_the_folder_is_not_followed(tmp_path):
    done = carried_out(tmp_path, "kept/toy")
    folder = (tmp_path / done.file).parent
    (tmp_path / "outside").mkdir()
    root = tmp_path / "root"
    root.mkdir()
    try:
        (root / "out").symlink_to(tmp_path / "outside", target_is_directory=True)
    except OSError:
        pytest.skip("the system makes no links")
    (root / folder.name).symlink_to(tmp_path / "outside", target_is_directory=True)
    for prefix in ("out/toy", "toy"):
        with pytest.raises(BadInput, match=r"filename_prefix: .* leads out of"):
            carried_out(root, prefix)
    assert not list((tmp_path / "outside").iterdir())


def test_too_few_samples_and_other_extractors(tmp_path):
    with pytest.raises(BadInput, match="num_images: 1 is too few"):
        run(tmp_path, Plan(1))
    with pytest.raises(BadInput, match="was taken by toy 00000001"):
        run(tmp_path, reference=features(0, 9, toy=Toy(weights=1)))


def test_samples_are_those_of_image_features():
    """So a set that was taken by hand and a benchmark's know each other's samples."""
    bound = Bound(ToyGenerator())
    (batch,) = sample(bound, 3, 5, 3)
    named = samples.of_batch(batch.images, records_of(bound, batch.requests))
    assert torch.equal(torch.stack([each.pixels for each in named]), eight_bit(batch.images))
