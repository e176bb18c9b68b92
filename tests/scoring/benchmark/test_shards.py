"""A run cut into shards adds up to the run of one process, whoever draws them, and however often they die."""

import random
import threading
import time

import pytest
import torch
from trilemma.models.errors import BadInput, CannotDo, WorkerLost
from trilemma.models.generators.binding import Bound
from trilemma.models.scoring.benchmark import candidates, cost, crew
from trilemma.models.scoring.benchmark.candidates import Candidates
from trilemma.models.scoring.benchmark.gathering import Gathered
from trilemma.models.scoring.benchmark.run import Benchmark, Plan, key_of
from trilemma.models.scoring.benchmark.shards import Ledger, Shard, shards_of
from trilemma.models.scoring.benchmark.task import Task, carry_out, folder_of
from trilemma.models.scoring.evaluation import Settings
from trilemma.tests.generators.toy import Toy as ToyGenerator
from trilemma.tests.scoring.toy import Toy, features

CPU = torch.device("cpu")
BATCH = 4
PLAN = Plan(107, seed=5, kept_rows=30)
REFERENCE = features(0, 50, "real", 40)


def drawn(first, count, folder=None, plan=PLAN, batch_size=BATCH):
    """Samples `first` and on, by this process."""
    part = Plan(count, plan.seed, plan.kept_rows, plan.rows_seed, first)
    run = Benchmark(Bound(ToyGenerator()), Toy(), REFERENCE, part, folder)
    run.run(batch_size, CPU)
    return run.state()


WHOLE = drawn(0, PLAN.num_images)


class Thread:
    """A worker that draws in its thread. dies: asked before each shard whether the worker is lost in it."""

    def __init__(self, number, dies=lambda: False):
        self.name, self._dies = f"worker {number}", dies
        self.drew, self._stopped = [], threading.Event()

    def draw(self, first, count, tell):
        if self._stopped.is_set():
            raise WorkerLost("stopped")
        lost = self._dies()
        stored = drawn(first, count)
        tell(count)
        if lost == "drawing":
            raise WorkerLost(f"{self.name} died")
        self.drew.append(Shard(first, count))

        def fetch():
            if lost == "fetching":
                raise WorkerLost(f"{self.name} died with what it had drawn")
            return stored

        return fetch

    def stop(self):
        self._stopped.set()


def assert_same(found, expected=WHOLE):
    ours, theirs = found.features, expected.features
    assert torch.equal(ours.keys, theirs.keys)
    assert torch.equal(ours.rows.keys, theirs.rows.keys)
    assert torch.equal(ours.rows.values, theirs.rows.values)
    assert torch.equal(ours.rows.drawn_with, theirs.rows.drawn_with)
    for one, other in zip(ours.taps, theirs.taps, strict=True):
        assert one.statistics.count == other.statistics.count
        torch.testing.assert_close(one.statistics.total, other.statistics.total, rtol=1e-12, atol=1e-12)
        torch.testing.assert_close(one.statistics.products, other.statistics.products, rtol=1e-12, atol=1e-12)
    for one, other in zip(ours.classes, theirs.classes, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-12)
    assert found.notes["candidates"] == expected.notes["candidates"]


def gather(folder, workers, num_images=PLAN.num_images, **settings):
    gathered = Gathered(folder, num_images)
    shards = gathered.missing(BATCH, len(workers))
    return crew.carry_out(workers, shards, gathered.add, **settings)


def state_in(folder, num_images=PLAN.num_images):
    """As a run of one process finds it."""
    run = Benchmark(Bound(ToyGenerator()), Toy(), REFERENCE, Plan(num_images, 5, 30), folder)
    assert run.done == num_images
    return run.state()


