import math
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from trilemma.models.errors import BadCheckpoint, CannotDo
from trilemma.models.files import checkpoints
from trilemma.models.generators import loading
from trilemma.models.generators.binding import Bound, sample
from trilemma.models.generators.reconstruction import psnr
from trilemma.models.generators.vae.taef2 import build_decoder, build_encoder
from trilemma.tests import reference_kit
from trilemma.tests.closeness import assert_close
from trilemma.tests.families import checks, kinds
from trilemma.tests.generators.vae import autoencoders
from trilemma.tests.published_packages import PHOTOS, file_of

pytestmark = pytest.mark.slow

SCENES = Path(__file__).parents[3] / "models" / "starter" / "scenes"
REAL_ROW = {"golden_dev": "taesd/golden_real_taef2_dev.npz"}
KINDS = [(True, False), (False, True), (False, False)]


def halves(pooled: bool, deep: bool, latent: int = 3) -> dict[str, dict[str, torch.Tensor]]:
    return {
        "encoder": autoencoders.random_weights(build_encoder(latent, 8, pooled, deep)),
        "decoder": autoencoders.random_weights(build_decoder(latent, 8, pooled, deep), seed=1),
    }


def save(parts: dict[str, dict[str, torch.Tensor]], folder: Path, stem: str = "tae") -> list[Path]:
    for half, tensors in parts.items():
        torch.save(tensors, folder / f"{stem}_{half}.pth")
    return [folder / f"{stem}_{half}.pth" for half in parts]


@pytest.mark.parametrize("name", ["taef2_flux2", "taesana_f32"])
def test_parity(name, tmp_path):
    row = reference_kit.case("taesd", f"golden_{name}")
    weights = reference_kit.weights(row)
    parts = {
        half: {key.removeprefix(f"{half}."): value for key, value in weights.items() if key.startswith(half)}
        for half in ("encoder", "decoder")
    }
    path, _ = save(parts, tmp_path)
    generator = loading.load_generator(path)
    inputs = {key: torch.from_numpy(value) for key, value in reference_kit.inputs(row).items()}
    latents = generator.encode(inputs["img"].permute(0, 2, 3, 1))
    decoded = generator.modules[0].pictures(inputs["z"])
    reference_kit.compare(row, {"latent": latents.values, "decoded": decoded})
    whole = autoencoders.load(weights, tmp_path)
    assert whole.identity == generator.identity


def test_diffusers_drops_the_pooled_branch(tmp_path):
    """What a lax load does: no error, 24 tensors fewer, other latents."""
    from diffusers import AutoencoderTiny

    row = reference_kit.case("taesd", "golden_taef2_flux2")
    weights = reference_kit.weights(row)
    theirs = AutoencoderTiny(latent_channels=32).eval()
    renamed = {}
    for name, value in weights.items():
        half, number, rest = name.split(".", 2)
        renamed[f"{half}.layers.{int(number) - (half == 'decoder')}.{rest}"] = value
    told = theirs.load_state_dict(renamed, strict=False)
    assert not told.missing_keys
    assert len(told.unexpected_keys) == 24
    assert all(".pool." in name for name in told.unexpected_keys)
    image = torch.from_numpy(reference_kit.inputs(row)["img"])
    with torch.no_grad():
        latents = theirs.encode(2 * image - 1).latents
    with pytest.raises(AssertionError):
        reference_kit.compare(row, {"latent": latents})


@pytest.mark.parametrize(("pooled", "deep"), KINDS)
@pytest.mark.parametrize("first", ["encoder", "decoder"])
def test_either_half_finds_the_other(pooled, deep, first, tmp_path):
    parts = halves(pooled, deep)
    encoder = build_encoder(3, 8, pooled, deep)
    encoder.load_state_dict(parts["encoder"])
    save(parts, tmp_path)
    generator = loading.load_generator(tmp_path / f"tae_{first}.pth")
    described = generator.descriptor
    assert described.abilities == ("encode", "decode", "interpolate")
    assert (described.size_multiple, described.latent_shape[0]) == (32 if deep else 8, 3)
    assert described.parameters == sum(value.numel() for tensors in parts.values() for value in tensors.values())
    images = autoencoders.pictures(1, 32)
    latents = generator.encode(images)
    assert_close(latents.values, encoder(images.permute(0, 3, 1, 2)))
    assert generator.decode(latents, [], {}).shape == images.shape


