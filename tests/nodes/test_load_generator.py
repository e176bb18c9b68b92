"""Generators from files, through the nodes: a small StyleGAN2 and a small VAE, both with classes."""

import json

import pytest
import torch
from safetensors.torch import save_file
from trilemma.host import standalone
from trilemma.models.errors import BadCheckpoint, BadInput, CannotDo
from trilemma.models.files import catalog
from trilemma.models.generators.gan.stylegan2.network import Sizes, StyleGAN2
from trilemma.models.generators.vae import taef2
from trilemma.models.generators.vae.sigma_vae import MEANS, SigmaVAE
from trilemma.models.random_weights import random_weights, write
from trilemma.nodes import NODE_CLASS_MAPPINGS
from trilemma.tests.closeness import is_close

Load, Conditioned, Sample, Interpolate, Mix, Encode, Reconstruct, VAE, GAN = (
    NODE_CLASS_MAPPINGS[f"Trilemma{name}"]
    for name in (
        "LoadGenerator",
        "Condition",
        "SampleImages",
        "Interpolate",
        "StyleMix",
        "EncodeLatent",
        "Reconstruct",
        "VAEOptions",
        "GANOptions",
    )
)
NAMES = ["bee", "car"]


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """A models folder with two generators, one of them in a folder, and a file that is none."""
    root = tmp_path_factory.mktemp("models")
    (root / "generators" / "vae").mkdir(parents=True)
    metadata = {"trilemma": json.dumps({"class_names": NAMES})}
    weights = random_weights(StyleGAN2(Sizes(8, 2, 8, 2, (8, 8), 3)))
    for name in ("mapping.embed.weight", "mapping.fc0.weight", "mapping.fc1.weight"):
        weights[name] *= 100  # the mapping multiplies its weights by a hundredth
    save_file(weights, root / "generators" / "gan.safetensors", metadata)
    means = 3 * torch.randn(2, 6, generator=torch.Generator().manual_seed(1))
    weights = {**random_weights(SigmaVAE(6, (8, 8))), MEANS: means}
    save_file(weights, root / "generators" / "vae" / "model.safetensors", metadata)
    (root / "generators" / "vae" / "config.json").write_text("{}")
    torch.save({"a.weight": torch.zeros(1)}, root / "generators" / "other.pt")
    return root


@pytest.fixture(autouse=True)
def folders(models, monkeypatch):
    monkeypatch.setitem(standalone._places, "models", models)


def load(name):
    with torch.inference_mode():
        return Load().run(name)["result"][0]


@pytest.fixture
def gan():
    return load("gan.safetensors")


@pytest.fixture
def vae():
    return load("vae")


def samples(generator, *seeds):
    return torch.cat([Sample().run(generator, 1, seed)["result"][0] for seed in seeds])


def close(first, second):
    torch.testing.assert_close(first, second, rtol=0, atol=1e-5)


def test_starters_come_first_then_files_and_folders():
    names = Load.INPUT_TYPES()["required"]["model"][0]
    assert names == [*catalog.starter_names("generator"), "gan.safetensors", "other.pt", "vae"]


def test_the_info_tells_what_the_model_is():
    shown = Load().run("gan.safetensors")
    generator, info = shown["result"]
    assert shown["ui"]["text"] == [info]
    parameters = generator.model.generator.descriptor.parameters
    assert info.splitlines() == [
        "StyleGAN2 (family: gan)",
        "pictures: 8 x 8, RGB",
        f"parameters: {parameters:,}",
        "conditions: none, class",
        "classes: bee, car",
        "latents: 4 x 8",
        "options: truncation_psi = 1.0, truncation_cutoff = 0, noise_mode = random, seeding = torch",
        "can: sample, decode, interpolate, style mix, factorise, project",
    ]
    assert len(generator.patchers) == 1


def test_what_was_chosen_of_a_file_is_shown_and_recorded(models):
    """On the node, beside the info; and in the record of every sample."""
    networks = [random_weights(StyleGAN2(Sizes(8, 0, 8, 2, (8, 8), 3)), seed) for seed in (1, 2)]
    torch.save({"G": networks[0], "G_ema": networks[1]}, models / "generators" / "pair.pt")
    shown = Load().run("pair.pt")
    note = "took the EMA weights (G_ema) of 2 networks (G, G_ema) in the file"
    assert shown["result"][1].splitlines()[-1] == note
    assert shown["ui"]["text"] == [shown["result"][1]]
    (record,) = json.loads(Sample().run(shown["result"][0], 1, 0)["result"][1])
    assert record["notes"] == [note]
    (models / "generators" / "pair.pt").unlink()


@pytest.mark.slow
def test_files_that_are_no_generator():
    with pytest.raises(BadCheckpoint, match=r"other.pt is no generator that the pack knows"):
        Load().run("other.pt")
    message = Load.VALIDATE_INPUTS("absent.pt")
    assert "no generator named 'absent.pt' is on this machine" in message
    assert "generators" in message


