import math
from itertools import pairwise

import pytest
import torch
from trilemma.models.errors import BadInput, CannotDo
from trilemma.models.generators import noise
from trilemma.models.generators.base import Condition
from trilemma.models.generators.binding import Bound, sample
from trilemma.models.generators.vae import prior_fitting
from trilemma.models.generators.vae.conv_vae import ConvVAE
from trilemma.models.generators.vae.prior_fitting import fit_mixture, fit_prior, log_densities
from trilemma.models.generators.vae.priors import GAUSSIAN, MIXTURE, STANDARD, diagonal, standard_normal
from trilemma.tests.closeness import is_close
from trilemma.tests.generators.vae import autoencoders


@pytest.fixture(scope="module")
def vae(tmp_path_factory):
    weights = autoencoders.random_weights(ConvVAE(3, 4, (6, 8)))
    return autoencoders.load(weights, tmp_path_factory.mktemp("vae"))


def draws(prior, count=4000, temperature=1.0):
    generators = noise.generators(noise.requests(count, 1, [Condition()]))
    normals = noise.normal(generators, prior.shape)
    return prior.place(normals, prior.choose(generators), temperature)


def two_clouds(full: bool):
    """Points of two Gaussians whose shapes are known; a third of them are of the first."""
    rng = torch.Generator().manual_seed(0)
    normals = torch.randn(3000, 2, generator=rng, dtype=torch.float64)
    shear = torch.tensor([[1.0, 0.0], [0.8, 0.6]] if full else [[1.0, 0.0], [0.0, 0.3]], dtype=torch.float64)
    return torch.cat([normals[:1000] - 4, normals[1000:] @ shear.T + 4]), shear


@pytest.mark.parametrize("full", [False, True])
def test_em_finds_the_clouds(full):
    points, shear = two_clouds(full)
    weights, means, factors = fit_mixture(points, 2, full)
    order = means[:, 0].argsort()
    assert torch.allclose(weights[order], torch.tensor([1 / 3, 2 / 3], dtype=torch.float64), atol=0.01)
    assert torch.allclose(means[order], torch.tensor([[-4.0, -4], [4, 4]], dtype=torch.float64), atol=0.1)
    second = factors[order][1]
    covariance = second @ second.T if full else torch.diag(second.square())
    assert torch.allclose(covariance, shear @ shear.T, atol=0.06)


@pytest.mark.slow
@pytest.mark.parametrize("full", [False, True])
def test_em_never_lowers_the_likelihood(full, monkeypatch):
    points, _ = two_clouds(full)
    points = points[::20]
    likelihoods = []
    for steps in range(1, 8):
        monkeypatch.setattr(prior_fitting, "EM_STEPS", steps)
        weights, means, factors = fit_mixture(points, 4, full)
        joint = log_densities(points, means, factors) + weights.log()
        likelihoods.append(float(joint.logsumexp(dim=1).mean()))
    # The floor of the variances costs a little.
    assert all(after > before - 1e-4 for before, after in pairwise(likelihoods))
    assert likelihoods[-1] > likelihoods[0]


def test_densities_are_those_of_torch():
    points, _ = two_clouds(True)
    _, means, factors = fit_mixture(points, 2, True)
    theirs = torch.distributions.MultivariateNormal(means, scale_tril=factors).log_prob(points[:, None])
    assert torch.allclose(log_densities(points, means, factors), theirs)
    _, means, deviations = fit_mixture(points, 2, False)
    theirs = torch.distributions.Normal(means, deviations).log_prob(points[:, None]).sum(dim=2)
    assert torch.allclose(log_densities(points, means, deviations), theirs)


@pytest.mark.slow
def test_one_gaussian_has_the_moments_of_the_points(vae):
    images = autoencoders.pictures(40, 8)
    codes = vae.encode(images).values.double()
    prior = fit_prior(vae, images, GAUSSIAN)
    assert prior.factors.ndim == 3
    assert torch.allclose(prior.means[0], codes.mean(dim=0))
    expected = torch.cov(codes.T, correction=0)
    found = prior.factors[0] @ prior.factors[0].T
    assert torch.allclose(found, expected, atol=2e-4 * float(expected.diagonal().mean()))
    drawn = draws(prior).double()
    assert torch.allclose(drawn.mean(dim=0), prior.means[0], atol=0.1 * float(expected.diagonal().max()) ** 0.5)
    assert torch.allclose(torch.cov(drawn.T), expected, atol=0.1 * float(expected.diagonal().max()))


