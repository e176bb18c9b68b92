"""Classifier guidance: the classifier's numbers are its authors', and every step is steered as the paper says."""

import json

import pytest
import torch
from trilemma.models.errors import BadInput, CannotDo
from trilemma.models.files.catalog import STARTER_ROOT
from trilemma.models.generators import binding, noise
from trilemma.models.generators.base import Condition, Latents
from trilemma.models.generators.binding import Bound
from trilemma.models.generators.diffusion import guides
from trilemma.models.generators.diffusion.adm import classifier
from trilemma.models.generators.diffusion.adm.network import Classifier, Sizes, UNet
from trilemma.models.generators.diffusion.adm.process import LINEAR, SpacedSampler, betas_of, respaced
from trilemma.models.generators.diffusion.classifiers import CLASSIFIERS
from trilemma.models.generators.diffusion.guides import Guide
from trilemma.models.generators.loading import load_generator
from trilemma.models.random_weights import random_weights
from trilemma.tests import reference_kit
from trilemma.tests.closeness import assert_close, is_close

pytestmark = pytest.mark.slow

SIDE = 16
CLASSES = 3


@torch.no_grad()
def test_the_classifier_answers_as_its_reference(tmp_path):
    case = reference_kit.case("guided_diffusion", "golden_classifier")
    torch.save(reference_kit.weights(case), tmp_path / "64x64_classifier.pt")
    guide = CLASSIFIERS.load(tmp_path / "64x64_classifier.pt")
    assert (guide.side, guide.num_classes) == (64, 1000)
    given = {name: torch.from_numpy(value) for name, value in reference_kit.inputs(case).items()}
    reference_kit.compare(case, {"logits": guide.network(given["x"], given["t"])}, atol=1e-5)
    each = torch.cat([guide.log_probabilities(given["x"][row, None], given["t"][row]) for row in (0, 1)])
    expected = torch.from_numpy(reference_kit.golden(case)["logits"]).log_softmax(dim=1)
    assert_close(each, expected)


class Quadratic(Guide):
    """Likelier the nearer all numbers are to the label: log p = -(x - label)^2 / 2, summed; of noise it says little."""

    name, identity, num_classes, modules = "quadratic", "q", CLASSES, ()

    def __init__(self) -> None:
        self.seen = []

    def log_probabilities(self, pictures, time):
        self.seen.append((pictures.detach().clone(), float(time)))
        targets = torch.arange(self.num_classes, dtype=torch.float32)
        return -((pictures.flatten(1)[:, None] - targets[:, None]) ** 2).sum(dim=2) / 2 * self.weight(time)

    def weight(self, time):
        return (1 - float(time) / 1000) ** 4

    def memory_bytes(self, batch_size):
        return 0


def test_the_gradient_is_that_of_the_label():
    x, labels = torch.randn(3, 3, 4, 4), torch.tensor([2, 0, 1])
    found = guides.gradient(Quadratic(), x, torch.tensor([0.0]), labels)
    assert_close(found, labels.view(3, 1, 1, 1) - x)
    assert not found.requires_grad
    with torch.inference_mode():
        again = guides.gradient(Quadratic(), x * 1, torch.tensor([0.0]), labels * 1)
    assert_close(again, found)


@pytest.mark.parametrize("ancestral", [True, False])
def test_steps_are_steered_as_the_paper_says(ancestral):
    """Algorithm 1: the mean lies higher by the variance times the gradient. Algorithm 2: DDIM of the noise less the
    root of its variance times the gradient, with what is foreseen from that."""
    betas, times = betas_of(LINEAR, 1000), respaced(1000, "ddim25")
    x, output = torch.randn(1, 3, 4, 4), torch.randn(1, 6, 4, 4)
    risen = torch.randn(1, 3, 4, 4)
    place = 12
    time = torch.tensor(times[place])
    plain, steered = (SpacedSampler(betas, times, ancestral) for _ in range(2))
    steered.gradient = lambda latents, at: risen
    found = []
    for each in (plain, steered):
        found.append(each.step(output, time, x, [torch.Generator().manual_seed(0)]).prev_sample)
    moments = plain.moments(output, place, x)
    if ancestral:
        assert_close(found[1] - found[0], moments.log_variance.exp() * risen, 1e-4)
        return
    signal, before = float(plain.alphas_cumprod[times[place]]), float(plain.alphas_cumprod[times[place - 1]])
    of_noise = (x - signal**0.5 * moments.foreseen) / (1 - signal) ** 0.5 - (1 - signal) ** 0.5 * risen
    foreseen = (x - (1 - signal) ** 0.5 * of_noise) / signal**0.5
    assert_close(found[1], before**0.5 * foreseen + (1 - before) ** 0.5 * of_noise)


def generator_of(tmp_path, classes=CLASSES):
    """Guided diffusion of SIDE pixels, that foresees pictures."""
    sizes = Sizes(32, (32, 64), 1, (False, True), classes=classes, head_channels=32)
    (tmp_path / "generator").mkdir(exist_ok=True)
    torch.save(random_weights(UNet(sizes)), tmp_path / "generator" / "model.pt")
    told = {"image_size": SIDE, "num_channels": 32, "num_head_channels": 32, "use_new_attention_order": True}
    (tmp_path / "generator" / "config.json").write_text(json.dumps({**told, "predict_xstart": True}))
    return load_generator(tmp_path / "generator" / "model.pt")


