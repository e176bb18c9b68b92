"""All scores of two sets: what each needs, what it warns of, and that they order sets as people would."""

import json
import math

import pytest
import torch
from trilemma.models.errors import BadInput
from trilemma.models.files import catalog
from trilemma.models.generators.noise import normal
from trilemma.models.scoring.evaluation import Settings, score
from trilemma.models.scoring.extractors.base import eight_bit
from trilemma.models.scoring.extractors.inception import NAME as INCEPTION
from trilemma.models.scoring.extractors.loading import EXTRACTORS
from trilemma.models.scoring.features import feature_files
from trilemma.models.scoring.features.extraction import Named, accumulate
from trilemma.models.scoring.features.feature_set import Tap, gaussian_of
from trilemma.models.scoring.metric import METRICS
from trilemma.models.scoring.reports.scores_text import describe
from trilemma.models.scoring.scores import from_json, to_json
from trilemma.tests.scoring.toy import Toy, features

pytestmark = pytest.mark.slow

STARTER = "starter emoji classifier"


class Deep(Toy):
    """A toy whose tap for sFID has the name that the pack's extractors give it."""

    spatial = "spatial"

    def __init__(self):
        super().__init__()
        self.taps = {"early": 2, "spatial": 3, "deep": 6}

    def extract(self, prepared, taps):
        return super().extract(prepared, ["place" if tap == "spatial" else tap for tap in taps])


def metrics(scores):
    return [found.metric for found in scores.scores]


def test_every_score_of_full_sets():
    taps = ("deep", "spatial", "early")
    ours, reference = features(0, 60, "ours", 50, 0, taps, Deep()), features(60, 140, "real", 50, 0, taps, Deep())
    found = score(ours, reference, Settings(kid_subset_size=20, nearest_k=3))
    assert metrics(found) == [
        "fid", "fid_infinity", "kid", "mind", "inception_score", "sfid", "compound_fid", "precision", "recall",
        "density", "coverage",
    ]  # fmt: skip
    assert all(math.isfinite(each.value) for each in found.scores)
    fid = found.score("fid")
    assert fid.low <= fid.value <= fid.high
    assert "warning" not in fid.note
    assert found.score("kid").note == "100 subsets of 20, of 50 generated and 50 reference rows"
    assert found.score("mind").note.startswith("1,000 directions, 50 of 50 generated and 50 reference rows; compares")
    assert found.score("inception_score").note == "10 splits"
    levels = found.score("compound_fid").note
    assert "deep: " in levels and "early: " in levels and "spatial" not in levels
    assert found.name == "ours"


def test_diversity_and_copies_are_scored_where_they_are_asked_for():
    ours, training, unseen = features(0, 90, "ours", 90), features(90, 180, "real", 90), features(180, 270, "new", 90)
    found = score(ours, training, Settings(diversity=True), held_out=unseen)
    asked = ["vendi", "vendi_truncated", "rke", "authpct", "c_t", "fld", "fld_gap"]
    assert metrics(found)[-7:] == asked
    assert all(math.isfinite(found.value(metric)) for metric in asked)
    assert 1 < found.value("rke") < found.value("vendi") < 6
    assert found.provenance["held_out"]["name"] == "new"
    copied = score(training._replace(name="copies"), training, held_out=unseen)
    assert (copied.value("authpct"), copied.value("c_t") < -3, copied.value("fld_gap") < -10) == (0, True, True)
    assert "likely copies" in copied.score("fld").note
    with pytest.raises(BadInput, match="different ways"):
        score(ours, training, held_out=features(0, 9, toy=Toy(resize="pad")))


def test_held_out_images_that_are_not_new_are_warned_of():
    ours, training, unseen = features(0, 60, "ours", 60), features(90, 150, "real", 60), features(180, 240, "new", 60)
    names = ("authpct", "c_t", "fld", "fld_gap")
    for held_out, told in (
        (training, "warning: held-out images should be new, and 60 of 60 are in the reference; "),
        (ours, "warning: held-out images should be new, and 60 of 60 are among the generated; "),
        (
            features(140, 200, "half new", 60),
            "warning: held-out images should be new, and 10 of 60 are in the reference; ",
        ),
    ):
        notes = [score(ours, training, held_out=held_out).score(name).note for name in names]
        assert all(told in note for note in notes)
    assert not any("new" in score(ours, training, held_out=unseen).score(name).note for name in names)


