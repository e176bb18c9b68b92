"""Each failure is found where it is, and not where it is not."""

import json
import math

import pytest
import torch
from trilemma.models.errors import BadInput
from trilemma.models.generators.base import Posterior
from trilemma.models.generators.binding import Bound, sample
from trilemma.models.generators.images import Images, from_batch
from trilemma.models.scoring.diagnosis.failures import ActivitySums, Seen, diagnose, entropy, expected_coverage
from trilemma.models.scoring.diagnosis.observation import Look, Run, look
from trilemma.models.scoring.extractors.base import eight_bit
from trilemma.models.scoring.reports import diagnosis_report
from trilemma.models.scoring.reports.diagnosis_chart import draw_chart
from trilemma.models.scoring.reports.diagnosis_strips import duplicate_strip, nearest_strip
from trilemma.models.steps import as_given
from trilemma.tests.generators.toy import Toy as ToyGenerator
from trilemma.tests.scoring.toy import CLASSES, Toy, pictures

QUANTILE = 0.05
SIZE = 12


def normals(count, seed, size=SIZE):
    return torch.randn(count, size, generator=torch.Generator().manual_seed(seed))


def seen(features, classes=None):
    return Seen(features, classes, tuple(range(len(features))))


def found(features, reference=None, **settings):
    reference = normals(200, 99) if reference is None else reference
    return diagnose(seen(features), seen(reference), 0, None, **settings)


def verdicts(diagnosis, ours, theirs):
    lines = diagnosis_report.describe(diagnosis, ours, theirs, "model", QUANTILE).splitlines()
    return dict(line.split(": ", 1) for line in lines[1:])


def told(features):
    theirs = seen(normals(200, 99))
    return verdicts(diagnose(seen(features), theirs, 0, None), seen(features), theirs)


def test_samples_of_the_references_distribution_have_no_failure():
    diagnosis = found(normals(200, 1))
    assert diagnosis.coverage == pytest.approx(diagnosis.expected_coverage, abs=0.05)
    assert diagnosis.duplicate_share < 0.12
    assert diagnosis.memorised_share == 0
    lines = told(normals(200, 1))
    assert lines["near-duplicates"].startswith("no more than usual")
    assert lines["mode coverage"].startswith("no collapse")
    assert lines["memorisation"].startswith("none seen")


def test_a_collapsed_generator_repeats_itself_and_covers_little():
    few = normals(4, 1).repeat(50, 1) + 0.01 * normals(200, 2)
    diagnosis = found(few)
    assert diagnosis.duplicate_share == 1
    assert diagnosis.coverage < 0.2
    lines = told(few)
    assert lines["near-duplicates"].startswith("MANY (100.0% of 200 samples")
    assert lines["mode coverage"].startswith("modes are MISSING")


def test_samples_beside_the_reference_are_no_missing_modes():
    """As a blurring model's: everywhere, but none of them where the reference is."""
    aside = torch.cat([normals(200, 1), torch.full((200, 1), 4.0)], dim=1)
    theirs = torch.cat([normals(200, 99), torch.zeros(200, 1)], dim=1)
    aside[:, :SIZE] *= 3
    sets = seen(aside), seen(theirs)
    diagnosis = diagnose(*sets, 0, None)
    assert diagnosis.coverage < 0.1
    assert diagnosis.recall > 0.9
    assert verdicts(diagnosis, *sets)["mode coverage"].startswith("no collapse, but samples lie BESIDE")


def test_duplicates_are_those_within_the_quantile_and_twins_their_partners():
    features = normals(51, 1)
    features[50] = features[7] + 1e-4
    diagnosis = found(features)
    assert (diagnosis.twins[50], diagnosis.twins[7]) == (7, 50)
    near = diagnosis.twin_distances < diagnosis.duplicate_distance
    assert near[[7, 50]].all()
    distances = torch.cdist(features.double(), features.double()).fill_diagonal_(math.inf)
    torch.testing.assert_close(diagnosis.twin_distances, distances.min(dim=1).values, rtol=1e-4, atol=1e-6)
    wider = found(features, quantile=0.5)
    assert wider.duplicate_distance > diagnosis.duplicate_distance
    assert wider.duplicate_share > diagnosis.duplicate_share


