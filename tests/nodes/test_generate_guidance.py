"""Critics and guided generators as nodes, in a graph's inference mode."""

from types import SimpleNamespace

import pytest
import torch
from torch import nn
from trilemma import host
from trilemma.host import standalone
from trilemma.models.errors import BadCheckpoint, BadInput, CannotDo
from trilemma.models.generators.guidance.guided import GuidedLatents
from trilemma.nodes import NODE_CLASS_MAPPINGS

pytestmark = pytest.mark.slow

CLIP, VISION = object(), object()
"""What the host would load; its towers are stood in for."""

Load, Extractor, Sample, Condition, Options = (
    NODE_CLASS_MAPPINGS[f"Trilemma{name}"]
    for name in ("LoadGenerator", "LoadFeatureExtractor", "SampleImages", "Condition", "DiffusionOptions")
)
Text, Image, Class, Style, Guide = (
    NODE_CLASS_MAPPINGS[f"Trilemma{name}"]
    for name in ("TextCritic", "ImageCritic", "ClassCritic", "StyleCritic", "GuideGenerator")
)
SIDE = 8


def load(name):
    return Load().run(f"starter emoji {name}")["result"][0]


@pytest.fixture(scope="module")
def classifier():
    return Extractor().run("starter emoji classifier", resize="TF1")["result"][0]


def guide(generator, critic, strength=1.0, steps=20, **settings):
    return Guide().run(generator, critic, strength, steps, **settings)["result"][0]


def scores(critic, images, first=0):
    """Of the critic on the wire."""
    from trilemma.models.generators import noise
    from trilemma.models.generators.base import Condition
    from trilemma.models.generators.guidance.guide import streams_of

    requests = noise.requests(len(images), 0, [Condition()], first)
    return critic.model.scores(images.movedim(-1, 1), requests, streams_of(requests))


@torch.inference_mode()
def test_a_class_for_a_vae(classifier):
    generator = load("vae")
    (critic,) = Class().run(classifier, "cat\n\n tiger ")
    shown = Guide().run(generator, critic, 1.0, 20)
    made = shown["result"][0]
    assert shown["ui"]["text"][0].endswith("class critic: log p of cat, tiger by starter emoji classifier")
    before, records = Sample().run(generator, 4, 0)["result"]
    after, told = Sample().run(made, 4, 0)["result"]
    assert (scores(critic, after) - scores(critic, before)).min() > 2
    assert "guided by class" in told and "log p of cat, tiger" in told and "guided" not in records
    assert torch.equal(Sample().run(guide(generator, critic, 0.0), 4, 0)["result"][0], before)
    assert {*made.patchers} == {*generator.patchers, *classifier.patchers}


@torch.inference_mode()
def test_a_diffusion_model_with_options_and_without_a_class(classifier):
    generator = Options().run(load("ddpm"), steps=5, guidance_scale=1.0)[0]
    generator = Condition().run(generator, "(none)")[0]
    (critic,) = Class().run(classifier, "cat")
    found = Sample().run(guide(generator, critic, 10.0), 4, 0)["result"][0]
    assert scores(critic, found).mean() > scores(critic, Sample().run(generator, 4, 0)["result"][0]).mean() + 2


@torch.inference_mode()
def test_pictures_become_like_others(classifier):
    """In content, in style, and in both together."""
    generator = load("vae")
    wanted = Sample().run(generator, 2, 100)["result"][0]
    before = Sample().run(generator, 2, 0)["result"][0]
    (content,) = Image().run(wanted, classifier)
    (style,) = Style().run(wanted, classifier)
    (both,) = Style().run(wanted, classifier, 0.5, content)
    for critic in (content, style, both):
        after = Sample().run(guide(generator, critic), 2, 0)["result"][0]
        assert (scores(critic, after) - scores(critic, before)).min() > 3
    torch.testing.assert_close(scores(content, wanted), torch.full((2,), 100.0))
    torch.testing.assert_close(
        scores(both, before), scores(content, before) + 0.5 * scores(style, before), rtol=1e-5, atol=1e-4
    )
    assert both.model.name == "image and style"
    assert len(both.patchers) == len({*both.patchers}) == len(classifier.patchers)


class Vision(nn.Module):
    """What ComfyUI's network of a CLIP_VISION would give: pixels -> [N, 4]."""

    def __init__(self):
        super().__init__()
        with torch.inference_mode(False):
            self.layer = nn.Linear(3 * SIDE * SIDE, 4)
            nn.init.normal_(self.layer.weight, generator=torch.Generator().manual_seed(0))
            nn.init.zeros_(self.layer.bias)

    def forward(self, pixels):
        return self.layer(pixels.flatten(1))