def test_a_reference_of_equal_rows_makes_nothing_likely():
    ours, unseen = features(0, 60, "ours", 60), features(180, 240, "new", 60)
    rows = ours.rows._replace(values=ours.rows.values[:1].expand(60, -1).contiguous())
    found = score(ours, ours._replace(name="grey", rows=rows), held_out=unseen)
    for name in ("fld", "fld_gap"):
        assert math.isnan(found.value(name)) and found.score(name).note.startswith("all rows of grey are equal")


def test_provenance_says_how_the_numbers_were_made_and_survives_json():
    found = score(features(0, 30), features(30, 70, "real"), Settings(subsets_seed=4), "model", {"parameters": 5.0})
    told = found.provenance
    assert told["extractor"] == {"name": "toy", "identity": "00000000", "resize": "cut"}
    assert (told["samples"], told["rows"], told["reference"]["samples"], told["reference"]["rows"]) == (30, 20, 40, 20)
    subsets = {"kid_subsets": 100, "kid_subset_size": 1000, "nearest_k": 5, "subsets_seed": 4}
    assert told["subsets"] == {**subsets, "neighbourhood": "open", "kid_kernel": "polynomial"}
    assert told["versions"]["torch"] == torch.__version__
    assert told["reference"]["identity"] == score(features(0, 9), features(30, 70)).provenance["reference"]["identity"]
    assert told["reference"]["identity"] != told["identity"]
    assert from_json(to_json(found)) == found


def test_a_limit_below_zero_is_no_score():
    """Of a set against itself the line ends below 0."""
    same = features(0, 60, "real", capacity=60)
    found = score(same, same)
    limit = found.score("fid_infinity")
    assert limit.value == 0.0
    assert limit.note.startswith("warning: not distinguishable from 0 at this count; line through 8 subsets of 60 rows")
    assert "FD at infinity (toy): not distinguishable from 0 at this count" in describe(found)


def test_labels_name_every_extractor_but_inception():
    text = describe(score(features(0, 30), features(30, 70, "real")))
    assert "\n  FD (toy): " in text
    assert "FID" not in text
    assert "\n  features: toy, resize cut\n" in text
    assert "reference: real, 40 samples" in text
    assert METRICS["fid"].label_by(INCEPTION) == "FID"
    assert METRICS["psnr"].label_by("toy") == "PSNR, dB"


def test_few_samples_are_warned_of_and_one_is_refused():
    found = score(features(0, 5), features(30, 70, "real"))
    assert "warning: the generated set has 5 samples for 6 dimensions" in found.score("fid").note
    assert found.score("fid").high > found.score("fid").low
    assert math.isnan(found.value("fid_infinity"))
    assert found.score("fid_infinity").note == "set keeps 5 rows, at least 8 are needed"
    assert math.isnan(found.value("precision"))
    assert found.score("kid").note.startswith("100 subsets of 2, ")
    assert "5 of 10 have no sample" in found.score("inception_score").note
    with pytest.raises(BadInput, match="1 sample is too few"):
        score(features(0, 1), features(30, 70))


def test_a_subset_of_all_rows_would_have_no_spread():
    found = score(features(0, 30), features(30, 70), Settings(kid_subset_size=20)).score("kid")
    assert found.note.startswith("100 subsets of 10, ")
    assert found.spread > 0


def test_means_and_covariances_alone_give_fid_alone():
    whole = features(0, 40, "old")
    moments = whole._replace(taps=(Tap("deep", gaussian_of(whole.taps[0])._replace(count=0)),), classes=None, rows=None)
    reference = features(40, 90)
    found = score(moments, reference)
    assert found.value("fid") == pytest.approx(score(whole, reference).value("fid"), rel=1e-9)
    assert found.score("fid").note == "no interval, which needs rows"
    assert "unknown" in describe(found)
    for metric in ("fid_infinity", "kid", "mind", "inception_score", "precision", "recall", "density", "coverage"):
        assert math.isnan(found.value(metric))
        assert found.score(metric).note
    assert json.loads(to_json(found))["scores"][1]["value"] is None


