"""Whole published weights that package registries carry, drawn, encoded and judged by what is known of them.

`make test-peers` runs these, and shows where each set of pictures was saved.
"""

from __future__ import annotations

import gzip
import math
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn
from trilemma.models.files import checkpoints
from trilemma.models.files.unpickling import contents
from trilemma.models.generators import loading
from trilemma.models.generators.binding import Bound, sample
from trilemma.models.generators.reconstruction import psnr
from trilemma.models.scoring.extractors.base import Extractor
from trilemma.models.scoring.extractors.loading import EXTRACTORS
from trilemma.models.scoring.metrics.frechet import frechet_distance_of_rows
from trilemma.tests.closeness import assert_close
from trilemma.tests.generators.vae import autoencoders
from trilemma.tests.published_packages import DIGITS, FACES, PHOTOS, file_of

pytestmark = [pytest.mark.weights, pytest.mark.slow]

COLUMNS = 16


@pytest.fixture(scope="module")
def faces(tmp_path_factory):
    return file_of(FACES, "gan_face_generate/weights.tar", tmp_path_factory.mktemp("faces"))


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    """MNIST's 10,000 digits of the test set, [10000, 28, 28, 3] in 0..1, and which each is."""
    packed = file_of(DIGITS, "mnist/data/mnist.pkl.gz", tmp_path_factory.mktemp("digits"))
    path = packed.with_suffix("")
    path.write_bytes(gzip.decompress(packed.read_bytes()))
    pixels, labels = (torch.from_numpy(np.array(each)) for each in contents(path)[2])
    return pixels.view(-1, 28, 28, 1).expand(-1, -1, -1, 3), labels


@pytest.fixture(scope="module")
def lenet() -> Extractor:
    return EXTRACTORS.load(autoencoders.real_weights("mnist/lenet_epoch=12_test_acc=0.991.pth"))


