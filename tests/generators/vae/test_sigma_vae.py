import json

import pytest
import torch
from trilemma.models.errors import BadCheckpoint, BadInput, CannotDo
from trilemma.models.generators import loading
from trilemma.models.generators.base import Condition
from trilemma.models.generators.binding import Bound, sample
from trilemma.models.generators.vae.prior_fitting import fit_prior
from trilemma.models.generators.vae.priors import GAUSSIAN, STANDARD
from trilemma.models.generators.vae.sigma_vae import MEANS, SigmaVAE
from trilemma.tests.closeness import assert_close
from trilemma.tests.generators.vae import autoencoders

NAMES = ("ant", "bee", "cow")
METADATA = {"trilemma": json.dumps({"class_names": NAMES})}


def weights(classes: int = 3) -> dict[str, torch.Tensor]:
    tensors = autoencoders.random_weights(SigmaVAE(4, (8, 16)))
    means = 3 * torch.randn(classes, 4, generator=torch.Generator().manual_seed(1))
    return {**tensors, MEANS: means} if classes else tensors


@pytest.fixture
def tiny(tmp_path):
    return autoencoders.load(weights(), tmp_path, METADATA)


@pytest.mark.parametrize("classes", [0, 3])
def test_hyperparameters_come_from_the_shapes(classes, tmp_path):
    network = SigmaVAE(4, (8, 16))
    network.load_state_dict(autoencoders.random_weights(network))
    generator = autoencoders.load(weights(classes), tmp_path, METADATA)
    described = generator.descriptor
    assert (described.height, described.width, described.latent_shape) == (16, 16, (4,))
    assert described.num_classes == classes
    assert described.class_names == NAMES[:classes]
    assert described.conditions == (("none", "class") if classes else ("none",))
    latents = torch.randn(2, 4)
    assert_close(generator.modules[0].pictures(latents), network.pictures(latents))
    images = autoencoders.pictures(2, 16)
    assert_close(generator.encode(images).values, network.means(images.permute(0, 3, 1, 2)))


def test_classes_without_names_have_numbers(tmp_path):
    generator = autoencoders.load(weights(), tmp_path)
    assert generator.descriptor.class_names == ()
    Bound(generator).with_conditions([Condition("2")])
    with pytest.raises(BadInput, match="a number"):
        Bound(generator).with_conditions([Condition("ant")])


def test_a_class_is_a_place_in_latent_space(tiny):
    bound = Bound(tiny).with_options("vae", {"temperature": 0.0}).with_conditions([Condition("Cow"), Condition("0")])
    (batch,) = sample(bound, 4, 0, 4)
    latents = tiny.latents(batch.requests, bound.settings).values
    assert torch.equal(latents, weights()[MEANS][[2, 0, 2, 0]])
    assert torch.allclose(tiny.mean_latent().values[0], weights()[MEANS].mean(dim=0))


def test_a_condition_leaves_the_noise_as_it_is(tiny):
    means = weights()[MEANS]
    requests = next(sample(Bound(tiny), 6, 3, 6)).requests
    free = tiny.latents(requests, tiny.descriptor.options).values
    named = [request._replace(condition=Condition("bee")) for request in requests]
    noises = tiny.latents(named, tiny.descriptor.options).values - means[1]
    chosen = torch.cdist(free - noises, means).argmin(dim=1)
    assert torch.allclose(free, means[chosen] + noises, atol=1e-5)
    assert len(chosen.unique()) > 1


def test_other_priors_know_no_classes(tiny):
    images = autoencoders.pictures(4, 16)
    for prior in (STANDARD, fit_prior(tiny, images, GAUSSIAN)):
        bound = Bound(tiny).with_options("vae", {"prior": prior})
        next(sample(bound, 1, 0, 1))
        with pytest.raises(CannotDo, match="knows no classes; set prior to"):
            next(sample(bound.with_conditions([Condition("bee")]), 1, 0, 1))


def test_ways_go_around_the_centre(tiny):
    latents = tiny.encode(autoencoders.pictures(2, 16))
    start, end = (latents._replace(values=latents.values[[index]]) for index in (0, 1))
    way = tiny.interpolate(start, end, (0.0, 0.25, 0.5, 1.0)).values
    assert torch.allclose(way[[0, 3]], latents.values, atol=1e-5)
    centre = tiny.mean_latent().values
    radii = (way - centre).norm(dim=1)
    assert float(radii[1]) == pytest.approx(float(torch.lerp(radii[0], radii[3], 0.25)), rel=1e-4)


def test_a_prior_of_another_size_is_refused(tmp_path):
    torch.save({**weights(), MEANS: torch.zeros(3, 5)}, tmp_path / "odd.pt")
    with pytest.raises(BadCheckpoint, match=r"its prior\.means are not of 4 numbers each"):
        loading.load_generator(tmp_path / "odd.pt")
