"""What holds for every prior over codes."""

from pathlib import Path

import pytest
import torch
from trilemma.models.errors import BadInput
from trilemma.models.generators import binding, completion, noise
from trilemma.models.generators.autoregressive.code_generator import CodeGenerator
from trilemma.models.generators.autoregressive.code_sampling import pick
from trilemma.models.generators.base import Condition
from trilemma.models.generators.binding import Bound
from trilemma.models.generators.loading import load_generator
from trilemma.tests.closeness import assert_close
from trilemma.tests.generators.autoregressive.tiny_codes import (
    ARCHITECTURES,
    CLASS_NAMES,
    CLASSES,
    CODES,
    GRID,
    HEADS,
    tiny_file,
    tiny_prior,
)

pytestmark = pytest.mark.slow

PLACES = GRID[0] * GRID[1]


@pytest.fixture(params=ARCHITECTURES, ids=lambda architecture: architecture.__name__.rpartition(".")[2])
def architecture(request):
    return request.param


@pytest.fixture
def generator(architecture, tmp_path: Path) -> CodeGenerator:
    return load_generator(tiny_file(architecture, tmp_path))


def requests(count: int, *texts: str) -> list:
    return noise.requests(count, 7, [Condition(text) for text in texts or ("",)])


def test_loads_what_was_saved(architecture, generator: CodeGenerator):
    descriptor = generator.descriptor
    assert descriptor.architecture == architecture.NAME
    assert descriptor.family == "autoregressive"
    assert (descriptor.height, descriptor.width, descriptor.channels) == (8, 6, 3)
    assert descriptor.class_names == tuple(CLASS_NAMES)
    assert descriptor.num_classes == CLASSES
    assert descriptor.latent_shape == (5, *GRID)
    assert descriptor.options == {"temperature": 1.0, "top_k": 0, "top_p": 1.0}
    prior, built = generator.modules[1], tiny_prior(architecture)
    assert prior.grid == GRID
    assert len(prior.layers) == len(built.layers)
    assert getattr(prior.layers[0], "heads", HEADS) == HEADS
    assert descriptor.parameters == sum(p.numel() for module in generator.modules for p in module.parameters())
    codes, labels = torch.randint(CODES, (3, *GRID)), torch.tensor([0, 1, 1])
    assert_close(prior(codes, labels), built(codes, labels))


@torch.no_grad()
def test_place_by_place_gives_the_logits_of_all_at_once(architecture):
    prior = tiny_prior(architecture)
    codes, labels = torch.randint(CODES, (3, *GRID)), torch.tensor([0, 1, 1])
    state = prior.begin(labels)
    found = []
    for place in range(PLACES):
        known = codes.flatten(1).clone()
        known[:, place:] = torch.randint(CODES, (3, PLACES - place))
        found.append(prior.next_logits(state, known, place))
    expected = prior(codes, labels)
    assert expected.std() > 0.1
    assert torch.allclose(torch.stack(found, dim=1), expected, rtol=0, atol=1e-5)


@torch.no_grad()
def test_a_sample_does_not_depend_on_its_batch(generator: CodeGenerator):
    bound = Bound(generator)
    alone = [batch.images for batch in binding.sample(bound, 8, 3, batch_size=1)]
    codes = generator.codes(noise.requests(8, 3, bound.conditions), bound.settings)
    assert len(set(codes.flatten(1).unbind())) == 8
    for size in (1, 3, 8):
        parts = [
            generator.codes(noise.requests(8, 3, bound.conditions)[i : i + size], bound.settings)
            for i in range(0, 8, size)
        ]
        assert torch.equal(torch.cat(parts), codes)
        images = torch.cat([batch.images for batch in binding.sample(bound, 8, 3, size)])
        assert torch.allclose(images, torch.cat(alone), rtol=0, atol=1e-5)
    assert_close(next(binding.sample(bound, 1, 3, 1, first=5)).images, alone[5])


@torch.no_grad()
def test_one_call_does_not_depend_on_the_batch(generator: CodeGenerator):
    prior = generator.modules[1]
    codes, labels = torch.randint(CODES, (8, *GRID)), torch.arange(8) % CLASSES
    together = prior(codes, labels)
    for size in (1, 3):
        parts = zip(codes.split(size), labels.split(size), strict=True)
        assert torch.allclose(torch.cat([prior(*part) for part in parts]), together, rtol=0, atol=1e-5)


@torch.no_grad()
def test_codes_come_as_often_as_the_prior_says(generator: CodeGenerator):
    """The first code of many samples of one class."""
    prior = generator.modules[1]
    count = 4000
    drawn = generator.codes(requests(count, "dog"), generator.descriptor.options)[:, 0, 0]
    expected = prior(torch.zeros(1, *GRID, dtype=torch.int64), torch.tensor([1]))[0, 0].softmax(0)
    found = torch.bincount(drawn, minlength=CODES) / count
    assert torch.allclose(found, expected, atol=4 * float((expected * (1 - expected) / count).sqrt().max()))


