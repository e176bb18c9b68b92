"""EDM: its networks, their scaling and its sampler beside the numbers of its authors' code, and published layouts."""

import json

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from trilemma.models.errors import BadCheckpoint, BadInput, CannotDo
from trilemma.models.files.checkpoints import Checkpoint
from trilemma.models.generators import binding, loading, noise
from trilemma.models.generators.base import Condition
from trilemma.models.generators.binding import Bound
from trilemma.models.generators.diffusion.edm import files, preconditioning, process
from trilemma.models.generators.diffusion.edm.generator import FIRST_ORDER, USUAL, EdmGenerator, load
from trilemma.models.generators.diffusion.edm.network import Sizes, UNet
from trilemma.models.steps import within
from trilemma.models.weights import empty_weights
from trilemma.tests import reference_kit
from trilemma.tests.closeness import assert_close
from trilemma.tests.peak_memory import peak_bytes

pytestmark = pytest.mark.slow

SYSTEM = "edm"
TOLD = {
    "vp": {"sigma_data": 0.5, "sigma_min": 0, "sigma_max": float("inf")},
    "ve": {"sigma_min": 0.02, "sigma_max": 100},
    "skip": {"beta_d": 19.9, "beta_min": 0.1, "epsilon_t": 1e-5, "M": 1000, "sigma_min": 0.001, "sigma_max": 152.2},
    "adm": {"sigma_data": 0.5, "sigma_min": 0, "sigma_max": float("inf")},
    "iddpm": {"C_1": 0.001, "C_2": 0.008, "M": 100, "sigma_min": 0.1, "sigma_max": 150},
}
"""What a snapshot of each small network says of itself."""


@pytest.fixture(scope="module", params=TOLD)
def small(request):
    """A case, its inputs, and the generator of its snapshot."""
    case = reference_kit.case(SYSTEM, f"golden_small_{request.param}")
    given = {name: torch.from_numpy(np.asarray(value)) for name, value in reference_kit.inputs(case).items()}
    tensors = reference_kit.weights(case)
    names = [entry.name for entry in reference_kit.manifest(SYSTEM, case["manifest"])]
    tensors |= {name: given["filter"] for name in names if name.endswith("resample_filter")}
    tensors |= {"u": given["u"]} if "u" in names else {}
    return case, given, load(Checkpoint(tensors, {}, values=TOLD[request.param]))


@torch.no_grad()
def test_it_answers_as_its_reference(small):
    """Networks of five kinds as their classes scale them; Heun's method, with churn and without; Euler's."""
    case, given, generator = small
    labels = given["y"] if generator.descriptor.num_classes else None
    denoise = generator._network(labels, (), False, 1)
    levels = given["sigma"].tolist()
    assert [generator.scaled.rounded(level) for level in levels] == levels
    answers = {
        "denoised": torch.cat([denoise(given["x"] * level, level)[row : row + 1] for row, level in enumerate(levels)])
    }
    churned = {"s_churn": 2.0, "s_tmin": 0.05, "s_tmax": 50.0, "s_noise": 1.003, "sigma_min": 0.01, "sigma_max": 60.0}
    for name, changes in (
        ("heun", {"steps": 4}),
        ("churned", {"steps": 5, "rho": 5.0, **churned}),
        ("euler", {"steps": 4, "sampler": FIRST_ORDER}),
    ):
        settings = generator._settings({**generator.descriptor.options, **changes})
        generators = [torch.Generator().manual_seed(seed) for seed in given["seeds"].tolist()]
        start = given["start"].double()
        answers[name] = process.run(denoise, generator.scaled, settings, start, generators, lambda calls, clean: None)
    print(reference_kit.compare(case, answers))


PUBLISHED = {
    "manifest.json": (32, 10, False, "standard", 18, 0.0),
    "manifest_cifar10_uncond_ve.json": (32, 0, False, "residual", 18, 0.0),
    "manifest_ffhq_uncond_vp.json": (64, 0, False, "standard", 40, 0.0),
    "manifest_imagenet_cond_adm.json": (64, 1000, True, "standard", 256, 40.0),
}
"""Side, classes, whether it is ADM, its encoder, and what its authors advise: steps and churn."""


@pytest.mark.parametrize("file", PUBLISHED)
def test_every_tensor_of_the_published_files_is_known(file):
    entries = reference_kit.manifest(SYSTEM, file)
    tensors = {entry.name: torch.empty(entry.shape, device="meta") for entry in entries}
    claimed = [each.name for each in loading.GENERATORS.families if each.detect(Checkpoint(tensors, {}))]
    assert claimed == ["EDM"]
    own = files.network_tensors(tensors)
    sizes = files.sizes_of(own)
    with empty_weights():
        network = UNet(sizes)
    assert {name: value.shape for name, value in network.state_dict().items()} == {
        name: value.shape for name, value in own.items()
    }
    options = EdmGenerator(network, preconditioning.Edm(), "x").descriptor.options
    found = (sizes.side, sizes.labels, sizes.adm, sizes.encoder, options["steps"], options["s_churn"])
    assert found == PUBLISHED[file]


@pytest.fixture
def path(tmp_path):
    return files.tiny(tmp_path)