def test_sets_taken_in_different_ways():
    with pytest.raises(BadInput, match="were taken in different ways"):
        score(features(0, 9), features(9, 20, toy=Toy(resize="pad")))


@pytest.fixture(scope="module")
def starter():
    return EXTRACTORS.load(catalog.starter_folder("extractor", STARTER))


@pytest.fixture(scope="module")
def pictures():
    """float [192, 32, 32, 3]: discs of eight colours on pale ground, of many sizes and places."""
    generator = torch.Generator().manual_seed(0)
    rows, columns = torch.meshgrid(torch.arange(32), torch.arange(32), indexing="ij")
    colours = torch.rand(8, 3, generator=generator) * 0.8
    drawn = []
    for index in range(192):
        x, y, radius, pale = torch.rand(4, generator=generator).tolist()
        inside = (rows - 8 - 16 * y).square() + (columns - 8 - 16 * x).square() < (4 + 8 * radius) ** 2
        drawn.append(torch.where(inside[..., None], colours[index % 8], torch.tensor(0.75 + 0.25 * pale)))
    return torch.stack(drawn)


def taken(starter, images, name="set"):
    pixels = eight_bit(images)
    named = (Named(f"{name} {index}", index, image) for index, image in enumerate(pixels))
    with torch.no_grad():
        return accumulate(starter, named, (starter.main,), name, 64)


def fids(starter, pictures, changed):
    reference = taken(starter, pictures[:96], "real")
    return [score(taken(starter, images, "changed"), reference).value("fid") for images in changed]


def test_real_pictures_are_nearest_and_fid_grows_with_blur(starter, pictures):
    def blurred(radius):
        kernel = torch.exp(-torch.arange(-9, 10).square() / (2 * radius**2))
        kernel = (kernel / kernel.sum())[None, None]
        planes = pictures[96:].movedim(-1, 1).reshape(-1, 1, 32, 32)
        planes = torch.nn.functional.conv2d(planes, kernel[..., None, :], padding="same")
        planes = torch.nn.functional.conv2d(planes, kernel[..., None], padding="same")
        return planes.reshape(-1, 3, 32, 32).movedim(1, -1)

    found = fids(starter, pictures, [pictures[:96], pictures[96:], *(blurred(radius) for radius in (0.7, 1.4, 2.8))])
    # Fewer pictures than dimensions: roots of eigenvalues that are 0 but for rounding.
    assert found[0] == pytest.approx(0, abs=1e-6)
    assert found == sorted(found)
    assert found[-1] > 2 * found[1]


def test_fid_grows_with_noise(starter, pictures):
    noise = normal([torch.Generator().manual_seed(0)], (96, 32, 32, 3))[0]
    found = fids(starter, pictures, [(pictures[96:] + level * noise).clamp(0, 1) for level in (0, 0.05, 0.1, 0.2)])
    assert found == sorted(found)
    assert found[-1] > 2 * found[0]


def test_one_class_has_an_inception_score_near_one_and_a_collapsed_generator_no_recall(starter, pictures):
    reference = taken(starter, pictures, "real")
    one = pictures[:1] + 0.01 * normal([torch.Generator().manual_seed(1)], (96, 32, 32, 3))[0]
    collapsed = score(taken(starter, one.clamp(0, 1), "one"), reference)
    assert collapsed.value("inception_score") < 1.05
    assert collapsed.value("recall") < 0.02
    assert collapsed.value("coverage") < 0.1
    fair = score(taken(starter, pictures[96:], "half"), reference)
    assert fair.value("inception_score") > 1.5
    assert fair.value("recall") > 0.5


def test_the_shipped_reference_is_of_the_shipped_classifier(starter):
    file = catalog.STARTER_ROOT / catalog.REFERENCES["starter emoji pictures"]
    assert file.stat().st_size < 600_000
    reference = feature_files.load(file)
    assert reference.source == starter.source
    assert (reference.count, len(reference.rows.keys)) == (4096, 1000)
    assert 28 < score(reference, reference, Settings(kid_subsets=1)).value("inception_score") <= 32
