"""Guided generators: what strength does, that samples depend on their seeds alone, steps, memory and provenance."""

import pytest
import torch
from trilemma.models.errors import BadInput, CannotDo
from trilemma.models.files import catalog
from trilemma.models.generators import noise
from trilemma.models.generators.autoregressive import vqgan
from trilemma.models.generators.base import NO_CLASS, Condition
from trilemma.models.generators.binding import Bound, sample, total_steps
from trilemma.models.generators.diffusion.ddpm import FAMILY as DDPM
from trilemma.models.generators.gan import dcgan
from trilemma.models.generators.guidance.class_critic import ClassCritic
from trilemma.models.generators.guidance.embedding_critic import EmbeddingCritic, ExtractorEmbedder
from trilemma.models.generators.guidance.guided import guided
from trilemma.models.generators.images import Images, from_batch
from trilemma.models.generators.loading import load_generator
from trilemma.models.generators.records import records_of
from trilemma.models.generators.sampling import fitting_batch
from trilemma.models.scoring.benchmark.sweep import read_values
from trilemma.models.scoring.extractors.base import eight_bit
from trilemma.models.scoring.extractors.loading import EXTRACTORS
from trilemma.tests.closeness import assert_close
from trilemma.tests.generators.toy import Toy
from trilemma.tests.peak_memory import peak_bytes

pytestmark = pytest.mark.slow

STARTERS = ("vae", "stylegan2", "vqvae transformer", "ddpm", "latent diffusion")
SHORT = {"ddpm": {"steps": 10}, "latent diffusion": {"steps": 3}}
ALONE = {"guidance_scale": 1.0}
"""The critic says what is drawn, not classifier-free guidance too."""
CAT = 1


@pytest.fixture(scope="module")
def classifier():
    return EXTRACTORS.load(catalog.starter_folder("extractor", "starter emoji classifier"))


@pytest.fixture(scope="module")
def critic(classifier):
    return ClassCritic(classifier, ["cat"])


def starter(name):
    return load_generator(catalog.starter_folder("generator", f"starter emoji {name}"))


def bound(name, critic, strength, steps=5, **settings):
    generator = starter(name)
    conditions = (Condition(NO_CLASS if generator.descriptor.takes_no_class else ""),)
    made = guided(generator, critic, strength, steps, settings.pop("step_size", 0.1), settings.pop("variation", 0.0))
    return Bound(made, {**SHORT.get(name, {}), **settings}, conditions)


def drawn(bound, count, size=64, seed=0, first=0, on_step=lambda done, preview=None: None):
    return torch.cat([batch.images for batch in sample(bound, count, seed, size, on_step, first)])


def log_probabilities(classifier, images):
    return classifier.extract(classifier.prepare(eight_bit(images)), ()).log_probabilities


@pytest.mark.parametrize("name", STARTERS)
def test_strength_0_draws_what_the_generator_draws(name, critic):
    guided_by_nothing = bound(name, critic, 0.0)
    plain = guided_by_nothing._replace(generator=starter(name))
    assert_close(drawn(guided_by_nothing, 2), drawn(plain, 2))
    assert total_steps(guided_by_nothing, 2) == total_steps(plain, 2)


@torch.inference_mode()
@pytest.mark.parametrize("name", ["vae", "stylegan2", "vqvae transformer"])
def test_latents_move_to_a_class(name, classifier, critic):
    """In a graph's inference mode, as ComfyUI runs it."""
    with torch.inference_mode(False):
        made = bound(name, critic, 1.0, 30)
    before, after = (log_probabilities(classifier, drawn(each, 4)) for each in (bound(name, critic, 0.0), made))
    assert (before.argmax(dim=1) == CAT).sum() == 0
    assert (after.argmax(dim=1) == CAT).sum() >= 3
    assert float((after - before)[:, CAT].mean()) > 6


@torch.inference_mode()
def test_a_diffusion_model_without_a_class_takes_the_classifiers(classifier, critic):
    """The stronger, the more of its pictures are of the class, and the surer it is."""
    shares, certain = [], []
    for strength in (0.0, 3.0, 10.0):
        with torch.inference_mode(False):
            made = bound("ddpm", critic, strength, **ALONE)
        found = log_probabilities(classifier, drawn(made, 12))
        shares.append(float((found.argmax(dim=1) == CAT).float().mean()))
        certain.append(float(found[:, CAT].mean()))
    assert shares[0] < 0.1 and shares[2] > 0.3
    assert certain[0] + 3 < certain[1] < certain[2] - 1


