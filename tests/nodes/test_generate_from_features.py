"""Condition on Features as a node, with the starter, an extractor, and a stand-in for ComfyUI's CLIP."""

import json
from types import SimpleNamespace

import pytest
import torch
from trilemma import host
from trilemma.models.errors import BadCheckpoint, BadInput, CannotDo
from trilemma.models.generators.autoregressive import feature_prior
from trilemma.models.generators.binding import Bound
from trilemma.models.generators.loading import load_generator
from trilemma.nodes import NODE_CLASS_MAPPINGS
from trilemma.tests.closeness import assert_close

pytestmark = pytest.mark.slow

CLIP, VISION = object(), object()
"""What the host would load; its towers are stood in for."""

Load, Extractor, Sample, Condition, Features = (
    NODE_CLASS_MAPPINGS[f"Trilemma{name}"]
    for name in ("LoadGenerator", "LoadFeatureExtractor", "SampleImages", "Condition", "ConditionOnFeatures")
)
NAMES = ("cat", "panda", "rocket", "pizza")
SIZE = 6
"""Of the features of the small file."""


def sample(generator, count, seed=0):
    """Images and records."""
    return Sample().run(generator, count, seed)["result"]


def load(name):
    return Load().run(f"starter emoji {name}")["result"][0]


@pytest.fixture(scope="module")
def classifier():
    return Extractor().run("starter emoji classifier", resize="TF1")["result"][0]


@pytest.fixture(scope="module")
def pictures():
    return sample(Condition().run(load("ddpm"), "\n".join(NAMES))[0], 4, 5)[0]


@pytest.fixture
def small(tmp_path):
    """A generator without classes."""
    generator = load_generator(feature_prior.tiny(tmp_path))
    return host.hold(Bound(generator), generator.modules)


def called(classifier, images):
    with torch.no_grad():
        found = classifier.model.see(images.movedim(-1, 1), ("features",)).log_probabilities.argmax(dim=1)
    return [classifier.model.class_names[label] for label in found]


@torch.inference_mode()
def test_draws_kin_of_pictures(classifier, pictures):
    generator = Features().run(load("vqvae features"), pictures, classifier)[0]
    images, records = sample(generator, 40, 0)
    right = [name == NAMES[i % 4] for i, name in enumerate(called(classifier, images))]
    assert sum(right) > 36
    told = [record["vector"] for record in json.loads(records)]
    assert len(set(told)) == 4 and told[:4] == told[4:8]
    assert (images[0] - images[4]).abs().mean() > 0.01


@torch.inference_mode()
def test_draws_classes_by_their_names(classifier):
    generator = Features().run(load("vqvae features"), text="\n".join(NAMES))[0]
    images = sample(generator, 40, 0)[0]
    assert sum(name == NAMES[i % 4] for i, name in enumerate(called(classifier, images))) > 36
    assert_close(images, sample(Condition().run(load("vqvae features"), "\n".join(NAMES))[0], 40, 0)[0])


@torch.inference_mode()
def test_a_class_beside_features_is_told_to_be_left_out(classifier, pictures):
    named = Condition().run(load("vqvae features"), "sun")[0]
    shown = Features().run(named, pictures, classifier)
    assert shown["ui"]["text"] == ["the class 'sun' is left out: features say what to draw"]
    alone = Features().run(load("vqvae features"), pictures, classifier)[0]
    assert torch.equal(sample(shown["result"][0], 4, 0)[0], sample(alone, 4, 0)[0])


@pytest.fixture
def clip(monkeypatch):
    """The halves of a CLIP as host/ tells of them."""
    projection = torch.randn(SIZE, 8, generator=torch.Generator().manual_seed(1))
    encoder = SimpleNamespace(
        side=8, size=SIZE, name="CLIP vision, 8 px", identity="v", projection=projection, mean=(), std=(),
        memory_bytes=lambda count: 10_000 * count, encode=lambda images: images.mean(dim=(1, 2)).repeat(1, 2),
    )  # fmt: skip
    tower = SimpleNamespace(
        embed=lambda text: torch.eye(SIZE)[[len(text) % SIZE]],
        projection=projection,
        identity="t",
        files=(),
        in_files=False,
    )
    monkeypatch.setattr(host, "vision_encoder", lambda connected: encoder)
    monkeypatch.setattr(host, "text_tower", lambda connected, graph, node_id: tower)
    return encoder, tower


def test_draws_by_texts_and_by_clip_vision(clip, small):
    by_text = Features().run(small, text="a\n\n bb \na", clip=CLIP)[0].model.conditions
    assert [each.vector.values.argmax().item() for each in by_text] == [1, 2, 1]
    assert by_text[0] == by_text[2] and by_text[0].vector.source == ("CLIP text", "t")
    images = torch.rand(2, 9, 7, 4)
    by_picture = Features().run(small, images, clip_vision=VISION)[0].model.conditions
    assert by_picture[0].vector.source == ("CLIP vision, 8 px", "v", "clean")
    for each, image in zip(by_picture, images, strict=True):
        torch.testing.assert_close(each.vector.values[:3], image[..., :3].mean(dim=(0, 1)), rtol=0, atol=0.02)
    both = Features().run(Features().run(small, images, clip_vision=VISION)[0], text="a", clip=CLIP)[0]
    assert both.model.conditions == by_text[:1]


def test_half_a_clip_is_refused(clip, small):
    clip[1].projection = None
    with pytest.raises(BadCheckpoint, match="clip: this model has no projection"):
        Features().run(small, text="a", clip=CLIP)
    clip[0].projection = torch.zeros(SIZE, 8)
    with pytest.raises(BadCheckpoint, match="clip_vision: its projection"):
        Features().run(small, torch.rand(1, 8, 8, 3), clip_vision=VISION)


def test_refusals_say_what_to_connect(small, classifier, pictures):
    for given, said in (
        ({}, "images, text: neither is given"),
        ({"images": pictures, "text": "a"}, "images, text: both are given"),
        ({"images": pictures}, "extractor, clip_vision: one of them"),
        ({"images": pictures, "extractor": classifier, "clip_vision": VISION}, "extractor, clip_vision: one of them"),
        ({"images": pictures, "extractor": classifier}, "draws from 6 features, and these are 128 of starter emoji"),
        ({"text": "a cat"}, "clip: it is missing, and VQModel with feature prior has no classes"),
    ):
        with pytest.raises(BadInput, match=said):
            Features().run(small, **given)
    with pytest.raises(CannotDo, match="draws from no features; it takes: none, class"):
        Features().run(load("vae"), text="cat")
    with pytest.raises(BadInput, match="no class 'cow'"):
        Features().run(load("vqvae features"), text="cow")
