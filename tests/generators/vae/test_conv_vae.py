import pytest
import torch
from trilemma.models.generators import loading
from trilemma.models.generators.vae.conv_vae import ConvVAE
from trilemma.tests import reference_kit
from trilemma.tests.closeness import assert_close
from trilemma.tests.generators.vae import autoencoders

WIDTHS = (6, 8, 12)
KLD_WEIGHT = 0.00025
"""M_N of the published losses."""


@pytest.fixture
def tiny(tmp_path):
    return autoencoders.load(autoencoders.random_weights(ConvVAE(3, 5, WIDTHS)), tmp_path)


def published_loss(name: str, error: torch.Tensor, kld: torch.Tensor) -> torch.Tensor:
    """The objective of Kingma 2014, Higgins 2017 with beta 10, and Burgess 2018 with gamma 10 in its first step."""
    if name == "BetaVAE_B":
        return error + 10 * KLD_WEIGHT * (kld - 25 / 10000).abs()
    return error + (10 if name == "BetaVAE_H" else 1) * KLD_WEIGHT * kld


@pytest.mark.slow
@pytest.mark.parametrize("name", ["VanillaVAE", "BetaVAE_H", "BetaVAE_B"])
def test_parity(name, tmp_path):
    """Every number of the golden, from a Lightning checkpoint; the losses are sums of what the network gives."""
    row = reference_kit.case("pytorch_vae", f"golden_{name}")
    counters = {
        entry.name: torch.tensor(1)
        for entry in reference_kit.manifest("pytorch_vae", row["manifest"])
        if entry.name.endswith("num_batches_tracked")
    }
    weights = {f"model.{name}": value for name, value in {**reference_kit.weights(row), **counters}.items()}
    torch.save({"epoch": 3, "state_dict": weights, "hyper_parameters": {"beta": 4}}, tmp_path / "last.ckpt")
    generator = loading.load_generator(tmp_path / "last.ckpt")
    assert (generator.descriptor.height, generator.descriptor.latent_shape) == (64, (128,))
    network = generator.modules[0]
    inputs = {name: torch.from_numpy(value) for name, value in reference_kit.inputs(row).items()}
    mean, log_variance = network.posterior(inputs["img"])
    restored = network.restore(mean + inputs["eps"] * (log_variance / 2).exp())
    error = (restored - inputs["img"]).square().mean()
    kld = ((log_variance.exp() + mean.square() - 1 - log_variance) / 2).sum(dim=1).mean()
    # The reference reports the divergence of the plain VAE with the other sign.
    losses = {
        "loss.loss": published_loss(name, error, kld)[None],
        "loss.Reconstruction_Loss": error[None],
        "loss.KLD": (-kld if name == "VanillaVAE" else kld)[None],
    }
    answers = {"mu": mean, "logvar": log_variance, "recon": restored, **losses}
    assert answers.keys() == reference_kit.names(row)
    reference_kit.compare(row, answers)
    encoded = generator.encode(((inputs["img"] + 1) / 2).permute(0, 2, 3, 1))
    reference_kit.compare(row, {"mu": encoded.values})


def test_hyperparameters_come_from_the_shapes(tiny):
    network = ConvVAE(3, 5, WIDTHS)
    network.load_state_dict(autoencoders.random_weights(network))
    network.eval()
    described = tiny.descriptor
    assert (described.height, described.width, described.latent_shape) == (16, 16, (5,))
    latents = torch.randn(2, 5)
    assert_close(tiny.modules[0].pictures(latents), network.pictures(latents))