def drawn(generator, condition="", count=2, batch_size=2, **options):
    bound = Bound(generator).with_options("diffusion", {"steps": 4, **options})
    bound = bound.with_conditions([Condition(condition)])
    return torch.cat([batch.images for batch in binding.sample(bound, count, 3, batch_size)])


@pytest.mark.parametrize("sampler", ["DDPM", "DDIM", "Euler", "DPM-Solver++ 2M"])
def test_the_more_scale_the_nearer_to_what_the_guide_likes(sampler):
    """The starter by every sampler: the guide likes the picture white, where all numbers are those of the label, 1."""
    plain = load_generator(STARTER_ROOT / "emoji_ddpm")
    guide = Quadratic()
    guide.num_classes = plain.descriptor.num_classes
    steered = plain.with_guide(guide, 0.0)
    means = [
        float(drawn(steered, "1", count=1, sampler=sampler, guidance_scale=1.0, classifier_scale=scale).mean())
        for scale in (0.0, 0.02, 0.1)
    ]
    assert means[0] < means[1] < means[2]


@pytest.mark.parametrize("sampler", ["DDPM", "DDIM", "Euler", "DPM-Solver++ 2M"])
def test_each_sample_is_steered_by_itself(tmp_path, sampler):
    """The network that has no classes takes the guide's; scale 0 leaves it as it is."""
    plain = generator_of(tmp_path, classes=0)
    steered = plain.with_guide(Quadratic(), 0.5)
    assert (steered.descriptor.num_classes, plain.descriptor.num_classes) == (CLASSES, 0)
    # Noise is divided by the root of what signal there is, and so is every rounding.
    assert_close(drawn(steered, "1", sampler=sampler, batch_size=1), drawn(steered, "1", sampler=sampler), 2e-3)
    assert_close(drawn(steered, "2", sampler=sampler, classifier_scale=0.0), drawn_plain(plain, sampler))


def drawn_plain(generator, sampler):
    bound = Bound(generator).with_options("diffusion", {"steps": 4, "sampler": sampler})
    # A guided sample draws its class first.
    requests = noise.requests(2, 3, bound.conditions)
    if sampler == "DDPM":
        return drawn(generator.with_guide(Quadratic(), 0.0), "2", sampler=sampler)
    streams = noise.generators(requests)
    for stream in streams:
        torch.randint(CLASSES, (1,), generator=stream)
    start = Latents(noise.normal(streams, generator.latent_shape), "z", generator.identity)
    with torch.no_grad():
        return generator.decode(start, requests, bound.settings)


def test_guides_are_told_the_time(tmp_path):
    guide = Quadratic()
    drawn(generator_of(tmp_path).with_guide(guide, 1e-9), "1", sampler="DDIM", respacing="ddim4")
    assert [time for _, time in guide.seen] == [750, 500, 250, 0]


def test_files_identity_memory_and_notes_are_of_both(tmp_path):
    plain = generator_of(tmp_path)
    folder = tmp_path / "guide"
    folder.mkdir()
    made = Classifier(classifier.tiny_sizes(), 8)
    torch.save(random_weights(made), folder / "a.pt")
    torch.save(random_weights(made, 1), folder / "b.pt")
    first, second = (CLASSIFIERS.load(folder / name) for name in ("a.pt", "b.pt"))
    steered = [plain.with_guide(guide, 1.0) for guide in (first, second)]
    assert len({plain.identity, *(each.identity for each in steered)}) == 3
    assert steered[0].identity == plain.with_guide(first, 2.0).identity
    assert steered[0].files == (*plain.files, folder / "a.pt")
    assert steered[0].notes == (*plain.notes, "steered by a.pt")
    assert steered[0].modules == (*plain.modules, *first.modules)
    assert steered[0].memory_bytes(8) >= max(plain.memory_bytes(8), first.memory_bytes(8))
    assert steered[0].descriptor.options["classifier_scale"] == 1.0
    assert not is_close(drawn(steered[0], "1"), drawn(steered[1], "1"), 1e-3)
    with torch.inference_mode():
        under = drawn(steered[0], "1")
    assert_close(under, drawn(steered[0], "1"))


def test_what_does_not_fit_is_refused(tmp_path):
    plain = generator_of(tmp_path)
    guide = Quadratic()
    with pytest.raises(CannotDo, match="steered by quadratic already"):
        plain.with_guide(guide, 1.0).with_guide(guide, 1.0)
    guide.side = 64
    with pytest.raises(BadInput, match="coloured pictures of 64 pixels, the generator draws 16 x 16"):
        plain.with_guide(guide, 1.0)
    guide.side, guide.num_classes = 0, 10
    with pytest.raises(BadInput, match="knows 10 classes, the generator 3"):
        plain.with_guide(guide, 1.0)
    latent = load_generator(STARTER_ROOT / "emoji_inpainter")
    with pytest.raises(CannotDo, match="denoises no pixels"):
        latent.with_guide(Quadratic(), 1.0)


def test_classes_are_matched_by_name():
    guide = Quadratic()
    guide.class_names = ("cat", "dog", "heart")
    names = ("heart", "cat")
    assert guides.places_of(guide, names, 2).tolist() == [guide.class_names.index(name) for name in names]
    with pytest.raises(BadInput, match="knows no class 'unicorn'"):
        guides.places_of(guide, ("unicorn",), 1)
