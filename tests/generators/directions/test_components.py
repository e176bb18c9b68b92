"""GANSpace against numpy's singular values of w drawn by itself."""

import numpy as np
import pytest
import torch
from trilemma.models.errors import BadInput, CannotDo
from trilemma.models.generators.base import Condition
from trilemma.models.generators.binding import Bound
from trilemma.models.generators.directions import components as module
from trilemma.models.generators.directions.components import components
from trilemma.tests.generators.directions.small import PLAIN, STYLED, drawn, tiny
from trilemma.tests.generators.toy import Toy

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("name", STYLED)
def test_components_are_those_of_the_w(name, tmp_path, monkeypatch):
    generator = tiny(name, tmp_path)
    w = drawn(generator, 50, seed=7).values[:, 0].double().numpy()
    centred = w - w.mean(axis=0)
    _, singular, lines = np.linalg.svd(centred, full_matrices=False)
    variances = singular**2 / 49
    monkeypatch.setattr(module, "BATCH", 16)
    steps = []
    found = components(
        Bound(generator, {"truncation_psi": 0.5}), 3, 50, 7, lambda done, preview=None: steps.append(done)
    )
    assert steps == [16, 32, 48, 50]
    lengths = found.vectors.double().norm(dim=1).numpy()
    np.testing.assert_allclose(lengths, np.sqrt(variances[:3]), rtol=1e-4)
    cosines = (found.vectors.double().numpy() * lines[:3]).sum(axis=1) / lengths
    np.testing.assert_allclose(np.abs(cosines), 1, atol=1e-5)
    shares = 100 * variances / variances.sum()
    assert found.names == tuple(f"pca {k + 1} ({shares[k]:.1f} % of variance)" for k in range(3))
    assert (found.space, found.layers, found.identity) == ("w", (), generator.identity)


def test_w_are_of_the_conditions(tmp_path):
    generator = tiny("stylegan2", tmp_path)
    several = [components(Bound(generator, conditions=(Condition(text),)), 1, 40).vectors for text in "01"]
    assert not torch.allclose(*several)


@pytest.mark.parametrize("name", PLAIN)
def test_a_gaussian_has_none(name, tmp_path):
    with pytest.raises(
        CannotDo, match="drawn from a Gaussian, which has no principal components; take the method sefa"
    ):
        components(Bound(tiny(name, tmp_path)), 1, 10)


def test_too_few_or_too_many(tmp_path):
    generator = tiny("stylegan2", tmp_path)
    with pytest.raises(BadInput, match="count: 7, but latents of StyleGAN2 have 6 directions"):
        components(Bound(generator), 7, 100)
    with pytest.raises(BadInput, match="samples: 3 w span fewer than 3 directions"):
        components(Bound(generator), 3, 3)
    with pytest.raises(CannotDo, match="latents of Toy are drawn from a Gaussian"):
        components(Bound(Toy()), 1, 10)