@pytest.mark.slow
def test_another_file_is_noticed(models):
    """Whichever half of a model in two files: its decoder was once replaced, and the old picture served."""
    before = Load.IS_CHANGED("gan.safetensors")
    pair = taef2.tiny(models / "generators")
    decoder = pair.with_name("tiny_decoder.safetensors")
    told = [Load.IS_CHANGED(pair.name)]
    image = torch.rand(1, 16, 16, 3)
    picture = Reconstruct().run(load(pair.name), image)["result"][0]
    write(decoder, random_weights(taef2.build_decoder(3, 8, pooled=True, deep=False), seed=5))
    told.append(Load.IS_CHANGED(pair.name))
    assert not is_close(Reconstruct().run(load(pair.name), image)["result"][0], picture)
    decoder.unlink()
    told.append(Load.IS_CHANGED(pair.name))
    assert len(set(told)) == 3
    assert Load.IS_CHANGED("gan.safetensors") == before
    pair.unlink()


@pytest.mark.slow
@torch.inference_mode()
@pytest.mark.parametrize("name", ["gan.safetensors", "vae"])
def test_classes_in_turn_whatever_the_batch_size(name):
    generator = Conditioned().run(load(name), "*")[0]
    images, records = Sample().run(generator, 5, 3, 2)["result"]
    assert [record["condition"] for record in json.loads(records)] == ["bee", "car", "bee", "car", "bee"]
    for index in range(5):
        alone = Conditioned().run(load(name), NAMES[index % 2])[0]
        close(images[index : index + 1], samples(alone, 3 + index))


@torch.inference_mode()
def test_a_walk_in_w_from_sample_to_sample(gan):
    gan = GAN().run(gan, truncation_psi=0.7, noise_mode="const")[0]
    frames = Interpolate().run(gan, 4, "3, 1, 2")["result"][0]
    assert frames.shape == (9, 8, 8, 3)
    close(frames[[0, 4, 8]], samples(gan, 3, 1, 2))


@torch.inference_mode()
def test_styles_of_the_coarse_seed_alone_give_its_sample(gan):
    rows = Mix().run(gan, "5, 6", "1, 2", 4)["result"][0]
    close(rows, samples(gan, 5, 5, 6, 6))
    mixed = Mix().run(gan, "5, 6", "1, 2", 2)["result"][0]
    assert (mixed - rows).abs().flatten(1).amax(dim=1).min() > 1e-3
    with pytest.raises(BadInput, match="crossover: 5 is outside 0 to 4"):
        Mix().run(gan, "5", "1", 5)


def test_abilities_that_a_model_lacks(gan, vae):
    with pytest.raises(CannotDo, match="StyleGAN2 cannot encode; it can: sample, decode, interpolate, style mix"):
        Encode().run(gan, torch.zeros(1, 8, 8, 3))
    with pytest.raises(CannotDo, match="sigma-VAE cannot style mix"):
        Mix().run(vae, "1", "2")
    with pytest.raises(CannotDo, match="options of vae models; StyleGAN2 is of the family gan"):
        VAE().run(gan, temperature=0.5)


@pytest.mark.slow
@torch.inference_mode()
def test_a_prior_fitted_to_images(vae):
    """A Gaussian over the latents of samples of one class draws near them; the record says what it was fitted to."""
    bees = Sample().run(Conditioned().run(vae, "bee")[0], 40, 0)["result"][0]
    fitted = VAE().run(vae, prior="fitted Gaussian", images=bees)[0]
    images, records = Sample().run(fitted, 40, 100)["result"]
    assert json.loads(records)[0]["settings"] == {"temperature": 1.0, "prior": "fitted Gaussian, over 40 images"}

    def centre(pictures):
        return Encode().run(vae, pictures)[0].values.mean(dim=0)

    cars = Sample().run(Conditioned().run(vae, "car")[0], 40, 0)["result"][0]
    near = (centre(images) - centre(bees)).norm()
    assert near < (centre(images) - centre(cars)).norm() / 2
    mixture = VAE().run(vae, prior="Gaussian mixture", images=torch.cat([bees, cars]), components=2)[0]
    assert "2 components, over 80 images" in Sample().run(mixture, 1, 0)["result"][1]
    with pytest.raises(BadInput, match="images: a fitted Gaussian is fitted to images; connect some"):
        VAE().run(vae, prior="fitted Gaussian")
    with pytest.raises(BadInput, match="images: 3 are too few to fit 8 components"):
        VAE().run(vae, prior="Gaussian mixture", images=bees[:3])


@torch.inference_mode()
def test_images_of_any_size_are_reconstructed_at_the_models(vae):
    pictures = torch.rand(3, 40, 30, 4, generator=torch.Generator().manual_seed(0))
    images, original, report = Reconstruct().run(vae, pictures)["result"]
    assert images.shape == original.shape == (3, 16, 16, 3)
    assert report.count("PSNR") == 4
    frames = Interpolate().run(vae, 2, images=pictures)["result"][0]
    close(frames[[0, 2, 4]], images)