@pytest.fixture
def clip(monkeypatch):
    """A stand-in for ComfyUI, which the tests without it have not: the halves of a CLIP as host/ tells of them."""
    network = Vision()
    random = torch.Generator().manual_seed(1)
    projection = torch.randn(4, 6, generator=random)
    encoder = SimpleNamespace(
        side=SIDE, size=4, name="CLIP vision", identity="v", projection=projection, mean=(), std=(),
        memory_bytes=lambda count: 10_000 * count,
    )  # fmt: skip
    tower = SimpleNamespace(
        embed=lambda text: torch.eye(4)[[len(text) % 4]], projection=projection, identity="t", files=(), in_files=False
    )
    monkeypatch.setattr(host, "vision_encoder", lambda connected: encoder)
    monkeypatch.setattr(host, "vision_network", lambda connected: network)
    monkeypatch.setattr(host, "text_tower", lambda connected, graph, node_id: tower)
    return encoder, tower


@torch.inference_mode()
def test_a_text_for_a_gan(clip):
    generator = load("stylegan2")
    (critic,) = Text().run(CLIP, VISION, "a\nbb", cutouts=3)
    assert critic.model.notes == ("text critic: cosine to a, bb by CLIP vision, mean over 3 cutouts",)
    before = Sample().run(generator, 2, 0)["result"][0]
    after = Sample().run(guide(generator, critic), 2, 0)["result"][0]
    assert (scores(critic, after) - scores(critic, before)).min() > 10


@torch.inference_mode()
def test_pictures_of_clip_vision(clip):
    (critic,) = Image().run(torch.rand(1, 9, 7, 4), None, VISION)
    assert len(critic.patchers) == 1
    after = Sample().run(guide(load("vae"), critic, 5.0), 1, 0)["result"][0]
    assert scores(critic, after) > scores(critic, Sample().run(load("vae"), 1, 0)["result"][0]) + 10


def test_half_a_clip_is_refused(clip):
    encoder, tower = clip
    tower.projection = None
    with pytest.raises(BadCheckpoint, match="clip: this model has no projection"):
        Text().run(CLIP, VISION, "a")
    tower.projection, encoder.projection = torch.eye(4), torch.eye(4)
    with pytest.raises(BadCheckpoint, match="is the identity"):
        Text().run(CLIP, VISION, "a")


def test_what_is_missing_is_named(classifier):
    with pytest.raises(BadInput, match="text: it is empty"):
        Text().run(CLIP, VISION, " \n")
    with pytest.raises(BadInput, match="classes: it is empty"):
        Class().run(classifier, "")
    with pytest.raises(BadInput, match="extractor, clip_vision: one of them"):
        Image().run(torch.rand(1, 4, 4, 3))
    with pytest.raises(BadInput, match="extractor, clip_vision: one of them"):
        Image().run(torch.rand(1, 4, 4, 3), classifier, VISION)
    with pytest.raises(CannotDo, match="only ComfyUI runs its vision models"):
        Image().run(torch.rand(1, 4, 4, 3), None, VISION)


@torch.inference_mode()
def test_memory_that_runs_out_halves_the_batch(classifier, monkeypatch):
    (critic,) = Class().run(classifier, "cat")
    made = guide(load("vae"), critic, steps=3)
    expected = Sample().run(made, 3, 5)["result"][0]
    whole = GuidedLatents._guided

    def small(self, requests, *others):
        if len(requests) > 1:
            raise torch.cuda.OutOfMemoryError("no room")
        return whole(self, requests, *others)

    monkeypatch.setattr(GuidedLatents, "_guided", small)
    torch.testing.assert_close(Sample().run(made, 3, 5)["result"][0], expected, rtol=0, atol=1e-4)


@torch.inference_mode()
def test_an_interrupt_stops_within_one_step(classifier, monkeypatch):
    (critic,) = Class().run(classifier, "cat")
    calls = []
    whole = type(critic.model).scores

    def counting(self, *arguments):
        calls.append(1)
        if len(calls) == 3:
            standalone.interrupt()
        return whole(self, *arguments)

    monkeypatch.setattr(type(critic.model), "scores", counting)
    for name in ("vae", "ddpm"):
        calls.clear()
        with pytest.raises(standalone.Interrupted):
            Sample().run(guide(load(name), critic), 1, 0)
        assert len(calls) == 3