def test_memorised_samples_are_found_and_named():
    reference = normals(200, 99)
    features = normals(100, 1)
    features[10:40] = reference[100:130] + 0.01 * normals(30, 3)
    diagnosis = found(features)
    assert diagnosis.memorised_share == 0.3
    assert diagnosis.nearest[10:40].tolist() == list(range(100, 130))
    assert told(features)["memorisation"].startswith("samples are COPIES of reference pictures (30.0%")


def test_a_copy_of_a_picture_that_is_twice_in_the_reference_is_one():
    reference = torch.cat([normals(20, 1), normals(20, 1)])
    diagnosis = found(normals(20, 1)[:6], reference)
    assert torch.equal(diagnosis.ratios, torch.zeros(6, dtype=torch.float64))


@pytest.mark.slow
@pytest.mark.parametrize("count", [50, 200, 800])
def test_expected_coverage_is_that_of_the_same_distribution(count):
    shares = [found(normals(count, seed)).coverage for seed in range(4)]
    assert sum(shares) / 4 == pytest.approx(expected_coverage(count, 200), abs=0.05)


def test_classes_are_counted():
    ours, theirs = torch.tensor([0, 0, 0, 2, 0, 0]), torch.tensor([0, 1, 2, 3] * 3)
    sets = seen(normals(6, 1), ours), seen(normals(12, 2), theirs)
    diagnosis = diagnose(*sets, 5, None)
    assert diagnosis.classes.generated.tolist() == [5, 0, 1, 0, 0]
    assert diagnosis.classes.reference.tolist() == [3, 3, 3, 3, 0]
    assert entropy(diagnosis.classes.reference) == pytest.approx(math.log(4))
    line = verdicts(diagnosis, *sets)["classes"]
    assert "the reference's 4.0" in line
    assert line.endswith("missing: 1, 3")


def posterior(count=400, dead=2, size=6):
    """Numbers that tell images apart have a small variance and a spread-out mean, the last are the prior's."""
    mean, log_variance = normals(count, 5, size), torch.full((count, size), math.log(0.04))
    mean[:, size - dead :] = 0
    log_variance[:, size - dead :] = 0
    return Posterior(mean, log_variance, torch.zeros(count, size), torch.zeros(count, size))


@pytest.mark.slow
@pytest.mark.parametrize("batch", [1, 7, 400])
def test_active_units(batch):
    whole = posterior()
    sums = ActivitySums()
    for start in range(0, 400, batch):
        sums.add(Posterior(*(part[start : start + batch] for part in whole)))
    activity = sums.activity()
    assert activity.active.tolist() == [True] * 4 + [False] * 2
    expected = torch.distributions.kl_divergence(
        torch.distributions.Normal(whole.mean.double(), (whole.log_variance.double() / 2).exp()),
        torch.distributions.Normal(0.0, 1.0),
    ).mean(dim=0)
    torch.testing.assert_close(activity.divergence, expected, rtol=1e-6, atol=1e-8)
    torch.testing.assert_close(activity.variance, whole.mean.double().var(dim=0))


def test_a_number_that_only_tells_the_class_is_not_active():
    centres = torch.tensor([[-3.0], [3.0]]).repeat(50, 2)
    sums = ActivitySums()
    sums.add(Posterior(centres, torch.zeros(100, 2), centres, torch.zeros(100, 2)))
    assert not sums.activity().active.any()


@pytest.mark.parametrize(("dead", "verdict"), [(0, "none (20 of"), (10, "PARTIAL (10 of"), (20, "COLLAPSED")])
def test_posterior_collapse(dead, verdict):
    sums = ActivitySums()
    sums.add(posterior(50, dead, 20))
    sets = seen(normals(6, 1)), seen(normals(6, 2))
    diagnosis = diagnose(*sets, 0, sums.activity())
    assert verdicts(diagnosis, *sets)["posterior collapse"].startswith(verdict)
    assert diagnosis.active_units == 20 - dead
    data = json.loads(diagnosis_report.to_json(diagnosis, *sets, "model", QUANTILE))
    assert (data["active_units"], len(data["divergence"])) == (20 - dead, 20)