@pytest.mark.parametrize("name", STARTERS)
def test_an_image_depends_on_its_seed_alone(name, classifier):
    """Also what its critic draws, and what it asks for."""
    targets = torch.randn(2, 128, generator=torch.Generator().manual_seed(0))
    by_cutouts = EmbeddingCritic("image", ExtractorEmbedder(classifier), targets, ("a", "b"), cutouts=3)
    made = bound(name, by_cutouts, 5.0, 4)
    together = drawn(made, 3, seed=7)
    for size in (1, 2):
        assert_close(drawn(made, 3, size, seed=7), together, 1e-4)
    assert_close(drawn(made, 1, seed=7, first=2), together[2:], 1e-4)
    assert not torch.equal(together, drawn(bound(name, by_cutouts, 0.0, 4), 3, seed=7))


@pytest.mark.parametrize("name", STARTERS)
def test_steps_are_told_and_stop_the_run(name, critic):
    made, told = bound(name, critic, 1.0, 3), []

    def on_step(done, preview=None):
        told.append(done)
        side = made.generator.descriptor.height
        assert preview is None or (preview.shape == (side, side, 3) and 0 <= preview.min() <= preview.max() <= 1)

    drawn(made, 2, on_step=on_step)
    assert told == sorted(told) and told[-1] == total_steps(made, 2)
    seen = []

    def stop(done, preview=None):
        seen.append(done)
        if len(seen) == 2:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        drawn(made, 2, on_step=stop)
    assert len(seen) == 2


@pytest.mark.parametrize("name", STARTERS)
def test_memory_is_foreseen(name, critic):
    made = bound(name, critic, 1.0, 1)
    for count in (1, 4):
        ratio = made.generator.memory_bytes(count) / peak_bytes(lambda count=count: drawn(made, count))
        print(f"{name}, {count}: {ratio:.2f}")
        assert 0.7 <= ratio <= 1.5


def test_a_vqgan_without_a_prior_begins_with_any_codes(tmp_path, classifier, critic):
    """As VQGAN-CLIP does; what it moves are vectors, in whose place the nearest codes are seen."""
    generator = load_generator(vqgan.tiny(tmp_path))
    made = Bound(guided(generator, critic, 1.0, 3, 0.05, 0.0))
    assert fitting_batch(made.generator, 1) == 1
    settings, wanted = generator.descriptor.options, noise.requests(2, 3, [Condition()])
    starts = generator.starts(wanted, settings)
    book = generator.modules[0].book
    rows = starts.values.movedim(1, -1).flatten(0, 2)
    assert (rows[:, None] == book).all(dim=2).any(dim=1).all()
    # Each as likely: of 16 codes over 32,768 places.
    counts = torch.bincount(torch.cdist(rows, book).argmin(dim=1), minlength=16)
    assert counts.min() > 0.9 * len(rows) / 16
    assert torch.equal(generator.starts(wanted[1:], settings).values[0], starts.values[1])


def test_derivatives_pass_straight_through_codes(tmp_path):
    """By the codes' vectors, at the latents that they stand for."""
    generator = load_generator(vqgan.tiny(tmp_path))
    coder = generator.modules[0]
    random = torch.Generator().manual_seed(0)
    latents = torch.randn(1, coder.book.shape[1], 4, 4, generator=random).requires_grad_()
    vectors = coder.vectors(coder.codes(latents)).detach().requires_grad_()
    weights = torch.randn(1, 3, 8, 8, generator=random)
    seen = coder.pictures(latents)
    assert_close(seen, coder.restored(vectors))
    (found,) = torch.autograd.grad((seen * weights).sum(), latents)
    (expected,) = torch.autograd.grad((coder.restored(vectors) * weights).sum(), vectors)
    torch.testing.assert_close(found, expected)
    assert found.abs().max() > 0