def pictures(generator, *texts, **options):
    conditions = tuple(map(Condition, texts)) or (Condition(),)
    bound = Bound(generator, {"steps": 3, **options}, conditions)
    return torch.cat([batch.images for batch in binding.sample(bound, 2, 7, 1)])


@torch.no_grad()
def test_options_count(path):
    generator = loading.load_generator(path)
    assert isinstance(generator, EdmGenerator)
    one = pictures(generator, "0")
    changes = [{"sampler": FIRST_ORDER}, {"s_churn": 1.0}, {"rho": 2.0}, {"sigma_max": 5.0}, {"sigma_min": 0.5}]
    for each in changes:
        assert (pictures(generator, "0", **each) - one).abs().max() > 1e-4, each
    assert (pictures(generator, "1") - one).abs().max() > 1e-4
    churned = pictures(generator, "0", s_churn=1.0)
    assert (pictures(generator, "0", s_churn=1.0, s_noise=0.5) - churned).abs().max() > 1e-4
    assert_close(pictures(generator, "0", s_churn=1.0, s_tmin=90.0), one)
    assert_close(pictures(generator, "0", s_churn=1.0, s_tmax=0.0), one)
    # A latent is decoded without churn, as the sample that it begins without.
    bound = Bound(generator, {"steps": 3, "s_churn": 1.0}, (Condition("0"),))
    requests = noise.requests(2, 7, bound.conditions)
    start = generator.latents(requests, bound.settings)
    assert_close(generator.decode(start, requests, bound.settings), one)


def test_options_that_make_no_sense_are_refused(path):
    generator = loading.load_generator(path)
    for name in USUAL:
        with pytest.raises(BadInput, match=name):
            pictures(generator, **{name: -0.5})
    with pytest.raises(BadInput, match=r"sigma_min: 3 to sigma_max 2"):
        pictures(generator, sigma_min=3.0, sigma_max=2.0)
    with pytest.raises(CannotDo, match="Heun's method"):
        pictures(generator, sampler="DDIM")
    with pytest.raises(CannotDo, match="critic"):
        generator.with_guide(generator, 1.0)  # pyright: ignore


def test_a_run_asks_as_often_as_it_says(path):
    """Twice in every step but the last; a single step is one call."""
    generator = loading.load_generator(path)
    for options, calls in (({"steps": 3}, 5), ({"steps": 1}, 1), ({"steps": 4, "sampler": FIRST_ORDER}, 4)):
        bound, told = Bound(generator, options), []
        list(binding.sample(bound, 1, 7, 1, lambda done, preview=None, told=told: told.append(done)))
        assert told[-1] == len(told) == calls == binding.total_steps(bound, 1)


def test_a_long_step_can_be_stopped_within(path, monkeypatch):
    generator, heard = loading.load_generator(path), []
    monkeypatch.setattr("trilemma.models.steps.HEARD_EVERY", 0.0)
    with within(generator.modules, lambda: heard.append(1)):
        pictures(generator, steps=1)
    assert len(heard) > 2 * len([*generator.modules[0].get_submodule("enc").children()])


@torch.no_grad()
def test_a_critic_leads_it(path):
    """Towards what it scores higher: here, bright pictures."""
    generator = loading.load_generator(path)
    assert isinstance(generator, EdmGenerator)
    bound = Bound(generator, {"steps": 6, "sigma_max": 3.0}, (Condition("0"),))
    plain = pictures(generator, "0", steps=6, sigma_max=3.0)
    requests = noise.requests(2, 7, bound.conditions)
    led = generator.draw_steered(requests, bound.settings, lambda *told: None, lambda made: -made.mean((1, 2, 3)) * 500)
    assert (led.mean((1, 2, 3)) > plain.mean((1, 2, 3)) + 0.01).all()


@torch.no_grad()
def test_attention_holds_no_table_of_weights():
    """Of 1,024 places and 64 channels it would be 1 million numbers, more than all else."""
    sizes = Sizes(32, 3, 3, 64, (64, 64), 1, (True, True), 64, 64, adm=True)
    generator = EdmGenerator(UNet(sizes).train(False), preconditioning.Edm(), "x")
    bound = Bound(generator, {"steps": 1})
    peak = peak_bytes(lambda: list(binding.sample(bound, 1, 7, 1)))
    assert 0.7 <= generator.memory_bytes(1) / peak <= 1.5


def test_scaling_is_what_the_file_says(path, tmp_path):
    """EDM's own, unless a configuration beside it has the names of another."""
    generator = loading.load_generator(path)
    assert isinstance(generator, EdmGenerator)
    assert isinstance(generator.scaled, preconditioning.Edm)
    (path.parent / "config.json").write_text(json.dumps({"sigma_min": 0.02, "sigma_max": 100}))
    other = loading.load_generator(path)
    assert isinstance(other, EdmGenerator)
    assert isinstance(other.scaled, preconditioning.VarianceExploding)
    assert other.identity != generator.identity
    assert (pictures(other) - pictures(generator)).abs().max() > 1e-4


def test_other_channels_are_refused(path):
    tensors = load_file(path)
    name = "model.enc.16x16_conv.weight"
    torch.save({**tensors, name: torch.zeros(32, 4, 3, 3)}, path.with_suffix(".pt"))
    with pytest.raises(BadCheckpoint, match="takes 4 channels and gives 3"):
        loading.load_generator(path.with_suffix(".pt"))
