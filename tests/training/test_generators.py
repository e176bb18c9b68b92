"""The recipes of the starter generators on a few pictures: what they draw from, and that they learn."""

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw
from trilemma.models.files import catalog
from trilemma.models.scoring.extractors.classifier_network import Classifier, load_classifier
from trilemma.models.scoring.features import feature_files

from training import classifier, ddpm, pictures, reference
from training.loop import Schedule

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def sprites():
    """A coloured disc for each name, in place of the emoji."""
    made = {}
    for index, name in enumerate(pictures.NAMES):
        sprite = Image.new("RGBA", (40, 40))
        ImageDraw.Draw(sprite).ellipse((2, 2, 38, 38), fill=(8 * index, 255 - 8 * index, 5 * index, 255))
        made[name, pictures.STYLE] = sprite
    return made


def test_pictures_are_the_same_every_time_and_new_in_every_stream(sprites):
    first, again = (pictures.draw_pictures(sprites, 40, pictures.TRAINING) for _ in range(2))
    other = pictures.draw_pictures(sprites, 40, pictures.HELD_OUT)
    assert first.images.shape == (40, 3, 32, 32)
    assert torch.equal(first.images, again.images)
    assert not torch.equal(first.images, other.images)
    assert first.labels.tolist() == [index % 32 for index in range(40)]
    batch, labels = first.batch(np.random.default_rng(0), 8)
    assert batch.shape == (8, 3, 32, 32)
    assert -1 <= float(batch.min()) < 0 < float(batch.max()) <= 1
    assert labels.shape == (8,)


def test_the_diffusion_model_learns_and_its_average_follows(sprites):
    model = ddpm.Diffusion()
    start = model.average.conv_in.weight.clone()
    images, labels = pictures.draw_pictures(sprites, 8).batch(np.random.default_rng(0), 8)
    optimizer = torch.optim.Adam(model.unet.parameters(), 2e-3)
    losses = []
    for step in range(12):
        loss = ddpm.diffusion_losses(model, images, labels, torch.Generator().manual_seed(0))["velocity"]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        model.follow(step)
        losses.append(loss.item())
    assert losses[-1] < 0.9 * losses[0]
    moved, ahead = model.average.conv_in.weight - start, model.unet.conv_in.weight.detach() - start
    assert 0 < float(moved.norm()) < float(ahead.norm())


def test_the_noise_schedule_keeps_the_variance():
    signal, noise = ddpm.signal_and_noise()
    assert torch.allclose(signal**2 + noise**2, torch.ones(ddpm.TIMESTEPS), atol=1e-6)
    assert (signal.diff() < 0).all()


def test_the_classifier_learns_resumes_and_ships(sprites, tmp_path):
    drawn = pictures.draw_pictures(sprites, 64)
    torch.manual_seed(0)
    network = Classifier(pictures.NAMES)
    classifier.fit(network, drawn, tmp_path, Schedule(steps=20, rate=5e-3, warmup=2))
    images, labels = drawn.images.float() / 127.5 - 1, drawn.labels
    with torch.no_grad():
        loss = torch.nn.functional.cross_entropy(network(images), labels)
    assert float(loss) < 0.9 * np.log(len(pictures.NAMES))
    classifier.export(network, tmp_path / "model")
    loaded = load_classifier(tmp_path / "model")
    assert loaded.class_names == pictures.NAMES
    assert torch.allclose(loaded(images), network(images), atol=0.05)


def test_the_reference_is_of_pictures_that_no_training_has_seen(sprites, tmp_path):
    folder = catalog.starter_folder("extractor", "starter emoji classifier")
    taken = reference.take(folder, sprites, 40, 20)
    again = reference.take(folder, sprites, 40, 20)
    assert taken.name in catalog.REFERENCES
    assert (taken.count, len(taken.rows.keys)) == (40, 20)
    assert torch.equal(taken.keys, again.keys)
    reference.write(taken, tmp_path / "reference.npz")
    loaded = feature_files.load(tmp_path / "reference.npz")
    assert torch.equal(loaded.taps[0].statistics.products, taken.taps[0].statistics.products)
    torch.testing.assert_close(loaded.rows.values, taken.rows.values, rtol=1e-3, atol=1e-4)
