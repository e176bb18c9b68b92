"""Critics: their scores by the formulas of the papers, derivatives, what each sample is asked for, and what tells them
apart."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from trilemma.models.errors import BadInput, CannotDo
from trilemma.models.files import catalog
from trilemma.models.generators import noise
from trilemma.models.generators.base import Condition
from trilemma.models.generators.guidance.class_critic import ClassCritic
from trilemma.models.generators.guidance.critic import Sum, with_weight
from trilemma.models.generators.guidance.cutouts import cutouts
from trilemma.models.generators.guidance.embedding_critic import (
    EmbeddingCritic,
    ExtractorEmbedder,
    VisionEmbedder,
)
from trilemma.models.generators.guidance.style_critic import StyleCritic
from trilemma.models.scoring.extractors.loading import EXTRACTORS
from trilemma.models.scoring.extractors.pixels import PixelExtractor

SIDE = 6


def requests(count, first=0):
    return noise.requests(count, 5, [Condition()], first)


def streams(count, seed=0):
    return [torch.Generator().manual_seed(seed + index) for index in range(count)]


def pictures(count, side=9, seed=0):
    return torch.rand(count, 3, side, side, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


class Vision(nn.Module):
    """A smooth network: pixels [N, 3, SIDE, SIDE] -> [N, 4]."""

    def __init__(self):
        super().__init__()
        random = torch.Generator().manual_seed(1)
        self.weight = nn.Parameter(torch.randn(3 * SIDE * SIDE, 4, generator=random, dtype=torch.float64))

    def forward(self, pixels):
        return torch.tanh(pixels.flatten(1) @ self.weight / 10)


def embedder():
    return VisionEmbedder("toy", "x", SIDE, Vision().requires_grad_(False), lambda count: 1000 * count)


def text_critic(cutouts=0, targets=((1.0, 0.0, 0.0, 0.0),), asked=("a",)):
    return EmbeddingCritic("text", embedder(), torch.tensor(targets), asked, cutouts)


@pytest.fixture(scope="module")
def classifier():
    return EXTRACTORS.load(catalog.starter_folder("extractor", "starter emoji classifier"))


def test_cutouts_are_squares_of_the_picture():
    given = pictures(2, 20)
    found = cutouts(given, 3, SIDE, streams(2))
    assert found.shape == (6, 3, SIDE, SIDE)
    shares = torch.rand(3, 3, generator=streams(1)[0], dtype=torch.float64).tolist()
    for made, (share, down, right) in zip(found, shares, strict=False):
        size = round(20 * (0.5 + 0.5 * share))
        top, left = int(down * (21 - size)), int(right * (21 - size))
        square = given[:1, :, top : top + size, left : left + size]
        expected = F.interpolate(square, (SIDE, SIDE), mode="bilinear", antialias=True)[0]
        torch.testing.assert_close(made, expected)


def test_cutouts_of_a_picture_are_its_own_streams():
    given = pictures(3, 20)
    together = cutouts(given, 4, SIDE, streams(3))
    alone = cutouts(given[2:], 4, SIDE, streams(1, seed=2))
    assert torch.equal(together[8:], alone)
    assert not torch.equal(together[:4], cutouts(given[:1], 4, SIDE, streams(1, seed=9)))


def test_enlarged_cutouts_are_those_of_antialiasing():
    """Which has no part in enlarging, so that it can be left out."""
    given = pictures(1, 10)
    found = cutouts(given, 1, 40, streams(1))
    share, down, right = torch.rand(3, generator=streams(1)[0], dtype=torch.float64).tolist()
    size = round(10 * (0.5 + 0.5 * share))
    top, left = int(down * (11 - size)), int(right * (11 - size))
    square = given[:, :, top : top + size, left : left + size]
    torch.testing.assert_close(found, F.interpolate(square, (40, 40), mode="bilinear", antialias=True))


@pytest.mark.parametrize("count", [0, 3])
def test_derivatives_are_those_of_finite_differences(count):
    critic = Sum((text_critic(count), text_critic(0, ((0.0, 1.0, 2.0, 0.0),), ("b",))), (1.0, -0.5))
    given, way = pictures(2), pictures(2, seed=3) - 0.5

    def score(values):
        return critic.scores(values, requests(2), streams(2)).sum()

    moved = given.clone().requires_grad_()
    (found,) = torch.autograd.grad(score(moved), moved)
    step = 1e-6
    expected = (score(given + step * way) - score(given - step * way)) / (2 * step)
    torch.testing.assert_close((found * way).sum(), expected, rtol=1e-6, atol=1e-8)


def test_an_embedding_is_judged_by_its_cosine():
    network = Vision()
    given = pictures(2, SIDE)
    mean, std = (
        torch.tensor(values, dtype=torch.float64).view(3, 1, 1)
        for values in ((0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711))
    )
    vectors = network((given - mean) / std)
    targets = torch.tensor([[3.0, 0.0, 0.0, 0.0], [0.0, 1.0, -1.0, 0.0]])
    critic = text_critic(0, targets.tolist(), ("a", "b"))
    found = critic.scores(given, requests(2, first=1), streams(2))
    expected = 100 * F.cosine_similarity(vectors, targets.flip(0).double(), dim=1)
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-6)


def test_a_text_of_another_clip_is_refused():
    with pytest.raises(BadInput, match="prompts have 3 features and images 4"):
        text_critic(0, ((1.0, 0.0, 0.0),)).scores(pictures(1), requests(1), streams(1))


def test_a_class_is_judged_by_its_log_probability(classifier):
    given = pictures(3, 32).float()
    critic = ClassCritic(classifier, ["cat", "3"])
    found = critic.scores(given, requests(3, first=1), streams(3))
    expected = classifier.see(given, ()).log_probabilities
    cat = classifier.class_names.index("cat")
    torch.testing.assert_close(found, expected[[0, 1, 2], [3, cat, 3]])
    assert critic.notes == (f"class critic: log p of cat, {classifier.class_names[3]} by starter emoji classifier",)


def test_a_star_stands_for_every_class(classifier):
    given = pictures(34, 32).float()
    found = ClassCritic(classifier, ["*"]).scores(given, requests(34), streams(34))
    expected = classifier.see(given, ()).log_probabilities
    torch.testing.assert_close(found, expected[range(34), [*range(32), 0, 1]])


def test_classes_that_there_are_not(classifier):
    with pytest.raises(BadInput, match=r"classes: starter emoji classifier has no class 'cta'; give one of dog, cat"):
        ClassCritic(classifier, ["cta"])
    with pytest.raises(BadInput, match="classes: there are none"):
        ClassCritic(classifier, [])
    with pytest.raises(CannotDo, match="pixels 8 x 8 tells no classes"):
        ClassCritic(PixelExtractor(8), ["0"])


def test_a_style_is_judged_by_gram_matrices(classifier):
    style, given = pictures(1, 32).float(), pictures(2, 32, seed=4).float()
    critic = StyleCritic(classifier, style, "x")
    found = critic.scores(torch.cat([style, given]), requests(3), streams(3))
    assert abs(float(found[0])) < 1e-6
    total = 0.0
    for mine, its in zip(classifier.maps(given), classifier.maps(style), strict=True):
        gram, wanted = (
            torch.einsum("nchw,ndhw->ncd", each, each) / each.shape[2] / each.shape[3] for each in (mine, its)
        )
        total = total + (gram - wanted).square().sum(dim=(1, 2)) / wanted.square().sum(dim=(1, 2))
    torch.testing.assert_close(found[1:], -100 * total / 5)
    moved = given.clone().requires_grad_()
    (derivative,) = torch.autograd.grad(critic.scores(moved, requests(2), streams(2)).sum(), moved)
    assert derivative.abs().sum(dim=(1, 2, 3)).min() > 0


def test_a_style_needs_layers():
    with pytest.raises(CannotDo, match=r"pixels 8 x 8 tells nothing of its layers; load VGG-16"):
        StyleCritic(PixelExtractor(8), pictures(1), "x")


def test_weights_and_what_is_asked_for_tell_critics_apart(classifier):
    cat = ClassCritic(classifier, ["cat"])
    others = [
        ClassCritic(classifier, ["dog"]),
        with_weight(cat, 2.0),
        with_weight(ClassCritic(classifier, ["dog"]), 1.0, cat),
        with_weight(cat, 1.0, ClassCritic(classifier, ["dog"])),
        text_critic(),
        text_critic(2),
        text_critic(0, asked=("b",)),
        EmbeddingCritic("image", ExtractorEmbedder(classifier), torch.ones(1, 128), ("a",)),
        StyleCritic(classifier, pictures(1, 32).float(), "a"),
        StyleCritic(classifier, pictures(1, 32).float(), "b"),
    ]
    assert len({critic.identity for critic in (cat, *others)}) == 1 + len(others)
    assert ClassCritic(classifier, ["cat"]).identity == with_weight(cat, 1.0).identity == cat.identity


def test_a_sum_is_weighted(classifier):
    cat, dog = ClassCritic(classifier, ["cat"]), ClassCritic(classifier, ["dog"])
    both = with_weight(dog, -2.0, with_weight(cat, 0.5))
    given = pictures(2, 32).float()
    found, one, other = (critic.scores(given, requests(2), streams(2)) for critic in (both, cat, dog))
    torch.testing.assert_close(found, 0.5 * one - 2 * other)
    assert both.name == "class" and both.notes[-1].startswith("-2 x: class critic: log p of dog")
    assert both.memory_bytes(32, 32) == cat.memory_bytes(32, 32) + dog.memory_bytes(32, 32)
