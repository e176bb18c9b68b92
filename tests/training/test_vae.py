"""The recipe of the starter VAE on a few pictures."""

import json

import numpy as np
import pytest
import torch
from trilemma.models.files import checkpoints
from trilemma.models.generators import loading
from trilemma.models.generators.vae.sigma_vae import SigmaVAE

from training import vae
from training.loop import Schedule
from training.pictures import NAMES, Pictures

pytestmark = pytest.mark.slow


@pytest.fixture
def pictures():
    """Dark on the left for every other name, at the top for the rest."""
    sides = torch.full((2, 3, 32, 32), 220, dtype=torch.uint8)
    sides[0, :, :, :16] = 40
    sides[1, :, :16, :] = 40
    labels = torch.arange(len(NAMES))
    return Pictures(sides[labels % 2], labels)


def trainee() -> vae.Trainee:
    torch.manual_seed(0)
    return vae.Trainee(network=SigmaVAE(8, (8, 8, 16)))


@torch.no_grad()
def test_the_losses_are_those_of_the_lower_bound(pictures):
    """Worked out with the densities of torch, the deviation of the pixels being the best one for the batch."""
    model = trainee()
    images, labels = pictures.batch(np.random.default_rng(0), 8)
    losses = vae.evidence_losses(model, images, labels, torch.Generator().manual_seed(0))
    mean, log_variance = model.network.encode(images)
    posterior = torch.distributions.Normal(mean, (log_variance / 2).exp())
    prior = torch.distributions.Normal(model.means[labels], 1.0)
    divergence = torch.distributions.kl_divergence(posterior, prior).sum(dim=1).mean()
    assert float(losses["divergence"]) == pytest.approx(float(divergence) / 3072, rel=1e-5)
    noise = torch.randn(mean.shape, generator=torch.Generator().manual_seed(0))
    restored = model.network.decode(mean + noise * posterior.stddev)
    deviation = (restored - images).square().mean().sqrt()
    likelihood = torch.distributions.Normal(restored, deviation).log_prob(images).mean()
    constant = 0.5 + 0.5 * np.log(2 * np.pi)
    assert float(losses["reconstruction"] + constant) == pytest.approx(-float(likelihood), rel=1e-4)


def test_it_learns_and_the_pack_reads_it(pictures, tmp_path, monkeypatch):
    monkeypatch.setattr(vae, "BATCH", 4)
    model = trainee()
    images, labels = pictures.batch(np.random.default_rng(0), 16)
    with torch.no_grad():
        before = vae.evidence_losses(model, images, labels, torch.Generator().manual_seed(0))
    vae.fit(model, pictures, tmp_path / "runs", Schedule(steps=30, rate=1e-2, warmup=3))
    with torch.no_grad():
        after = vae.evidence_losses(model, images, labels, torch.Generator().manual_seed(0))
    assert float(sum(after.values())) < float(sum(before.values())) - 0.5
    vae.export(model, tmp_path / "model")
    described = json.loads(checkpoints.read(tmp_path / "model" / "model.safetensors").metadata["trilemma"])
    assert tuple(described["class_names"]) == NAMES
    generator = loading.load_generator(tmp_path / "model")
    assert generator.descriptor.class_names == NAMES
    with torch.no_grad():
        latents = generator.encode((images.permute(0, 2, 3, 1) + 1) / 2).values
        expected, _ = model.average.encode(images)
    assert torch.allclose(latents, expected, atol=0.05)
    assert torch.allclose(generator.mean_latent().values[0], model.average_means.mean(dim=0), atol=0.01)


def test_the_average_follows_the_network_and_its_means(pictures):
    model = trainee()
    start, means = model.average.to_rgb.bias.clone(), model.average_means.clone()
    with torch.no_grad():
        model.network.to_rgb.bias += 1
        model.means += 1
    model.follow(0)
    assert torch.allclose(model.average.to_rgb.bias - start, torch.full((3,), 0.9))
    assert torch.allclose(model.average_means - means, torch.tensor(0.9))