def test_it_tells_of_its_critic(critic, classifier):
    plain = starter("vae")
    made = guided(plain, critic, 2.0, 5, 0.05, 1.0)
    dog = guided(plain, ClassCritic(classifier, ["dog"]), 2.0, 5, 0.05, 1.0)
    assert len({plain.identity, made.identity, dog.identity}) == 3
    assert made.identity == guided(plain, critic, 2.0, 5, 0.05, 1.0).identity
    assert {*plain.files, *classifier.files} == {*made.files}
    (record,) = records_of(Bound(made), noise.requests(1, 0, [Condition()]))
    assert record["architecture"] == f"{plain.descriptor.architecture} guided by class"
    assert record["notes"][-1] == "class critic: log p of cat by starter emoji classifier"
    told = {"critic_strength": 2.0, "critic_steps": 5, "critic_step_size": 0.05, "total_variation": 1.0}
    assert told.items() <= record["settings"].items()
    assert made.descriptor.parameters == plain.descriptor.parameters + sum(
        weight.numel() for weight in classifier.network.parameters()
    )
    assert made.modules == (*plain.modules, *classifier.modules)


def test_its_strength_can_be_swept(critic):
    found = read_values("0, 1, 2.5", bound("ddpm", critic, 1.0), "critic_strength")
    assert [value for value, _ in found] == [0, 1, 2.5]
    assert [each.settings["critic_strength"] for _, each in found] == [0, 1, 2.5]
    steps = read_values("5, 10", bound("vae", critic, 1.0), "critic_steps")
    assert [type(each.settings["critic_steps"]) for _, each in steps] == [int, int]
    with pytest.raises(BadInput, match="critic_strength: -1"):
        read_values("-1, 1", bound("ddpm", critic, 1.0), "critic_strength")
    with pytest.raises(CannotDo, match="VAE has no critic_strength"):
        read_values("0, 1", Bound(starter("vae")), "critic_strength")


def test_variation_smooths(critic):
    def roughness(images):
        return float(images.diff(dim=1).square().mean() + images.diff(dim=2).square().mean())

    rough, smooth = (roughness(drawn(bound("vae", critic, 1.0, 30, variation=each), 2)) for each in (0.0, 1000.0))
    assert smooth < 0.7 * rough


def test_conditions_stay_the_generators(critic):
    made = bound("ddpm", critic, 1.0)
    assert made.with_conditions([Condition("fox")]).conditions[0].text == "fox"
    with pytest.raises(BadInput, match="has no class 'nobody'"):
        made.with_conditions([Condition("nobody")])


def test_what_cannot_be_guided(critic):
    with pytest.raises(CannotDo, match="it is guided already"):
        guided(bound("vae", critic, 1.0).generator, critic, 1.0, 5, 0.05, 0.0)
    for generator in (Images(from_batch(torch.rand(1, 4, 4, 3))), Toy()):
        with pytest.raises(CannotDo, match="have no derivatives; take a GAN"):
            guided(generator, critic, 1.0, 5, 0.05, 0.0)
    with pytest.raises(BadInput, match="steps: 0 is below the least possible, 1"):
        guided(starter("vae"), critic, 1.0, 0, 0.05, 0.0)
    with pytest.raises(BadInput, match="strength: -1 is below"):
        guided(starter("vae"), critic, -1.0, 1, 0.05, 0.0)


@pytest.mark.parametrize("family", [dcgan.FAMILY, DDPM])
def test_grey_pictures_and_other_families(family, tmp_path, critic):
    generator = load_generator(family.tiny(tmp_path))
    options = {"steps": 3} if "steps" in generator.descriptor.options else {}
    made = Bound(guided(generator, critic, 3.0, 2, 0.05, 0.0), options)
    found = drawn(made, 2)
    assert found.shape == (2, generator.descriptor.height, generator.descriptor.width, 3)
    assert not torch.equal(found, drawn(made._replace(options={**options, "critic_strength": 0.0}), 2))


def test_few_steps_keep_the_class_that_they_are_led_to(classifier):
    """The first of them have hardly any signal: led there too, log p falls from -0.0013 to -5.8 and -4.7."""
    for strength in (0.0, 1.0, 3.0):
        made = guided(starter("ddpm"), ClassCritic(classifier, ["cat"]), strength, 5, 0.1, 0.0)
        led = Bound(made, {"steps": 6, "sampler": "DDIM", **ALONE}, (Condition("cat"),))
        assert float(log_probabilities(classifier, drawn(led, 8, seed=11))[:, CAT].mean()) > -0.01
