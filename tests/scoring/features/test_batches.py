"""Files of ADM's evaluation and of dgm-eval as sets: what each gives, and that nothing in them is run."""

from functools import partial

import numpy as np
import pytest
import torch
from trilemma.models.errors import BadCheckpoint, BadInput
from trilemma.models.scoring.evaluation import score
from trilemma.models.scoring.features.batches import batch_at, take
from trilemma.models.scoring.features.extraction import accumulate
from trilemma.models.scoring.features.feature_files import load, save
from trilemma.models.scoring.features.feature_set import gaussian_of, merge
from trilemma.tests.scoring.toy import SIZE, Toy, features, pictures

TAPS = ("deep", "place")


def taken(path, name="set"):
    toy = Toy()
    extract = partial(accumulate, toy, taps=TAPS, name=name, batch_size=4, capacity=30)
    return take(batch_at(path), toy, extract, name)


def test_samples_are_described_by_the_extractor(tmp_path):
    images = pictures(11, side=6)
    np.savez(tmp_path / "samples.npz", images.numpy(), np.arange(11))
    found = taken(tmp_path / "samples.npz")
    toy = Toy()
    expected = toy.extract(toy.prepare(images), ("deep",)).taps[0]
    assert (found.count, len(found.rows.keys)) == (11, 11)
    assert torch.allclose(gaussian_of(found.taps[0]).mean, expected.double().mean(dim=0))


def test_references_bring_means_and_covariances_and_rows(tmp_path):
    whole = features(0, 60, taps=TAPS)
    moments = [gaussian_of(tap) for tap in whole.taps]
    arrays = {
        "mu": moments[0].mean.numpy(),
        "sigma": moments[0].covariance.numpy(),
        "mu_s": moments[1].mean.numpy().astype(np.float32),
        "sigma_s": moments[1].covariance.numpy().astype(np.float32),
    }
    path = tmp_path / "reference.npz"
    np.savez(path, arr_0=pictures(9).numpy(), **arrays)
    found = taken(path, "reference")
    assert [tap.name for tap in found.taps] == list(TAPS)
    assert torch.equal(gaussian_of(found.taps[0]).covariance, moments[0].covariance)
    assert torch.allclose(gaussian_of(found.taps[1]).mean, moments[1].mean)
    assert (found.count, len(found.rows.keys)) == (0, 9)
    ours = features(100, 140, taps=TAPS)
    assert score(ours, found).value("fid") == pytest.approx(score(ours, whole).value("fid"))
    assert 0 <= score(ours, found).value("precision") <= 1
    assert score(found, ours).score("fid").note.endswith("no interval, which needs rows")
    save(tmp_path / "kept.npz", found)
    assert torch.equal(load(tmp_path / "kept.npz").rows.values, found.rows.values)
    with pytest.raises(BadInput, match="cannot be merged"):
        merge([found, ours])
    # Without its pictures it is what it was: mean and covariance.
    np.savez(path, **arrays)
    assert batch_at(path) is None
    assert [tap.name for tap in load(path, Toy()).taps] == list(TAPS)


def test_representations_of_dgm_eval(tmp_path):
    rows = np.random.default_rng(0).standard_normal((7, SIZE))
    path = tmp_path / "reps.npz"
    np.savez(path, model="dinov2", reps=rows, hparams={"batch_size": 50})
    found = load(path, Toy())
    assert found.count == 7
    assert torch.allclose(gaussian_of(found.taps[0]).mean, torch.from_numpy(rows).mean(dim=0), atol=1e-6)
    with pytest.raises(BadInput, match="connect the one that did it"):
        load(path)
    np.savez(path, hparams={"batch_size": 50}, model="dinov2")
    with pytest.raises(BadCheckpoint, match="nor 'reps' but 'hparams', 'model'"):
        load(path, Toy())


@pytest.mark.parametrize(
    "array", [np.zeros((3, 4, 4, 3)), np.zeros((3, 4, 4), np.uint8), np.zeros((0, 4, 4, 3), np.uint8)]
)
def test_what_is_no_picture_is_refused(tmp_path, array):
    np.savez(tmp_path / "a.npz", array)
    with pytest.raises(BadCheckpoint, match="not uint8 of n x height x width x 3"):
        batch_at(tmp_path / "a.npz")


def test_a_file_that_ends_early_is_refused(tmp_path):
    path = tmp_path / "a.npz"
    np.savez(path, pictures(8).numpy())
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(BadCheckpoint, match="broken"):
        batch_at(path)
    np.savez(path, np.asfortranarray(pictures(8).numpy()))
    with pytest.raises(BadCheckpoint, match="column by column"):
        batch_at(path)
