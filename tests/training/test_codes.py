"""The recipes of the starter VQ-VAE and of the priors over its codes, at the smallest size."""

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from trilemma.models.generators.loading import load_generator
from trilemma.models.scoring.extractors.classifier_network import Classifier
from trilemma.tests.closeness import assert_close

from training import code_prior, feature_prior, pixelcnn_prior, row_lstm_prior, transformer_prior, vqvae
from training.loop import Schedule
from training.pictures import NAMES, SIZE, Pictures

pytestmark = pytest.mark.slow

SCHEDULE = Schedule(steps=2, rate=1e-3, warmup=1)


@pytest.fixture
def pictures() -> Pictures:
    images = torch.randint(256, (6, 3, SIZE, SIZE), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    return Pictures(images, torch.arange(6))


def test_codes_follow_the_means_of_their_vectors():
    model = vqvae.Trainee()
    generator = torch.Generator().manual_seed(0)
    first = torch.randn(400, vqvae.CODE_SIZE, generator=generator)
    model.revive(first, generator)
    assert (model.book[:, None] == first).all(-1).any(1).all()
    vectors = torch.randn(100, vqvae.CODE_SIZE, generator=generator)
    codes = torch.arange(100) % 2
    before = model.book.clone()
    model.follow(vectors, codes)
    expected = (0.98 * before[1] + 0.02 * vectors[1::2].sum(0)) / (0.98 + 0.02 * 50)
    assert torch.allclose(model.book[1], expected, atol=1e-6)
    assert torch.allclose(model.book[2:], before[2:], atol=1e-6)
    for _ in range(300):
        model.follow(vectors, codes)
    assert torch.allclose(model.book[0], vectors[::2].mean(0), atol=0.01)
    model.revive(vectors, generator)
    assert (model.book[2:, None] == vectors).all(-1).any(1).all()


def test_gradients_reach_the_encoder_but_not_the_book(pictures: Pictures):
    model = vqvae.Trainee()
    losses = vqvae.quantised_losses(model, pictures.images.float() / 127.5 - 1, torch.Generator().manual_seed(0))
    (losses["l1"] + losses["square"]).backward()
    assert model.network.encoder.conv_in.weight.grad.abs().sum() > 0
    assert model.book.grad is None


def test_an_interrupted_training_is_the_same_training(pictures: Pictures, tmp_path: Path):
    whole = vqvae.fit(pictures, tmp_path / "whole", SCHEDULE)
    vqvae.fit(pictures, tmp_path / "parts", SCHEDULE._replace(steps=1, horizon=2))
    resumed = vqvae.fit(pictures, tmp_path / "parts", SCHEDULE)
    for name, value in whole.state_dict().items():
        assert_close(resumed.state_dict()[name], value)


@pytest.mark.parametrize(
    ("recipe", "architecture", "unseen"),
    [
        (transformer_prior, "VQModel with transformer prior", {"heads": transformer_prior.HEADS}),
        (pixelcnn_prior, "VQModel with PixelCNN prior", {}),
        (row_lstm_prior, "VQModel with Row LSTM prior", {}),
    ],
)
@torch.no_grad()
def test_what_is_exported_loads(recipe, architecture: str, unseen: dict, pictures: Pictures, tmp_path: Path):
    network = vqvae.Trainee().network.half().float().eval()
    network.quantize.embedding.weight.normal_()
    codes = vqvae.to_codes(network, pictures.images)
    prior = recipe.build_prior()
    with torch.enable_grad():
        code_prior.fit(prior, codes, pictures.labels, tmp_path / "prior.pt", SCHEDULE)
    prior.half().float().eval()
    code_prior.export(network, prior, unseen, tmp_path)
    generator = load_generator(tmp_path)
    assert generator.descriptor.architecture == architecture
    assert generator.descriptor.class_names == NAMES
    assert (generator.descriptor.height, generator.descriptor.width) == (SIZE, SIZE)
    images = pictures.images.permute(0, 2, 3, 1).float() / 255
    coder, loaded = generator.modules
    # A vector that lies between two codes may take either.
    assert (coder.codes(generator.encode(images).values) != codes).double().mean() < 0.01
    assert_close(loaded(codes, pictures.labels), prior(codes, pictures.labels))


@torch.no_grad()
def test_features_are_learned_standardised_and_drawn_by_as_they_are(pictures: Pictures):
    """Some classes have no picture here; those that do keep the mean of theirs."""
    torch.manual_seed(0)
    seen = feature_prior.see(Classifier(NAMES), pictures.images, batch=4)
    torch.testing.assert_close(seen.rows.norm(dim=1), torch.ones(6))
    torch.testing.assert_close(seen.standardised.mean(dim=0), torch.zeros(128), rtol=0, atol=1e-4)
    torch.testing.assert_close(seen.standardised.std(dim=0), torch.ones(128))
    prior = feature_prior.build_prior()
    first = prior.first(seen.standardised)
    assert 1.5 < first.std() < 2.5
    labels = torch.tensor([0, 0, 0, 1, 1, 1])
    feature_prior.settle(prior, seen, labels)
    torch.testing.assert_close(prior.first(seen.rows), first, rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(prior.classes[1], F.normalize(seen.rows[3:].mean(dim=0), dim=0))


@torch.no_grad()
def test_a_prior_of_features_loads(pictures: Pictures, tmp_path: Path):
    network = vqvae.Trainee(widths=feature_prior.WIDTHS).network.half().float().eval()
    prior = feature_prior.build_prior().half().float().eval()
    told = {"network": "a classifier", "identity": "0123"}
    code_prior.export(network, prior, {"heads": feature_prior.HEADS, "features": told}, tmp_path)
    generator = load_generator(tmp_path)
    assert generator.descriptor.conditions == ("none", "class", "vector")
    assert (generator.descriptor.vector_size, generator.descriptor.vector_of) == (128, "a classifier")
    codes, features = vqvae.to_codes(network, pictures.images), F.normalize(torch.randn(6, 128), dim=1)
    assert_close(generator.modules[1](codes, features), prior(codes, features))