def test_one_image_has_no_activity():
    sums = ActivitySums()
    sums.add(posterior(1))
    with pytest.raises(BadInput, match="one image"):
        sums.activity()


class Encoding(ToyGenerator):
    """A toy whose encoder is sure of the first number alone."""

    def posterior(self, images):
        mean = torch.zeros(len(images), 5)
        mean[:, 0] = images.flatten(1).mean(dim=1) * 100
        return Posterior(mean, torch.zeros_like(mean), torch.zeros_like(mean), torch.zeros_like(mean))


def runs(repeated=0, **changes):
    real = pictures(20, 5)
    real = torch.cat([real, real[:repeated]]) / 255
    return Run(Bound(Encoding(**changes)), 9, 3), Run(Bound(Images(from_batch(real))), len(real), 0)


@pytest.mark.slow
@pytest.mark.parametrize("batch_size", [1, 4, 16])
def test_the_pass_sees_every_picture_once_whatever_the_batch(batch_size):
    generated, reference = runs(repeated=6)
    toy, steps = Toy(), []
    ours, theirs, activity, _ = look(
        generated, reference, toy, batch_size, lambda done, _: steps.append(done), as_given
    )
    drawn = next(sample(generated.bound, 9, 3, 9)).images
    expected = toy.extract(toy.prepare(eight_bit(drawn)), ("deep",))
    torch.testing.assert_close(ours.features, expected.taps[0], rtol=1e-5, atol=1e-6)
    assert torch.equal(ours.classes, expected.log_probabilities.argmax(dim=1))
    assert (ours.numbers, ours.repeats) == (tuple(range(9)), 0)
    assert (theirs.numbers, theirs.repeats) == (tuple(range(20)), 6)
    assert (activity.images, activity.active.tolist()) == (20, [True, False, False, False, False])
    assert steps == sorted(steps)
    assert steps[-1] == generated.steps + reference.steps == 9 * 2 + 26


def test_a_batch_that_does_not_fit_is_neither_lost_nor_counted_twice():
    def halving(run, size):
        while True:
            try:
                return run(size)
            except torch.cuda.OutOfMemoryError:
                size //= 2

    generated, reference = runs(room=2)
    ours, theirs, activity, _ = look(generated, reference, Toy(room=3), 8, lambda *_: None, halving)
    assert (len(ours.features), len(theirs.features), activity.images) == (9, 20, 20)
    whole = Look(runs()[0], Toy()).fill(9)
    torch.testing.assert_close(ours.features, whole.features, rtol=1e-5, atol=1e-6)


def test_models_without_a_variational_encoder_have_no_activity():
    generated = Run(Bound(ToyGenerator()), 8, 0)
    *sets, activity, _ = look(generated, runs()[1], Toy(), 8, lambda *_: None, as_given)
    diagnosis = diagnose(*sets, CLASSES, activity)
    assert math.isnan(diagnosis.active_units)
    assert verdicts(diagnosis, *sets)["posterior collapse"] == "no variational encoder"


@pytest.mark.slow
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_pictures(theme):
    generated, reference = runs()
    ours, theirs, activity, _ = look(generated, reference, Toy(), 8, lambda *_: None, as_given)
    diagnosis = diagnose(ours, theirs, CLASSES, activity)
    chart = draw_chart(diagnosis, "toy", theme)
    shorter = draw_chart(diagnosis._replace(activity=None, classes=None), "toy", theme)
    assert chart.shape[2:] == shorter.shape[2:] == (1536, 3)
    assert chart.shape[1] > 2 * shorter.shape[1]
    assert (chart.mean() > 0.5) == (theme == "light")
    strip = nearest_strip(diagnosis, generated, reference, theirs, 4, theme)
    assert strip.ndim == 4
    assert duplicate_strip(diagnosis, generated, 4, theme).ndim == 4


def test_too_few_samples():
    with pytest.raises(BadInput, match="at least 6"):
        found(normals(5, 1))
