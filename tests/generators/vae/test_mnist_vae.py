import pytest
import torch
from trilemma.models.errors import BadCheckpoint
from trilemma.models.generators import loading
from trilemma.models.generators.binding import Bound, sample
from trilemma.models.generators.vae.mnist_vae import MnistVAE
from trilemma.tests import reference_kit
from trilemma.tests.closeness import assert_close
from trilemma.tests.generators.vae import autoencoders

REAL_ROW = {"golden_dev": "mnist_small/golden_real_vae_dev.npz"}


@pytest.fixture
def tiny(tmp_path):
    return autoencoders.load(autoencoders.random_weights(MnistVAE(36, 10, 4)), tmp_path)


def answers(network: MnistVAE, inputs: dict) -> dict[str, torch.Tensor]:
    decoded = network.pictures(torch.from_numpy(inputs["z"])).flatten(1)
    mean, log_variance = network.posterior(torch.from_numpy(inputs["x"]))
    return {"decode": decoded, "enc_mu": mean, "enc_logvar": log_variance}


def test_parity(tmp_path):
    row = reference_kit.case("mnist_small", "golden_vae")
    torch.save(reference_kit.weights(row), tmp_path / "vae_epoch_25.pth", _use_new_zipfile_serialization=False)
    generator = loading.load_generator(tmp_path / "vae_epoch_25.pth")
    described = generator.descriptor
    assert (described.architecture, described.height, described.channels) == ("MNIST VAE", 28, 1)
    assert described.parameters == 652824
    reference_kit.compare(row, answers(generator.modules[0], reference_kit.inputs(row)))


@pytest.mark.weights
def test_parity_of_the_published_weights():
    generator = loading.load_generator(autoencoders.real_weights("mnist/vae_epoch_25.pth"))
    reference_kit.compare(REAL_ROW, answers(generator.modules[0], reference_kit.inputs(REAL_ROW)))
    (batch,) = sample(Bound(generator), 64, 0, 64)
    assert 0.09 < float(batch.images.mean()) < 0.15


def test_hyperparameters_come_from_the_shapes(tiny):
    weights = autoencoders.random_weights(MnistVAE(36, 10, 4))
    network = MnistVAE(36, 10, 4)
    network.load_state_dict(weights)
    described = tiny.descriptor
    assert (described.height, described.width, described.latent_shape) == (6, 6, (4,))
    latents = torch.randn(2, 4)
    assert_close(tiny.modules[0].pictures(latents), network.pictures(latents))


def test_grey_pictures_go_in_and_come_out(tiny):
    images = autoencoders.pictures(2, 6)
    luma = images @ torch.tensor([0.299, 0.587, 0.114])
    latents = tiny.encode(images)
    assert latents.identity == tiny.identity
    assert torch.allclose(latents.values, tiny.modules[0].posterior(luma.flatten(1))[0], atol=1e-6)
    decoded = tiny.decode(latents, [], tiny.descriptor.options)
    assert decoded.shape == (2, 6, 6, 3)
    assert torch.equal(decoded[..., 0], decoded[..., 2])


@pytest.mark.slow
def test_a_tensor_too_many_is_another_file(tmp_path):
    weights = {**autoencoders.random_weights(MnistVAE(36, 10, 4)), "fc5.weight": torch.zeros(1, 1)}
    torch.save(weights, tmp_path / "odd.pt")
    with pytest.raises(BadCheckpoint, match=r"Nearest is MNIST VAE: 0 .*1 are unexpected \(fc5.weight\)"):
        loading.load_generator(tmp_path / "odd.pt")
