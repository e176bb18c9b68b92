"""diffusers' pipelines that draw from prompts: what the adapter draws is what their own calls draw."""

import json
import shutil
from functools import cache
from typing import Any, NamedTuple

import pytest
import torch
from trilemma.models.errors import BadCheckpoint, CannotDo
from trilemma.models.generators import noise
from trilemma.models.generators.base import Condition, Generator
from trilemma.models.generators.diffusion.pipeline_families import FAMILIES
from trilemma.models.generators.loading import load_generator
from trilemma.tests.closeness import assert_close
from trilemma.tests.generators.diffusion import tiny_diffusion as tiny

pytestmark = pytest.mark.slow

SEED = 7
CLOSE = 1e-4
"""Of the largest value: guidance by 4 in four steps makes roundings larger."""


class Own(NamedTuple):
    """How a pipeline's own call is asked for what the adapter draws.

    size: pixels. negative: whether it takes a negative prompt. call: further arguments.
    """

    size: int
    call: dict[str, Any] = {}
    negative: bool = True
    made: dict[str, Any] = {}


OWN = {
    "PixArtAlphaPipeline": Own(16, {"use_resolution_binning": False}),
    "PixArtSigmaPipeline": Own(16, {"use_resolution_binning": False}),
    "IFPipeline": Own(16, made={"safety_checker": None, "feature_extractor": None, "watermarker": None}),
    "CogView3PlusPipeline": Own(16),
}
NAMES = [family.name for family in FAMILIES]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    @cache
    def of(name: str):
        family = next(family for family in FAMILIES if family.name == name)
        return family.tiny(tmp_path_factory.mktemp(name))

    return of


def own_pictures(name: str, folder, text: str, negative: str, seed: int, **options) -> torch.Tensor:
    """What diffusers loads and draws by itself, with one generator."""
    import diffusers

    made = getattr(diffusers, name).from_pretrained(str(folder), local_files_only=True, **OWN[name].made)
    made.set_progress_bar_config(disable=True)
    for part in ("tokenizer", "tokenizer_2"):
        tokenizer = getattr(made, part, None)
        if tokenizer is not None and "CLIP" in type(tokenizer).__name__:
            tokenizer.model_max_length = 12  # which published folders say
    if OWN[name].negative:
        options["negative_prompt"] = negative
    pictures = made(
        prompt=text,
        generator=torch.Generator().manual_seed(seed),
        output_type="np",
        **options,
        **OWN[name].call,
    ).images
    return torch.from_numpy(pictures)


def options_of(name: str, generator: Generator) -> dict[str, Any]:
    """Steps, and guidance where it has any, as both are asked."""
    return {"steps": 4, **({"guidance_scale": 4.0} if "guidance_scale" in generator.descriptor.options else {})}


def as_called(name: str, options: dict[str, Any]) -> dict[str, Any]:
    return {{"steps": "num_inference_steps"}.get(option, option): value for option, value in options.items()}


@pytest.mark.parametrize("negative", ["", "dog"])
@pytest.mark.parametrize("name", NAMES)
def test_one_sample_is_what_the_pipeline_draws(folder, name, negative):
    if negative and not OWN[name].negative:
        pytest.skip("it takes no negative prompt")
    generator = load_generator(folder(name))
    options = options_of(name, generator)
    expected = own_pictures(name, folder(name), "red cat", negative, SEED, **as_called(name, options))
    found = tiny.images(tiny.bound(generator, ["red cat"], negative, **options), 1, seed=SEED)
    assert found.shape[1:3] == (OWN[name].size,) * 2
    assert_close(found, expected, CLOSE)


@pytest.mark.parametrize("name", NAMES)
def test_no_sample_depends_on_the_batch(folder, name):
    """Of prompts of unlike lengths."""
    generator = load_generator(folder(name))
    texts = ["cat", "a red cat and a blue dog that sits beside it", ""]
    bound = tiny.bound(generator, texts, **options_of(name, generator))
    alone = tiny.images(bound, 4, seed=SEED, batch_size=1)
    assert_close(tiny.images(bound, 4, seed=SEED, batch_size=4), alone, CLOSE)
    later = tiny.images(bound, 1, seed=SEED + 3, batch_size=1)
    assert_close(later, alone[3:], CLOSE)


@pytest.mark.parametrize("name", NAMES)
def test_latents_decode_to_what_is_drawn(folder, name):
    generator = load_generator(folder(name))
    if "decode" not in generator.descriptor.abilities:
        pytest.skip("it takes no latents")
    bound = tiny.bound(generator, ["cat"], **options_of(name, generator))
    requests = noise.requests(2, SEED, bound.conditions)
    with torch.no_grad():
        latents = generator.latents(requests, bound.settings)
        decoded = generator.decode(latents, requests, bound.settings)
    assert_close(decoded, tiny.images(bound, 2, seed=SEED), CLOSE)


@pytest.mark.parametrize("name", NAMES)
def test_half_precision_draws_about_the_same(folder, name):
    generator = load_generator(folder(name), lambda parameters: torch.bfloat16)
    options = {**options_of(name, generator), "steps": 2}
    if "guidance_scale" in options:
        options["guidance_scale"] = 1.0  # more makes roundings larger
    drawn = tiny.images(tiny.bound(generator, ["cat"], **options), 1, seed=SEED)
    full = tiny.images(tiny.bound(load_generator(folder(name)), ["cat"], **options), 1, seed=SEED)
    assert next(generator.modules[0].parameters()).dtype == torch.bfloat16
    assert (drawn - full).abs().mean() < 0.05


@pytest.mark.parametrize("name", NAMES)
def test_what_it_has_never_learned_is_refused(folder, name):
    generator = load_generator(folder(name))
    if OWN[name].negative:
        generator.check_condition(Condition("cat", "dog"))
    else:
        with pytest.raises(CannotDo, match="negative_prompt"):
            generator.check_condition(Condition("cat", "dog"))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"_class_name": "WuerstchenPipeline"}, "the model 'WuerstchenPipeline'; .* PixArtAlphaPipeline"),
        ({"transformer": ["diffusers", "UNet1DModel"]}, "its transformer is a UNet1DModel"),
        ({"vae": [None, None]}, "names no vae"),
        ({"scheduler": ["diffusers", "HeunDiscreteScheduler"]}, "its scheduler is a HeunDiscreteScheduler"),
    ],
)
def test_other_folders_are_refused_by_name(folder, tmp_path, changes, words):
    copied = shutil.copytree(folder("PixArtAlphaPipeline"), tmp_path / "model")
    index = json.loads((copied / "model_index.json").read_text())
    (copied / "model_index.json").write_text(json.dumps({**index, **changes}))
    with pytest.raises(BadCheckpoint, match=words):
        load_generator(copied)


def test_code_is_refused(folder, tmp_path):
    copied = shutil.copytree(folder("PixArtAlphaPipeline"), tmp_path / "model")
    (copied / "transformer" / "mine.py").write_text("raise SystemExit")
    with pytest.raises(BadCheckpoint, match=r"holds code \(transformer/mine.py\)"):
        load_generator(copied)