def test_few_images_give_a_diagonal(vae):
    assert fit_prior(vae, autoencoders.pictures(6, 8), GAUSSIAN).factors.shape == (1, 4)
    assert fit_prior(vae, autoencoders.pictures(6, 8), GAUSSIAN, covariance="full").factors.shape == (1, 4, 4)


def test_fitting_repeats_itself_and_reports(vae):
    images, steps = autoencoders.pictures(10, 8), []
    first = fit_prior(vae, images, MIXTURE, 3, 4, lambda done, preview: steps.append(done))
    again = fit_prior(vae, images, MIXTURE, 3, 4)
    assert steps == [4, 8, 10]
    assert all(is_close(first[index], again[index]) for index in (2, 3, 4))
    assert str(first) == "Gaussian mixture of 3 components, over 10 images"
    assert math.isclose(float(first.weights.sum()), 1)


def test_equal_images_still_give_a_prior(vae):
    same = autoencoders.pictures(1, 8).repeat(6, 1, 1, 1)
    prior = fit_prior(vae, same, MIXTURE, 3)
    assert torch.allclose(draws(prior, 20), vae.encode(same[:1]).values, atol=1e-3)


@pytest.mark.parametrize(("kind", "components", "count"), [(GAUSSIAN, 1, 1), (MIXTURE, 4, 7), (MIXTURE, 0, 8)])
def test_too_few_images(vae, kind, components, count):
    with pytest.raises(BadInput, match=f"images: {count} are too few"):
        fit_prior(vae, autoencoders.pictures(count, 8), kind, components)


def test_a_full_covariance_has_a_limit(vae, monkeypatch):
    monkeypatch.setattr(prior_fitting, "FULL_LIMIT", 3)
    with pytest.raises(BadInput, match="full over latents of 4 numbers, above 3"):
        fit_prior(vae, autoencoders.pictures(20, 8), GAUSSIAN, covariance="full")
    assert fit_prior(vae, autoencoders.pictures(20, 8), GAUSSIAN).factors.ndim == 2


@pytest.mark.slow
def test_components_are_chosen_by_their_weights():
    prior = diagonal(MIXTURE, (1,), torch.tensor([[-5.0], [5.0]]), torch.full((2, 1), 0.1), "x")
    prior = prior._replace(weights=torch.tensor([0.2, 0.8], dtype=torch.float64))
    assert float((draws(prior) > 0).float().mean()) == pytest.approx(0.8, abs=0.02)
    assert torch.allclose(prior.mean, torch.tensor([[3.0]]))


def test_temperature_scales_the_deviation():
    prior = standard_normal((2, 3), "x")
    assert torch.allclose(draws(prior, 10, 0.5), 0.5 * draws(prior, 10))
    assert not draws(prior, 10, 0.0).any()


def test_a_fitted_prior_is_bound_and_drawn_from(vae):
    images = autoencoders.pictures(12, 8)
    prior = fit_prior(vae, images, MIXTURE, 2)
    bound = Bound(vae).with_options("vae", {"prior": prior, "temperature": 0.0})
    (batch,) = sample(bound, 6, 0, 6)
    centres = vae.decode(vae.encode(images)._replace(values=prior.means.float()), [], {})
    distances = (batch.images[:, None] - centres).abs().flatten(2).amax(dim=2).amin(dim=1)
    assert float(distances.max()) < 1e-5
    assert Bound(vae).with_options("vae", {"prior": STANDARD}).settings["prior"] == STANDARD


def test_priors_that_cannot_be_bound(vae, tmp_path):
    with pytest.raises(BadInput, match="fitted over images, but there are none"):
        Bound(vae).with_options("vae", {"prior": MIXTURE})
    with pytest.raises(BadInput, match="'uniform' is none of"):
        Bound(vae).with_options("vae", {"prior": "uniform"})
    other = autoencoders.load(autoencoders.random_weights(ConvVAE(3, 4, (6, 8)), seed=1), tmp_path)
    foreign = Bound(other).with_options("vae", {"prior": fit_prior(vae, autoencoders.pictures(4, 8), GAUSSIAN)})
    with pytest.raises(BadInput, match="fitted to another model"):
        next(sample(foreign, 1, 0, 1))
    with pytest.raises(BadInput, match="'standard normal' is not fitted"):
        fit_prior(vae, autoencoders.pictures(4, 8), STANDARD)


def test_conditions_are_refused(vae):
    with pytest.raises(CannotDo, match="takes none"):
        Bound(vae).with_conditions([Condition("3")])