def test_one_half_alone_does_its_half(tmp_path):
    parts = halves(True, False)
    (encoder,) = save({"encoder": parts["encoder"]}, tmp_path)
    generator = loading.load_generator(encoder)
    assert generator.descriptor.abilities == ("encode",)
    latents = generator.encode(autoencoders.pictures(1, 16))
    with pytest.raises(CannotDo, match="cannot decode; it can: encode"):
        generator.decode(latents, [], {})
    (decoder,) = save({"decoder": parts["decoder"]}, tmp_path, "alone")
    generator = loading.load_generator(decoder)
    assert generator.descriptor.abilities == ("decode",)
    with pytest.raises(CannotDo, match="cannot encode; it can: decode"):
        generator.encode(autoencoders.pictures(1, 16))
    checks.memory_is_foreseen(kinds.GENERATOR, generator)


def test_a_lost_pooled_branch_is_noticed(tmp_path):
    parts = halves(True, False)
    parts["encoder"] = {name: value for name, value in parts["encoder"].items() if not name.startswith("12.pool")}
    save(parts, tmp_path)
    with pytest.raises(BadCheckpoint, match=r"tae_encoder\.pth, TAESD: .* missing \(encoder\.12\.pool\.0\.weight"):
        loading.load_generator(tmp_path / "tae_encoder.pth")


def test_halves_that_do_not_belong_together(tmp_path):
    save({**halves(False, False), "decoder": halves(False, False, latent=4)["decoder"]}, tmp_path)
    with pytest.raises(
        BadCheckpoint, match="different models, of latents with 3 channels at 1/8 and 4 channels at 1/8"
    ):
        loading.load_generator(tmp_path / "tae_encoder.pth")
    save({"decoder": halves(False, False)["encoder"]}, tmp_path)
    with pytest.raises(BadCheckpoint, match=r"tae_decoder\.pth is by its name the other half"):
        loading.load_generator(tmp_path / "tae_encoder.pth")


@pytest.mark.parametrize(("pooled", "deep"), KINDS)
def test_samples_do_not_depend_on_the_batch(pooled, deep, tmp_path):
    path, _ = save(halves(pooled, deep), tmp_path)
    generator = loading.load_generator(path)
    checks.no_answer_depends_on_the_batch(kinds.GENERATOR, generator)
    checks.memory_is_foreseen(kinds.GENERATOR, generator)


def test_it_has_no_prior_of_its_own(tmp_path):
    path, _ = save(halves(False, False), tmp_path)
    with pytest.raises(CannotDo, match="no prior over its latents"):
        next(sample(Bound(loading.load_generator(path)), 1, 0, 1))


@pytest.mark.weights
def test_published_weights_reconstruct_scenes():
    path = autoencoders.real_weights("taesd/taef2_decoder.pth")
    generator = loading.load_generator(path)
    assert generator.descriptor.parameters == 1338528 + 1338499
    scene = next(iter(sorted(SCENES.glob("*.png"))))
    image = torch.from_numpy(np.array(Image.open(scene).convert("RGB").resize((256, 256)))).float()[None] / 255
    assert psnr(image, generator.decode(generator.encode(image), [], {}))[0] > 28


@pytest.mark.weights
def test_published_weights_reconstruct_the_astronaut(tmp_path):
    path = autoencoders.real_weights("taesd/taef2_encoder.pth")
    photo = file_of(PHOTOS, "skimage/data/astronaut.png", tmp_path)
    image = torch.from_numpy(np.array(Image.open(photo).convert("RGB"))).float()[None] / 255
    generator = loading.load_generator(path)
    latents = generator.encode(image)
    restored = generator.decode(latents, [], {})
    planes = {"astronaut.latent": latents.values, "astronaut.recon": restored.permute(0, 3, 1, 2)}
    reference_kit.compare(REAL_ROW, planes)
    assert math.isclose(psnr(image, restored)[0], 31.19, abs_tol=0.01)


@pytest.mark.weights
def test_the_published_encoder_of_taesana_stands_alone():
    path = autoencoders.real_weights("taesd/taesana_encoder.pth")
    generator = loading.load_generator(path)
    assert generator.descriptor.abilities == ("encode",)
    assert checkpoints.read(path).tensors["0.weight"].dtype == torch.float16
    assert generator.encode(autoencoders.pictures(1, 64)).values.shape == (1, 32, 2, 2)
