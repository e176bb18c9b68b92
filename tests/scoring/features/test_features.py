"""Sums of features: one pass, batches, machines and queue runs give the same."""

import pytest
import torch
from trilemma.models.errors import BadInput
from trilemma.models.scoring.extractors.base import Answers, Source
from trilemma.models.scoring.features.feature_set import Accumulator, gaussian_of, merge, splits_of
from trilemma.models.scoring.features.keys import hash_keys, name_by_content, ranks
from trilemma.models.scoring.metrics.frechet import Gaussian, gaussian
from trilemma.tests.peak_memory import peak_bytes

SOURCE = Source("toy", "0123", "none")
COUNT = 203
SIZE = 6
CLASSES = 4


def draw(count=COUNT):
    torch.manual_seed(3)
    values = torch.randn(count, SIZE) * 3 + 5
    return Answers((values, values[:, :2] ** 2), torch.randn(count, CLASSES).log_softmax(dim=1))


def take(chosen, name="set", capacity=50, seed=0, batch=7):
    answers = draw()
    keys = hash_keys(f"sample {i}" for i in range(COUNT))
    accumulator = Accumulator(SOURCE, {"deep": SIZE, "early": 2}, CLASSES, capacity, seed)
    for part in torch.as_tensor(chosen).split(batch):
        taps = tuple(tap[part] for tap in answers.taps)
        accumulator.add(keys[part], part, Answers(taps, answers.log_probabilities[part]))
    return accumulator.features(name)


def assert_same(a, b):
    for one, other in zip(a.taps, b.taps, strict=True):
        assert one.statistics.count == other.statistics.count
        torch.testing.assert_close(one.statistics.total, other.statistics.total, rtol=1e-12, atol=0)
        torch.testing.assert_close(one.statistics.products, other.statistics.products, rtol=1e-12, atol=0)
    assert torch.equal(a.classes.counts, b.classes.counts)
    torch.testing.assert_close(a.classes.probabilities, b.classes.probabilities, rtol=1e-12, atol=0)
    torch.testing.assert_close(a.classes.negative_entropies, b.classes.negative_entropies, rtol=1e-12, atol=0)
    assert torch.equal(a.rows.keys, b.rows.keys)
    assert torch.equal(a.rows.values, b.rows.values)
    assert torch.equal(a.keys, b.keys)


def test_the_sums_are_mean_and_covariance():
    expected = gaussian(draw().taps[0])
    found = gaussian_of(take(range(COUNT)).taps[0])
    torch.testing.assert_close(found.mean, expected.mean, rtol=1e-12, atol=0)
    torch.testing.assert_close(found.covariance, expected.covariance, rtol=1e-10, atol=1e-12)


def test_splits_are_even_and_see_every_class_of_those_drawn_in_turn():
    indices = torch.arange(2**62, 2**62 + 1600)
    splits = splits_of(indices, 10)
    aligned = splits[(10 - indices[0] % 10) % 10 :][:1000].reshape(-1, 10)
    assert torch.equal(aligned.sort(dim=1).values, torch.arange(10).expand(100, 10))
    assert all(len(set((indices % 32)[splits == split].tolist())) == 32 for split in range(10))


def test_classes_are_summed_by_split():
    classes = take(range(COUNT)).classes
    log_p = draw().log_probabilities[splits_of(torch.arange(COUNT), 10) == 3].double()
    assert classes.counts[3] == len(log_p)
    torch.testing.assert_close(classes.probabilities[3], log_p.exp().sum(dim=0))
    torch.testing.assert_close(classes.negative_entropies[3], (log_p.exp() * log_p).sum())


@pytest.mark.slow
@pytest.mark.parametrize("batch", [1, 8, 203])
def test_batches_make_no_difference(batch):
    assert_same(take(range(COUNT), batch=batch), take(range(COUNT)))