@torch.inference_mode()
def seen(lenet: Extractor, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Features and probabilities of pictures [N, H, W, 3] in 0..1."""
    pixels = (255 * images).round().to(torch.uint8)
    answers = [lenet.extract(lenet.prepare(part), (lenet.main,)) for part in pixels.split(1000)]
    probabilities = torch.cat([answer.log_probabilities for answer in answers]).exp()
    return torch.cat([answer.taps[0] for answer in answers]), probabilities


def drawn(path: Path, count: int) -> torch.Tensor:
    generator = loading.load_generator(path)
    with torch.inference_mode():
        return torch.cat([batch.images for batch in sample(Bound(generator), count, 0, 250)])


def save(images: torch.Tensor, path: Path) -> None:
    """A sheet of the first pictures, to be looked at."""
    sheet = images[: COLUMNS * COLUMNS]
    rows = [torch.cat(list(row), dim=1) for row in sheet.split(COLUMNS) if len(row) == COLUMNS or len(sheet) < COLUMNS]
    Image.fromarray((255 * torch.cat(rows)).round().byte().numpy()).save(path)
    print(f"pictures: {path}")


def test_faces_are_those_of_the_packages_network(faces, tmp_path):
    """Its network is that of PyTorch's example; written down here, since the package's needs what only trains."""
    generator = loading.load_generator(faces)
    described = generator.descriptor
    assert (described.architecture, described.height, described.latent_shape) == ("DCGAN", 64, (100, 1, 1))
    widths = (100, 512, 256, 128, 64, 3)
    layers: list[nn.Module] = []
    for index, (inputs, outputs) in enumerate(pairwise(widths)):
        layers.append(nn.ConvTranspose2d(inputs, outputs, 4, 2 if index else 1, 1 if index else 0, bias=False))
        layers += [nn.BatchNorm2d(outputs), nn.ReLU()]
    theirs = nn.Sequential(*layers[:-2], nn.Tanh()).eval()
    states = torch.load(faces, map_location="cpu", weights_only=True)
    theirs.load_state_dict({key.removeprefix("main."): value for key, value in states["netG_state_dict"].items()})
    assert described.parameters == sum(parameter.numel() for parameter in theirs.parameters()) == 3_576_704
    images = drawn(faces, 64)
    z = torch.stack([torch.randn(100, 1, 1, generator=torch.Generator().manual_seed(seed)) for seed in range(64)])
    with torch.no_grad():
        assert_close(images, (theirs(z).movedim(1, -1) + 1) / 2)
    save(images, tmp_path / "faces.png")


def test_faces_have_the_statistics_that_training_left(faces):
    """The running means and variances are of pictures drawn in training: ours must meet them at every layer, which
    latents of another spread, or another stride or padding, would not."""
    generator = loading.load_generator(faces)
    sums: dict[nn.BatchNorm2d, list[torch.Tensor]] = {}

    def add(layer: nn.BatchNorm2d, inputs: tuple[torch.Tensor], _: torch.Tensor) -> None:
        powers = torch.stack([inputs[0].mean((0, 2, 3)), inputs[0].square().mean((0, 2, 3))])
        sums.setdefault(layer, []).append(powers.double())

    for layer in generator.modules[0].modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.register_forward_hook(add)
    with torch.inference_mode():
        assert len(list(sample(Bound(generator), 500, 0, 100))) == 5
    assert len(sums) == 4
    for layer, powers in sums.items():
        mean, square = torch.stack(powers).mean(dim=0)
        assert layer.running_mean is not None and layer.running_var is not None
        assert ((mean - layer.running_mean) / layer.running_var.sqrt()).abs().mean() < 0.02
        assert ((square - mean**2) / layer.running_var).mean() == pytest.approx(1, abs=0.1)


def test_lenet_knows_as_many_digits_as_its_name_says(lenet, digits):
    images, labels = digits
    _, probabilities = seen(lenet, images)
    assert float((probabilities.argmax(dim=1) == labels).float().mean()) == pytest.approx(0.991, abs=5e-4)


@pytest.mark.parametrize(
    ("file", "distance", "sure"), [("mnist/G--300.ckpt", 130, 0.97), ("mnist/vae_epoch_25.pth", 145, 0.85)]
)
def test_drawn_digits_are_near_real_ones(file, distance, sure, lenet, digits, tmp_path):
    """By the Fréchet distance in LeNet's space, where halves of the real ones are 14 apart and noise is 950 off."""
    real, _ = seen(lenet, digits[0])
    images = drawn(autoencoders.real_weights(file), 2000)
    features, probabilities = seen(lenet, images)
    assert frechet_distance_of_rows(real[:5000], real[5000:]) == pytest.approx(14.5, abs=1)
    assert frechet_distance_of_rows(features, real) == pytest.approx(distance, abs=3)
    noise, _ = seen(lenet, torch.rand(2000, 28, 28, 3, generator=torch.Generator().manual_seed(0)))
    assert frechet_distance_of_rows(noise, real) > 5 * distance
    assert float(probabilities.amax(dim=1).mean()) > sure
    assert len(probabilities.argmax(dim=1).unique()) == 10
    save(images, tmp_path / "digits.png")


def test_the_digits_bound_is_that_of_pytorchs_example(digits, tmp_path):
    """The evidence lower bound of the test set, whose negative PyTorch's example reports: about 104 after 25 epochs."""
    generator = loading.load_generator(autoencoders.real_weights("mnist/vae_epoch_25.pth"))
    pixels = digits[0][..., :1].flatten(1)
    with torch.inference_mode():
        mean, log_variance = generator.modules[0].posterior(pixels)
        spread = (log_variance / 2).exp() * torch.randn(mean.shape, generator=torch.Generator().manual_seed(0))
        restored = generator.modules[0].pictures(mean + spread).flatten(1)
    missing = nn.functional.binary_cross_entropy(restored.clamp(1e-7, 1), pixels, reduction="sum")
    divergence = -0.5 * (1 + log_variance - mean**2 - log_variance.exp()).sum()
    assert float(missing + divergence) / len(pixels) == pytest.approx(104, abs=1)
    pairs = torch.cat([pixels[:COLUMNS], restored[:COLUMNS]]).view(-1, 28, 28, 1).expand(-1, -1, -1, 3)
    save(pairs, tmp_path / "restored.png")


@pytest.mark.parametrize("file", ["taef2_encoder.pth", "taef2_decoder.pth"])
def test_the_tiny_autoencoder_restores_a_photo(file, tmp_path):
    """As well as its authors' code, measured: 31.19 dB (`test_taef2` has the kit's numbers)."""
    photo = file_of(PHOTOS, "skimage/data/astronaut.png", tmp_path)
    image = torch.from_numpy(np.array(Image.open(photo).convert("RGB"))).float()[None] / 255
    generator = loading.load_generator(autoencoders.real_weights(f"taesd/{file}"))
    with torch.inference_mode():
        restored = generator.decode(generator.encode(image), [], {})
    assert math.isclose(psnr(image, restored)[0], 31.19, abs_tol=0.01)
    save(torch.cat([image, restored]), tmp_path / "astronaut.png")


def test_a_whole_training_checkpoint_of_the_faces(faces, tmp_path):
    """All that the package's training script saves: optimisers, critic, pictures, losses and counts beside the
    generator, which alone is taken."""
    generator = torch.load(faces, map_location="cpu", weights_only=True)["netG_state_dict"]
    parameters = [nn.Parameter(value.clone()) for key, value in generator.items() if key.endswith(("weight", "bias"))]
    optimiser = torch.optim.Adam(parameters, lr=2e-4, betas=(0.5, 0.999))
    for parameter in parameters:
        parameter.grad = torch.ones_like(parameter)
    optimiser.step()
    critic = {"main.0.weight": torch.ones(64, 3, 4, 4), "main.2.weight": torch.ones(128, 64, 4, 4)}
    saved = {
        "netD_state_dict": critic,
        "netG_state_dict": generator,
        "optimizerD_state_dict": optimiser.state_dict(),
        "optimizerG_state_dict": optimiser.state_dict(),
        "img_list": [torch.rand(3, 530, 530), torch.rand(3, 530, 530)],
        "G_losses": [1.5, 0.5],
        "D_losses": [0.25, 0.5],
        "iters": 1000,
        "epoch": 3,
    }
    torch.save(saved, tmp_path / "checkpoint.tar")
    whole = loading.load_generator(tmp_path / "checkpoint.tar")
    assert whole.identity == loading.load_generator(faces).identity
    notes = checkpoints.read(tmp_path / "checkpoint.tar").notes
    assert any("netG_state_dict" in note for note in notes), notes
