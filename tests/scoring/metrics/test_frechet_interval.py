"""The interval against repetitions of the same experiment, the limit against the distance of many samples."""

import pytest
import torch
from trilemma.models.errors import BadInput
from trilemma.models.scoring.metrics.frechet import Gaussian, frechet_distance, gaussian
from trilemma.models.scoring.metrics.frechet_interval import frechet_infinity, frechet_interval

SIZE = 16


def drawn(count: int, seed: int) -> torch.Tensor:
    """Samples of one generator: heavier tails than a normal distribution, unequal axes, off the reference's mean."""
    generator = torch.Generator().manual_seed(seed)
    normal = torch.randn(count, SIZE, generator=generator, dtype=torch.float64)
    scale = 1 + 0.5 * torch.randn(count, 1, generator=generator, dtype=torch.float64).abs()
    return normal * scale * torch.linspace(1.5, 0.2, SIZE, dtype=torch.float64) + 0.1


REFERENCE = Gaussian(10**6, torch.zeros(SIZE).double(), torch.diag(torch.linspace(1.2, 0.1, SIZE).double()))


@pytest.mark.slow
@pytest.mark.parametrize("count", [12, 200])
def test_the_standard_error_is_that_of_repetitions(count):
    repetitions = [gaussian(drawn(count, seed)) for seed in range(150)]
    spread = torch.tensor([frechet_distance(a, REFERENCE) for a in repetitions]).std()
    errors = [frechet_interval(drawn(count, s), repetitions[s], REFERENCE).standard_error for s in range(150)]
    assert 0.8 < torch.tensor(errors).mean() / spread < 1.4


@pytest.mark.slow
def test_the_interval_holds_most_repetitions():
    distances = torch.tensor([frechet_distance(gaussian(drawn(200, seed)), REFERENCE) for seed in range(150)])
    centre = distances.mean()
    intervals = [frechet_interval(drawn(200, s), gaussian(drawn(200, s)), REFERENCE) for s in range(150)]
    held = sum(bool(interval.low <= centre <= interval.high) for interval in intervals) / 150
    assert 0.87 <= held <= 1
    narrow = frechet_interval(drawn(200, 0), gaussian(drawn(200, 0)), REFERENCE, level=0.5)
    assert narrow.high - narrow.low < intervals[0].high - intervals[0].low
    assert narrow.distance == pytest.approx(float(distances[0]))


def test_part_of_the_samples_is_enough():
    samples = drawn(4000, 1)
    whole = frechet_interval(samples, gaussian(samples), REFERENCE)
    part = frechet_interval(samples[:500], gaussian(samples), REFERENCE)
    assert part.standard_error == pytest.approx(whole.standard_error, rel=0.25)
    assert part.distance == whole.distance


@pytest.mark.slow
def test_the_standard_error_is_that_of_the_plain_jackknife():
    samples = drawn(1200, 2)
    error = frechet_interval(samples, gaussian(samples), REFERENCE).standard_error
    others = [torch.cat([samples[:i], samples[i + 1 :]]) for i in range(1200)]
    left_out = torch.tensor([frechet_distance(gaussian(rows), REFERENCE) for rows in others])
    assert error == pytest.approx(float(left_out.double().std(correction=0)) * 1199**0.5, rel=0.02)


def test_an_interval_of_constant_features_is_a_point():
    same = torch.ones(5, 3)
    found = frechet_interval(same, gaussian(same), gaussian(torch.zeros(4, 3)))
    assert (found.low, found.distance, found.high) == (3, 3, 3)


def test_an_unknown_number_of_samples_is_refused():
    with pytest.raises(BadInput, match="number of samples is unknown"):
        frechet_interval(drawn(9, 0), REFERENCE._replace(count=0), REFERENCE)


@pytest.mark.slow
def test_the_limit_has_less_bias_than_the_distance():
    truth = frechet_distance(gaussian(drawn(100_000, 99)), REFERENCE)
    samples = [drawn(128, seed) for seed in range(12)]
    plain = sum(frechet_distance(gaussian(rows), REFERENCE) for rows in samples) / 12
    limit = sum(frechet_infinity(rows, REFERENCE, seed=0).limit for rows in samples) / 12
    assert abs(limit - truth) < 0.5 * abs(plain - truth)


def test_the_last_point_is_all_rows_and_the_line_goes_on_to_what_was_measured():
    rows = drawn(100, 3)
    found = frechet_infinity(rows, REFERENCE, seed=1)
    assert found.counts[0] == 25
    assert found.counts[-1] == 100
    assert found.distances[-1] == pytest.approx(frechet_distance(gaussian(rows), REFERENCE), rel=1e-9)
    longer = frechet_infinity(rows, REFERENCE, seed=1, measured=(10**9, found.limit))
    assert longer.counts[-1] == 10**9
    assert longer.limit == pytest.approx(found.limit, rel=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("count", [9, 40])
def test_the_limit_depends_on_the_seed_alone(count):
    rows = drawn(count, 4)
    assert frechet_infinity(rows, REFERENCE, seed=1) == frechet_infinity(rows, REFERENCE, seed=1)
    assert frechet_infinity(rows, REFERENCE, seed=1).limit != frechet_infinity(rows, REFERENCE, seed=2).limit