@pytest.mark.slow
@pytest.mark.parametrize("capacity", [0, 1, 50, 500])
def test_merging_equals_one_pass(capacity):
    a, b, c = (take(part, capacity=capacity) for part in (range(60), range(60, 61), range(61, COUNT)))
    whole = take(range(COUNT), capacity=capacity)
    assert_same(merge([a, b, c]), whole)
    assert_same(merge([merge([c, a]), b]), whole)
    assert_same(merge([c, merge([b, a])]), whole)


@pytest.mark.slow
def test_memory_does_not_grow_with_the_number_of_samples():
    def run(batches):
        accumulator = Accumulator(SOURCE, {"deep": SIZE, "early": 2}, CLASSES, capacity=5)
        for batch in range(batches):
            keys = hash_keys(f"{batch} {i}" for i in range(8))
            accumulator.add(keys, torch.arange(8), draw(8))

    run(1)
    assert peak_bytes(lambda: run(20)) == peak_bytes(lambda: run(3))


def test_the_rows_are_those_of_the_smallest_ranks():
    rows = take(range(COUNT), capacity=20, seed=5).rows
    keys = hash_keys(f"sample {i}" for i in range(COUNT))
    chosen = ranks(keys, 5).argsort()[:20]
    assert torch.equal(rows.keys, keys[chosen])
    assert torch.equal(rows.values, draw().taps[0][chosen])
    assert not torch.equal(rows.keys, take(range(COUNT), capacity=20, seed=6).rows.keys)


def test_ranks_spread_evenly():
    found = ranks(hash_keys(f"{i}" for i in range(20_000)), 2**64 - 1).double() / 2**63
    quarters = torch.histc(found, 4, -1, 1)
    assert (quarters - 5000).abs().max() < 300


def test_a_repeat_is_refused_and_changes_nothing():
    answers = draw(3)
    accumulator = Accumulator(SOURCE, {"deep": SIZE, "early": 2}, CLASSES)
    keys = hash_keys(["a", "b", "c"])
    accumulator.add(keys, torch.arange(3), answers)
    before = accumulator.features("set")
    with pytest.raises(BadInput, match="counted already"):
        accumulator.add(keys[2:], torch.arange(1), Answers(tuple(t[:1] for t in answers.taps), answers[1][:1]))
    assert_same(accumulator.features("set"), before)
    with pytest.raises(BadInput, match="3 samples are in more than one"):
        merge([before, before])


def test_values_that_are_not_numbers_are_refused():
    taps = (torch.full((1, SIZE), torch.nan), torch.zeros(1, 2))
    accumulator = Accumulator(SOURCE, {"deep": SIZE, "early": 2}, CLASSES)
    with pytest.raises(BadInput, match="not numbers"):
        accumulator.add(hash_keys(["a"]), torch.arange(1), Answers(taps, torch.zeros(1, CLASSES)))
    assert accumulator.features("set").count == 0


def test_what_cannot_be_merged_is_named():
    whole = take(range(100))
    with pytest.raises(BadInput, match=r"toy 0123, resize none.*other 4567, resize tf1"):
        merge([whole, take(range(100, 110))._replace(source=Source("other", "4567", "tf1"))])
    with pytest.raises(BadInput, match=r"kept rows of set \(50\) and set \(9\) differ"):
        merge([whole, take(range(100, 110), capacity=9)])
    published = whole._replace(taps=(whole.taps[0]._replace(statistics=Gaussian(0, *draw().taps[:2])),), rows=None)
    with pytest.raises(BadInput, match="mean and covariance only"):
        merge([whole, published])


def test_one_sample_has_no_covariance():
    with pytest.raises(BadInput, match="1 sample is too few"):
        gaussian_of(take([4]).taps[0])


def test_equal_images_of_a_batch_are_two_samples():
    images = torch.zeros(3, 4, 4, 3, dtype=torch.uint8)
    images[2] = 1
    names = name_by_content(images)
    assert len(set(names)) == 3
    assert name_by_content(images) == names