@pytest.mark.parametrize("workers", [1, 2, 4, 7])
@pytest.mark.parametrize("begun", [0, 24, 107])
def test_shards_are_whole_batches_of_the_run(workers, begun):
    shards = shards_of(begun, 107, BATCH, workers)
    assert [place for first, count in shards for place in range(first, first + count)] == list(range(begun, 107))
    assert all((first - begun) % BATCH == 0 for first, _ in shards)
    assert not shards or len(shards) >= min(8 * workers, (107 - begun) // (2 * BATCH))


@pytest.mark.parametrize("workers", [1, 2, 4, 7])
def test_the_result_is_the_same_by_any_number_of_workers(tmp_path, workers):
    assert not gather(tmp_path, [Thread(number) for number in range(workers)])
    assert_same(state_in(tmp_path))
    assert [path.name for path in tmp_path.iterdir() if not path.name.startswith(".")] == ["107.npz"]


def test_scores_of_gathered_shards_have_their_pictures(tmp_path):
    bound = Bound(ToyGenerator())
    key = key_of(bound, Toy(), REFERENCE, PLAN)
    settings = Settings(kid_subset_size=8, nearest_k=2)
    tasks = [Task(PLAN, settings, tmp_path / name, "toy", BATCH, shown=3) for name in ("alone", "gathered")]
    gather(folder_of(tasks[1].root, "toy", key), [Thread(0), Thread(1)])
    alone, gathered = (carry_out(task, bound, Toy(), REFERENCE, CPU) for task in tasks)
    for end in ("best", "worst"):
        named = [[each["index"] for each in done.scores.provenance[end]] for done in (alone, gathered)]
        assert named[0] == named[1]
        assert bound.generator.drawn.count(named[1][0]) == 3  # for the run alone, and for the strips of both
        assert (gathered.scores.pictures[end].int() - alone.scores.pictures[end].int()).abs().max() <= 1


def test_batches_are_the_same_by_any_number_of_workers():
    """What a network gives may depend on which samples are in a batch with it."""
    sizes = {}
    for workers in (1, 2, 4, 7):
        extractor, places = Toy(), []
        for first, count in shards_of(0, 107, BATCH, workers):
            generator = ToyGenerator()
            plan = Plan(count, 5, 30, first=first)
            Benchmark(Bound(generator), extractor, REFERENCE, plan, None).run(BATCH, CPU)
            places += generator.drawn
        sizes[workers] = (extractor.batches, places)
    assert all(each == ([BATCH] * 26 + [3], list(range(107))) for each in sizes.values())


@pytest.mark.parametrize("seed", range(20))
def test_workers_that_die_at_random_lose_nothing(tmp_path, seed, monkeypatch):
    monkeypatch.setattr(crew, "WAIT", 0.001)
    chance = random.Random(seed)
    lock, deaths = threading.Lock(), [0]

    def dies():
        with lock:
            if deaths[0] < 20 and chance.random() < 0.6:
                deaths[0] += 1
                return chance.choice(["drawing", "fetching"])
        return False

    workers = [Thread(number, dies) for number in range(3)]
    lost = gather(tmp_path, workers, lives=10**6)

    assert len(lost) == deaths[0] > 0
    assert_same(state_in(tmp_path))


def test_a_run_without_workers_left_says_why_and_goes_on(tmp_path, monkeypatch):
    monkeypatch.setattr(crew, "WAIT", 0.001)
    told = []
    count = [0]

    def dies():
        count[0] += 1
        return "drawing" if count[0] > 5 else False

    with pytest.raises(CannotDo, match="all were given up \\(worker 0: worker 0 died\\)"):
        gather(tmp_path, [Thread(0, dies)], lives=3, on_lost=told.append)
    assert len(told) >= 3 and {lost.worker for lost in told} == {"worker 0"}
    left = Gathered(tmp_path, 107).missing(BATCH, 1)
    assert 0 < sum(shard.count for shard in left) < 107

    second = Thread(1)
    gather(tmp_path, [second])
    assert second.drew == left
    assert_same(state_in(tmp_path))


def test_what_cannot_be_fetched_costs_a_life(tmp_path, monkeypatch):
    monkeypatch.setattr(crew, "WAIT", 0.001)
    with pytest.raises(CannotDo, match="died with what it had drawn"):
        gather(tmp_path, [Thread(0, lambda: "fetching")], lives=3)


def test_an_error_that_all_would_meet_ends_the_run_at_once(tmp_path):
    class Refusing(Thread):
        def draw(self, first, count, tell):
            raise BadInput("extractor: another one.")

    workers = [Refusing(0), Thread(1)]
    with pytest.raises(BadInput, match="another one"):
        gather(tmp_path, workers)
    assert all(worker._stopped.is_set() for worker in workers)


def test_an_interrupt_stops_all_and_keeps_what_is_counted(tmp_path):
    class Slow(Thread):
        def draw(self, first, count, tell):
            if self._stopped.wait(0.05):
                raise WorkerLost("stopped")
            return super().draw(first, count, tell)

    asked = []

    def on_step(done, preview=None):
        asked.append(done)
        if done > 30:
            raise KeyboardInterrupt

    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        gather(tmp_path, [Slow(0), Slow(1)], on_step=on_step)
    assert time.monotonic() - began < 10
    assert asked == sorted(asked)
    left = Gathered(tmp_path, 107).missing(BATCH, 2)
    assert 0 < sum(shard.count for shard in left) < 107
    gather(tmp_path, [Thread(0)])
    assert_same(state_in(tmp_path))


def test_shards_that_come_early_wait_on_disk_and_survive(tmp_path):
    """As after a kill of the process that gathers: nothing but the folder is left."""
    shards = shards_of(0, 107, BATCH, 1)
    for shard in reversed(shards[1:]):
        Gathered(tmp_path, 107).add(shard, drawn(*shard))
    again = Gathered(tmp_path, 107)
    assert again.counted == 0
    gap = again.missing(BATCH, 1)
    assert (gap[0].first, sum(shard.count for shard in gap)) == shards[0]
    again.add(shards[0], drawn(*shards[0]))
    assert again.counted == 107
    assert_same(state_in(tmp_path))


def test_it_goes_on_behind_a_run_of_one_process_and_a_longer_one_behind_it(tmp_path):
    drawn(0, 24, tmp_path)
    workers = [Thread(0), Thread(1)]
    gather(tmp_path, workers, 60)
    assert min(first for worker in workers for first, _ in worker.drew) == 24
    assert_same(state_in(tmp_path, 60), drawn(0, 60))
    gather(tmp_path, [third := Thread(2)])
    assert min(first for first, _ in third.drew) == 60


def test_a_shard_of_another_size_is_refused(tmp_path):
    with pytest.raises(BadInput, match="8 samples from 0 on came as 4; have all machines run one version"):
        Gathered(tmp_path, 107).add(Shard(0, 8), drawn(0, 4))


def test_a_shard_that_is_counted_already_is_refused(tmp_path):
    gathered = Gathered(tmp_path, 107)
    gathered.add(Shard(0, 8), drawn(0, 8))
    with pytest.raises(BadInput, match="8 samples are in more than one"):
        gathered.add(Shard(8, 8), drawn(0, 8))


def test_the_ledger_gives_each_shard_to_one_and_a_lost_one_again():
    first, second = Shard(0, 4), Shard(4, 4)
    ledger = Ledger([first, second])
    assert ledger.take() == first and ledger.take() == second
    ledger.tell(first, 3)
    assert ledger.samples == 3
    ledger.give_back(first, "a", "died")
    assert ledger.samples == 0
    assert ledger.take() == first
    ledger.bring(first, "b", "result")
    assert ledger.arrived(0) == (first, "b", "result")
    ledger.count(first, "b")
    assert not ledger.done
    ledger.bring(second, "a", "result")
    assert ledger.arrived(0) is not None
    ledger.count(second, "a")
    assert ledger.done and ledger.take() is None
    assert ledger.streaks == {"a": 0, "b": 0}


def test_candidates_merge_to_those_of_one_pass():
    values = torch.randn(300, 6, generator=torch.Generator().manual_seed(1))
    values[200:] = values[:100]
    whole = Candidates(REFERENCE)
    whole.add(range(300), values)
    states = []
    for first in (150, 0, 250, 50):
        part = Candidates(REFERENCE)
        last = {150: 250, 0: 50, 250: 300, 50: 150}[first]
        part.add(range(first, last), values[first:last])
        states.append(part.state())
    assert candidates.merge(states) == whole.state()


def test_timings_merge_as_runs_that_follow_each_other():
    states = [{"first": 3.0, "others": [1.0, 2.0]}, {"first": 2.0, "others": []}, {"first": 4.0, "others": [5.0]}]
    assert cost.merge(states) == {"first": 4.0, "others": [1.0, 2.0, 5.0]}
    many = {"first": 1.0, "others": [1.0] * 1000}
    assert len(cost.merge([many, many])["others"]) == cost.TIMED
