from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from trilemma.models.errors import CannotDo
from trilemma.models.files.checkpoints import Checkpoint
from trilemma.models.generators import noise
from trilemma.models.generators.autoregressive import vqvae
from trilemma.models.generators.base import Condition
from trilemma.models.generators.loading import load_generator
from trilemma.tests import peak_memory, reference_kit
from trilemma.tests.closeness import assert_close

CASE = reference_kit.case("pytorch_vae", "golden_VQVAE")

pytestmark = pytest.mark.slow


def tiny(seed: int = 0) -> vqvae.VQVAE:
    torch.manual_seed(seed)
    return vqvae.VQVAE(channels=3, codes=7, size=5, widths=(6, 8)).eval()


@torch.no_grad()
def test_agrees_with_the_reference(tmp_path: Path):
    """Every number of the golden, from a Lightning checkpoint; the losses are sums of what the network gives."""
    weights = {f"model.{name}": value for name, value in reference_kit.weights(CASE).items()}
    torch.save({"epoch": 3, "state_dict": weights, "hyper_parameters": {"beta": 0.25}}, tmp_path / "last.ckpt")
    generator = load_generator(tmp_path / "last.ckpt")
    assert generator.descriptor.architecture == vqvae.NAME
    # In double precision: without norms its layers turn rounding into up to 2e-4 of the picture in single precision, by
    # the processor; the reference's own is 5e-5.
    network = generator.modules[0].double()
    image = torch.from_numpy(reference_kit.inputs(CASE)["img"]).double()
    latents = network.means((image + 1) / 2)
    codes = network.codes(latents)
    vectors = network.vectors(codes)
    recon = 2 * network.pictures(latents) - 1
    # The commitment, weighted by beta, and the loss of the codebook, which has the same value.
    quantising = (1 + 0.25) * (vectors - latents).square().mean()
    error = (recon - image).square().mean()
    losses = {
        "vq_loss": quantising[None],
        "loss.loss": (error + quantising)[None],
        "loss.Reconstruction_Loss": error[None],
        "loss.VQ_Loss": quantising[None],
    }
    answers = {"enc": latents, "quant": vectors, "recon": recon, **losses}
    assert answers.keys() == reference_kit.names(CASE)
    reference_kit.compare(CASE, answers)
    with np.load(reference_kit.KIT / CASE["golden_dev"]) as golden:
        stored = golden["out.quant.sub"]
        found = vectors.numpy().ravel()[:: int(golden["out.quant.stride"])]
    # The reference adds the difference to the latent and so rounds; any other code would be far off.
    assert np.abs(found - stored).max() < 1e-5


def test_every_tensor_of_the_published_layout_is_used():
    names = [entry.name for entry in reference_kit.manifest("pytorch_vae", "manifest_VQVAE.json")]
    assert sorted(vqvae.VQVAE().state_dict()) == sorted(names)


@pytest.mark.parametrize("prefix", ["", "model."])
@pytest.mark.parametrize("suffix", [".safetensors", ".ckpt"])
def test_loads_what_was_saved(tmp_path: Path, prefix: str, suffix: str):
    network = tiny()
    tensors = {prefix + name: value for name, value in network.state_dict().items()}
    path = tmp_path / f"tiny{suffix}"
    if suffix == ".safetensors":
        save_file(tensors, path)
    else:
        torch.save({"state_dict": tensors}, path)
    generator = load_generator(path)
    assert generator.descriptor.architecture == vqvae.NAME
    assert generator.descriptor.latent_shape == (5, 16, 16)
    images = torch.rand(2, 12, 20, 3)
    latents = generator.encode(images)
    assert_close(latents.values, network.means(images.permute(0, 3, 1, 2)))
    expected = network.pictures(latents.values).permute(0, 2, 3, 1)
    assert_close(generator.decode(latents, (), {}), expected)


def test_cannot_draw_without_a_prior():
    generator = vqvae.load(Checkpoint(tiny().state_dict(), {}))
    with pytest.raises(CannotDo, match="VQ-VAE has no prior over its latents"):
        generator.draw(noise.requests(1, 0, [Condition()]), generator.descriptor.options, lambda *_: None)


@pytest.mark.parametrize("count", [1, 3, 8])
@pytest.mark.parametrize(("codes", "widths"), [(16, (32, 64)), (512, (8, 16))])
@torch.no_grad()
def test_memory_is_foreseen(count: int, codes: int, widths: tuple[int, int]):
    generator = vqvae.load(Checkpoint(vqvae.VQVAE(codes=codes, size=8, widths=widths).state_dict(), {}))
    images = torch.rand(count, 64, 64, 3)

    def both() -> None:
        generator.decode(generator.encode(images), (), {})

    assert 0.7 < generator.memory_bytes(count) / peak_memory.peak_bytes(both) < 1.5
