"""diffusers' pipelines that draw from prompts: what the adapter draws is what their own calls draw."""

import json
import shutil
from dataclasses import replace
from functools import cache
from typing import Any, NamedTuple

import pytest
import torch
from trilemma.models.errors import BadCheckpoint, CannotDo, MissingFile
from trilemma.models.generators import noise
from trilemma.models.generators.base import Condition, Generator
from trilemma.models.generators.conditions import image_conditions
from trilemma.models.generators.diffusion.pipeline_families import FAMILIES
from trilemma.models.generators.diffusion.pipeline_parts import text_projection
from trilemma.models.generators.diffusion.pipelines_by_prior import CLIP_DEVIATION, CLIP_MEAN
from trilemma.models.generators.diffusion.tiny_pipelines import write_flux
from trilemma.models.generators.loading import load_generator
from trilemma.models.weights import full_precision
from trilemma.tests.closeness import are_distinct, assert_close
from trilemma.tests.generators.diffusion import tiny_diffusion as tiny

pytestmark = pytest.mark.slow

SEED = 7
CLOSE = 1e-4
"""Of the largest value: guidance by 4 in four steps makes roundings larger."""


class Own(NamedTuple):
    """How a pipeline's own call is asked for what the adapter draws.

    size: pixels. call, made: further arguments, of the pipeline itself too. negative: whether it takes a negative
    prompt. smooth: whether a small change of weights changes pictures little.
    """

    size: int
    call: dict[str, Any] = {}
    negative: bool = True
    made: dict[str, Any] = {}
    smooth: bool = True


OWN = {
    "PixArtAlphaPipeline": Own(16, {"use_resolution_binning": False}),
    "PixArtSigmaPipeline": Own(16, {"use_resolution_binning": False}),
    "IFPipeline": Own(16, made={"safety_checker": None, "feature_extractor": None, "watermarker": None}),
    "CogView3PlusPipeline": Own(16),
    "StableDiffusion3Pipeline": Own(16),
    "FluxPipeline": Own(32, {"height": 32, "width": 32}, negative=False),
    "AmusedPipeline": Own(16, smooth=False),
    "CogView4Pipeline": Own(16),
    "UnCLIPPipeline": Own(16, negative=False, smooth=False),
    "KandinskyV22Pipeline": Own(16, {"height": 16, "width": 16}),
    "KandinskyV22CombinedPipeline": Own(16, {"height": 16, "width": 16}),
}
WITHOUT_NEGATIVE = ("CogView3PlusPipeline", "KandinskyV22Pipeline", "KandinskyV22CombinedPipeline")
"""Where an empty negative prompt is not the same as none."""
NAMES = [family.name for family in FAMILIES]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    @cache
    def of(name: str):
        family = next(family for family in FAMILIES if family.name == name)
        return family.tiny(tmp_path_factory.mktemp(name))

    return of