@torch.no_grad()
def test_options_reach_every_code(generator: CodeGenerator):
    """With only the likeliest code left, the numbers that are drawn do not count."""
    prior = generator.modules[1]
    settings = Bound(generator).with_options("autoregressive", {"temperature": 1.0, "top_k": 1, "top_p": 1.0}).settings
    codes = generator.codes(requests(3, "cat"), settings)
    assert torch.equal(codes[0], codes[1])
    assert torch.equal(prior(codes, torch.zeros(3, dtype=torch.int64)).argmax(-1), codes.flatten(1))
    neutral = generator.descriptor.options
    assert torch.equal(generator.codes(requests(3, "cat"), {**neutral, "top_p": 0.0}), codes)
    agreeing = [
        (generator.codes(requests(3, "cat"), {**neutral, "temperature": temperature}) == codes).double().mean()
        for temperature in (4.0, 1.0, 0.05)
    ]
    assert agreeing[0] < agreeing[1] < agreeing[2]


@torch.no_grad()
def test_classes_are_drawn_or_taken(generator: CodeGenerator):
    options = generator.descriptor.options
    free = generator.codes(requests(8), options)
    cats, dogs = (generator.codes(requests(8, name), options) for name in CLASS_NAMES)
    assert not torch.equal(cats, dogs)
    same = [(free[i] == cats[i]).all() or (free[i] == dogs[i]).all() for i in range(8)]
    assert all(same)
    assert torch.equal(generator.codes(requests(8, "1"), options), dogs)
    with pytest.raises(BadInput, match="no class 'cow'; give one of cat, dog"):
        Bound(generator).with_conditions([Condition("cow")])


@torch.no_grad()
def test_steps_and_previews(generator: CodeGenerator):
    steps, previews = [], []

    def on_step(done: int, preview: torch.Tensor | None = None) -> None:
        steps.append(done)
        if preview is not None:
            previews.append(preview)

    images = generator.draw(requests(2), generator.descriptor.options, on_step)
    assert steps == list(range(1, PLACES + 1))
    assert generator.evaluations(generator.descriptor.options) == PLACES
    assert len(previews) == GRID[0]
    assert all(preview.shape == (8, 6, 3) for preview in previews)
    assert torch.equal(previews[1][4:], torch.full((4, 6, 3), 0.5))
    assert torch.allclose(previews[-1], images[-1], atol=1e-5)


@torch.no_grad()
def test_pictures_are_what_the_codes_decode_to(generator: CodeGenerator):
    options = generator.descriptor.options
    images = generator.draw(requests(3), options, lambda *_: None)
    assert images.dtype == torch.float32
    assert 0 <= images.min() < images.max() <= 1
    coder = generator.modules[0]
    expected = coder.network.decode(
        coder.vectors(generator.codes(requests(3), options)), force_not_quantize=True
    ).sample
    assert torch.allclose(images, (expected / 2 + 0.5).clamp(0, 1).permute(0, 2, 3, 1), atol=1e-6)
    latents = generator.latents(requests(3), options)
    assert_close(generator.decode(latents, requests(3), options), images)


@torch.no_grad()
def test_a_picture_is_completed_from_its_own_codes(generator: CodeGenerator):
    """Kept codes are the picture's, the others those that the prior draws after them, whatever the batch."""
    images = torch.rand(2, 8, 6, 3, generator=torch.Generator().manual_seed(3))
    wanted = requests(4)
    begun = images.repeat_interleave(2, dim=0)
    coder, prior = generator.modules
    own = coder.codes(generator.encode(begun).values)
    kept = own[:, : GRID[0] // 2].flatten(1)
    settings = dict(generator.descriptor.options)
    codes = generator.codes(wanted, settings, begun=kept)
    assert torch.equal(codes.flatten(1)[:, : kept.shape[1]], kept)
    uniforms = []
    for each in noise.generators(wanted):
        noise.labels(generator.descriptor, wanted[:1], [each])
        uniforms.append(noise.uniform([each], (PLACES,)))
    labels = noise.labels(generator.descriptor, wanted, noise.generators(wanted))
    logits = prior(codes, labels)
    for place in range(kept.shape[1], PLACES):
        drawn = pick(logits[:, place], torch.cat(uniforms)[:, place], **settings)
        assert torch.equal(drawn, codes.flatten(1)[:, place])
    whole = completion.complete(Bound(generator), images, 0.5, 2, 7, 4)
    assert_close(whole, generator.decode(generator._vectors(codes), wanted, settings))
    assert_close(completion.complete(Bound(generator), images, 0.5, 2, 7, 3), whole)


def test_own_pixels_stay_bit_for_bit(generator: CodeGenerator):
    images = torch.rand(2, 8, 6, 3)
    whole = completion.complete(Bound(generator), images, 0.25, 3, 7, 6)
    _, rows = completion.kept_rows(generator.descriptor, 0.25)
    mixed = completion.with_own_pixels(images, whole, rows)
    assert rows == 2
    assert torch.equal(mixed[:, :rows], images.repeat_interleave(3, dim=0)[:, :rows])
    assert torch.equal(mixed[:, rows:], whole[:, rows:])


@pytest.mark.parametrize("share", [0.0, 0.1, 0.9, 1.0])
def test_nothing_to_keep_or_to_draw_is_refused(generator: CodeGenerator, share: float):
    with pytest.raises(BadInput, match=r"keep: .* give 0\.25 to 0\.75"):
        completion.complete(Bound(generator), torch.rand(1, 8, 6, 3), share, 1, 0, 1)
