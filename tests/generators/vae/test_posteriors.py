"""What variational encoders say of images, and which prior they are measured by."""

import pytest
import torch
from trilemma.models.files.checkpoints import Checkpoint
from trilemma.models.generators.autoregressive import vqvae
from trilemma.models.generators.vae import autoencoder_kl, conv_vae, mnist_vae, sigma_vae
from trilemma.models.generators.vae.autoencoder_kl import KLCoder
from trilemma.models.scoring.diagnosis.failures import ActivitySums
from trilemma.tests.closeness import assert_close
from trilemma.tests.generators.autoregressive.test_vqvae import tiny as build_vqvae
from trilemma.tests.generators.vae import autoencoders
from trilemma.tests.generators.vae.test_autoencoder_kl import METADATA
from trilemma.tests.generators.vae.test_autoencoder_kl import build as build_kl
from trilemma.tests.generators.vae.test_sigma_vae import weights as sigma_weights

pytestmark = pytest.mark.slow


def of(module, network, metadata=None):
    return module.load(Checkpoint(autoencoders.random_weights(network), metadata or {}))


VARIATIONAL = {
    "sigma": (lambda: sigma_vae.load(Checkpoint(sigma_weights(), {})), 16),
    "convolutional": (lambda: of(conv_vae, conv_vae.ConvVAE(3, 5, (6, 8, 12))), 16),
    "MNIST": (lambda: of(mnist_vae, mnist_vae.MnistVAE(36, 10, 4)), 6),
    "KL": (lambda: autoencoder_kl.load(Checkpoint(build_kl().state_dict(), METADATA)), 16),
}


@pytest.mark.parametrize("name", VARIATIONAL)
def test_the_mean_is_what_encode_gives_and_no_picture_depends_on_another(name):
    build, side = VARIATIONAL[name]
    generator = build()
    for module in generator.modules:
        module.eval()
    images = autoencoders.pictures(5, side)
    with torch.no_grad():
        posterior = generator.posterior(images)
        single = [generator.posterior(image[None]) for image in images]
        assert_close(posterior.mean, generator.encode(images).values)
    assert len({part.shape for part in posterior}) == 1
    assert posterior.log_variance.std() > 0
    for part, parts in zip(posterior, zip(*single, strict=True), strict=True):
        torch.testing.assert_close(part, torch.cat(parts), rtol=1e-4, atol=1e-5)
    sums = ActivitySums()
    sums.add(posterior)
    assert sums.activity().divergence.min() >= 0


def test_the_log_variance_is_the_librarys():
    network = build_kl()
    pixels = autoencoders.pictures(2, 16).permute(0, 3, 1, 2)
    with torch.no_grad():
        mean, log_variance = KLCoder(network).posteriors(pixels)
        expected = network.encode(2 * pixels - 1).latent_dist
    assert_close(mean, expected.mean)
    assert_close(log_variance.exp(), expected.var)


def test_of_a_prior_per_class_the_nearest_counts():
    build, side = VARIATIONAL["sigma"]
    generator = build()
    with torch.no_grad():
        posterior = generator.posterior(autoencoders.pictures(6, side))
    centres = sigma_weights()[sigma_vae.MEANS]
    divergences = (posterior.mean[:, None] - centres).square().sum(dim=2)
    assert torch.equal(posterior.prior_mean, centres[divergences.argmin(dim=1)])
    assert not posterior.prior_log_variance.any()


def test_codes_have_no_posterior():
    generator = vqvae.load(Checkpoint(build_vqvae().state_dict(), {}))
    assert generator.posterior(autoencoders.pictures(2, generator.descriptor.height)) is None