def load(path, dtype_for=full_precision) -> Generator:
    """A generator of small pictures, where the pipeline has a size of its own."""
    generator = load_generator(path, dtype_for)
    described, size = generator.descriptor, OWN[json.loads((path / "model_index.json").read_text())["_class_name"]].size
    if described.height > size:
        scale = described.height // described.latent_shape[1]
        shape = (described.latent_shape[0], size // scale, size // scale)
        generator.descriptor = replace(described, height=size, width=size, latent_shape=shape)
    return generator


def own_pictures(name: str, folder, text: str, negative: str, seed: int, without=(), **options) -> torch.Tensor:
    """What diffusers loads and draws by itself, with one generator."""
    by_parts = {"UnCLIPPipeline": unclip, "KandinskyV22Pipeline": kandinsky, "KandinskyV22CombinedPipeline": kandinsky}
    made = by_parts[name](folder) if name in by_parts else from_folder(name, folder, without)
    made.set_progress_bar_config(disable=True)
    if OWN[name].negative and (negative or name not in WITHOUT_NEGATIVE):
        options["negative_prompt"] = negative
    pictures = made(
        prompt=text,
        generator=torch.Generator().manual_seed(seed),
        output_type="np",
        **options,
        **OWN[name].call,
    ).images
    return torch.from_numpy(pictures)


def from_folder(name: str, folder, without=()):
    import diffusers

    given = {**OWN[name].made, **dict.fromkeys(without)}
    made = getattr(diffusers, name).from_pretrained(str(folder), local_files_only=True, **given)
    return made


def unclip(folder):
    """The pipeline of diffusers, which no longer finds all parts of a published folder by itself (0.42)."""
    import diffusers
    import transformers

    index, parts = json.loads((folder / "model_index.json").read_text()), {}
    for part, named in index.items():
        if isinstance(named, list):
            library = transformers if named[0] == "transformers" else diffusers
            made = text_projection() if part == "text_proj" else getattr(library, named[1])
            parts[part] = made.from_pretrained(str(folder / part), local_files_only=True)
    return diffusers.UnCLIPPipeline(**parts)


def kandinsky(folder):
    """The combined pipeline of diffusers, of parts that diffusers loads."""
    import diffusers
    import transformers

    own, prior = (folder, "prior_") if folder.name == "tiny" else (folder.parent / "tiny-prior", "")
    local = {"local_files_only": True}

    def part(name: str, library, made: str):
        return getattr(library, made).from_pretrained(str(own / f"{prior}{name}"), **local)

    parts = {
        "prior_prior": part("prior", diffusers, "PriorTransformer"),
        "prior_image_encoder": part("image_encoder", transformers, "CLIPVisionModelWithProjection"),
        "prior_text_encoder": part("text_encoder", transformers, "CLIPTextModelWithProjection"),
        "prior_tokenizer": part("tokenizer", transformers, "CLIPTokenizerFast"),
        "prior_scheduler": part("scheduler", diffusers, "UnCLIPScheduler"),
        "prior_image_processor": None,
        "unet": diffusers.UNet2DConditionModel.from_pretrained(str(folder / "unet"), **local),
        "movq": diffusers.VQModel.from_pretrained(str(folder / "movq"), **local),
        "scheduler": diffusers.DDIMScheduler.from_pretrained(str(folder / "scheduler"), **local),
    }
    return diffusers.KandinskyV22CombinedPipeline(**parts)


def options_of(name: str, generator: Generator) -> dict[str, Any]:
    """Steps, and guidance where it has any, as both are asked."""
    return {"steps": 4, **({"guidance_scale": 4.0} if "guidance_scale" in generator.descriptor.options else {})}


def as_called(name: str, options: dict[str, Any]) -> dict[str, Any]:
    words = {"steps": "num_inference_steps"}
    if name == "UnCLIPPipeline":
        words = {"steps": "decoder_num_inference_steps", "guidance_scale": "decoder_guidance_scale"}
    return {words.get(option, option): value for option, value in options.items()}


@pytest.mark.parametrize("negative", ["", "dog"])
@pytest.mark.parametrize("name", NAMES)
def test_one_sample_is_what_the_pipeline_draws(folder, name, negative):
    if negative and not OWN[name].negative:
        pytest.skip("it takes no negative prompt")
    generator = load(folder(name))
    options = options_of(name, generator)
    expected = own_pictures(name, folder(name), "red cat", negative, SEED, **as_called(name, options))
    found = tiny.images(tiny.bound(generator, ["red cat"], negative, **options), 1, seed=SEED)
    assert found.shape[1:3] == (OWN[name].size,) * 2
    assert_close(found, expected, CLOSE)


@pytest.mark.parametrize("name", NAMES)
def test_no_sample_depends_on_the_batch(folder, name):
    """Of prompts of unlike lengths."""
    generator = load(folder(name))
    texts = ["cat", "a red cat and a blue dog that sits beside it", ""]
    bound = tiny.bound(generator, texts, **options_of(name, generator))
    alone = tiny.images(bound, 4, seed=SEED, batch_size=1)
    assert_close(tiny.images(bound, 4, seed=SEED, batch_size=4), alone, CLOSE)
    later = tiny.images(bound, 1, seed=SEED + 3, batch_size=1)
    assert_close(later, alone[3:], CLOSE)


@pytest.mark.parametrize("name", NAMES)
def test_latents_decode_to_what_is_drawn(folder, name):
    generator = load(folder(name))
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
    if not OWN[name].smooth:
        pytest.skip("what is rounded otherwise draws other codes, or a CPU has no such operation")
    generator = load(folder(name), lambda parameters: torch.bfloat16)
    options = {**options_of(name, generator), "steps": 2}
    if "guidance_scale" in options:
        options["guidance_scale"] = 1.0  # more makes roundings larger
    drawn = tiny.images(tiny.bound(generator, ["cat"], **options), 1, seed=SEED)
    full = tiny.images(tiny.bound(load(folder(name)), ["cat"], **options), 1, seed=SEED)
    assert next(generator.modules[0].parameters()).dtype == torch.bfloat16
    assert (drawn - full).abs().mean() < 0.05


@pytest.mark.parametrize("name", NAMES)
def test_what_it_has_never_learned_is_refused(folder, name):
    generator = load(folder(name))
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


def test_flux_without_its_own_guidance_takes_negative_prompts(tmp_path):
    """As schnell is published."""
    path = write_flux(tmp_path, guidance=False)
    generator = load(path)
    assert generator.descriptor.options == {"steps": 4, "guidance_scale": 1.0}
    asked = {"num_inference_steps": 4, "true_cfg_scale": 3.0, "negative_prompt": "dog", "max_sequence_length": 256}
    expected = own_pictures("FluxPipeline", path, "red cat", "", SEED, **asked)
    found = tiny.images(tiny.bound(generator, ["red cat"], "dog", guidance_scale=3.0), 1, seed=SEED)
    assert_close(found, expected, CLOSE)


def test_stable_diffusion_3_draws_without_t5(folder, tmp_path):
    copied = shutil.copytree(folder("StableDiffusion3Pipeline"), tmp_path / "model")
    index = json.loads((copied / "model_index.json").read_text())
    parts = ("text_encoder_3", "tokenizer_3")
    for part in parts:
        shutil.rmtree(copied / part)
        index[part] = [None, None]
    (copied / "model_index.json").write_text(json.dumps(index))
    expected = own_pictures("StableDiffusion3Pipeline", copied, "cat", "", SEED, parts, num_inference_steps=4)
    assert_close(tiny.images(tiny.bound(load(copied), ["cat"], steps=4), 1, seed=SEED), expected, CLOSE)


def test_kandinsky_draws_what_clip_sees_in_an_image(folder):
    path = folder("KandinskyV22Pipeline")
    own, image = kandinsky(path), torch.rand(1, 16, 16, 3, generator=torch.Generator().manual_seed(1))
    mean, deviation = (torch.tensor(each)[:, None, None] for each in (CLIP_MEAN, CLIP_DEVIATION))
    with torch.no_grad():
        seen = own.prior_image_encoder((image.movedim(-1, 1) - mean) / deviation).image_embeds
        nothing = own.prior_pipe.get_zero_embed()
    own.decoder_pipe.set_progress_bar_config(disable=True)
    expected = own.decoder_pipe(
        seen,
        nothing,
        height=16,
        width=16,
        num_inference_steps=4,
        generator=torch.Generator().manual_seed(SEED),
        output_type="np",
    ).images
    bound = tiny.bound(load(path), steps=4)
    found = tiny.images(bound.with_conditions(image_conditions(image, 1)), 1, seed=SEED)
    assert_close(found, torch.from_numpy(expected), CLOSE)
    both = image_conditions(image, 1)[0]._replace(text="cat")
    mixed = tiny.images(bound.with_conditions([both]), 2, seed=SEED, batch_size=2)
    assert are_distinct(torch.cat([found, mixed]))
    with pytest.raises(CannotDo, match="beside an image"):
        load(path).check_condition(both._replace(negative="dog"))


def test_kandinsky_without_its_prior_says_where_it_is(folder, tmp_path):
    copied = shutil.copytree(folder("KandinskyV22Pipeline"), tmp_path / "tiny-decoder")
    with pytest.raises(MissingFile, match="put the folder of its prior beside it"):
        load_generator(copied)
