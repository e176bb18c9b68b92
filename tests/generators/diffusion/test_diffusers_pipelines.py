"""diffusers folders load strictly and offline, and draw what the pipelines of diffusers draw."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from trilemma.models.diffusion import tiny as tiny_parts
from trilemma.models.errors import BadCheckpoint
from trilemma.models.generators.loading import load_generator
from trilemma.tests.closeness import assert_close
from trilemma.tests.generators.diffusion import tiny_diffusion as tiny
from trilemma.tests.inpainting import tiny as tiny_inpainter

pytestmark = pytest.mark.slow

KINDS = ("DDPM", "DDIM", "LDM", "StableDiffusion", "StableDiffusionXL")


def pipeline(kind: str, folder: Path):
    import diffusers

    torch.manual_seed(1)
    made = getattr(diffusers, f"{kind}Pipeline")
    if kind in ("DDPM", "DDIM"):
        pipe = made(unet=tiny.unet(), scheduler=getattr(diffusers, f"{kind}Scheduler")(100))
    elif kind == "LDM":
        unet, autoencoder = tiny.unet(), tiny_parts.quantising_autoencoder()
        pipe = made(vqvae=autoencoder, unet=unet, scheduler=diffusers.DDIMScheduler(100))
    else:
        base = tiny_inpainter.pipeline(folder, channels=4, vae="kl")
        parts = {name: getattr(base, name) for name in ("vae", "text_encoder", "tokenizer", "unet", "scheduler")}
        if kind == "StableDiffusion":
            pipe = made(**parts, safety_checker=None, feature_extractor=None, requires_safety_checker=False)
        else:
            parts["unet"], encoder = tiny_parts.xl_unet(), tiny_parts.second_encoder()
            parts["scheduler"] = diffusers.EulerDiscreteScheduler.from_config(base.scheduler.config)
            second = {"text_encoder_2": encoder, "tokenizer_2": base.tokenizer}
            pipe = made(**parts, **second, add_watermarker=False)
    pipe.set_progress_bar_config(disable=True)
    return pipe


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """Random pipelines and the folders that diffusers saved them in, by kind."""
    made = {}
    for kind in KINDS:
        folder = tmp_path_factory.mktemp(kind)
        made[kind] = pipeline(kind, folder), folder / "model"
        made[kind][0].save_pretrained(folder / "model")
    return made


@pytest.fixture
def folder(saved, tmp_path):
    """A copy of the DDPM folder, to be broken."""
    return shutil.copytree(saved["DDPM"][1], tmp_path / "model")


def draw(generator, **options) -> torch.Tensor:
    return tiny.images(tiny.bound(generator, steps=4, **options), 1, seed=3)


@pytest.mark.parametrize("kind", KINDS[:3])
def test_pictures_agree_with_the_pipeline(saved, kind):
    made, folder = saved[kind]
    expected = made(generator=torch.Generator().manual_seed(3), num_inference_steps=4, output_type="np").images
    generator = load_generator(folder)
    found = draw(generator)
    assert torch.allclose(found, torch.from_numpy(expected), atol=1e-4, rtol=0)
    steps = {"DDPM": 100}.get(kind, 50)
    sampler = "DDPM" if kind == "DDPM" else "DDIM"
    own = {"sampler": sampler, "steps": steps, "eta": 0.0, "spacing": "model's own"}
    assert generator.descriptor.options == own
    assert generator.descriptor.height == (32 if kind == "LDM" else 16)


@pytest.mark.parametrize("negative", ["", "dog"])
@pytest.mark.parametrize("kind", KINDS[3:])
def test_pictures_of_prompts_agree_with_the_pipeline(saved, kind, negative):
    made, folder = saved[kind]
    expected = made(
        prompt="red cat",
        negative_prompt=negative or None,
        generator=torch.Generator().manual_seed(3),
        num_inference_steps=4,
        guidance_scale=4.0,
        output_type="np",
    ).images
    found = draw(load_generator(folder), texts=["red cat"], negative=negative, guidance_scale=4.0)
    assert torch.allclose(found, torch.from_numpy(expected), atol=1e-4, rtol=0)


@pytest.mark.parametrize("kind", KINDS[3:])
def test_large_networks_take_the_advised_precision(saved, kind):
    generator = load_generator(saved[kind][1], lambda parameters: torch.bfloat16)
    upcast = {type(network).__name__ for network in generator.modules if network.dtype == torch.float32}
    assert upcast == ({"AutoencoderKL"} if kind == "StableDiffusionXL" else set())
    full = draw(load_generator(saved[kind][1]), texts=["red cat"])
    assert torch.allclose(draw(generator, texts=["red cat"]), full, atol=0.1)


def test_prompts_of_unlike_lengths_do_not_depend_on_each_other(saved):
    generator = load_generator(saved["StableDiffusionXL"][1])
    bound = tiny.bound(generator, ["cat", "a red cat and a blue dog"], steps=2)
    tiny.does_not_depend_on_the_batch(bound, generator.modules[0], tolerance=1e-4)


def test_half_precision_is_read(saved, tmp_path):
    made = pipeline("DDPM", tmp_path)
    made.unet.half()
    made.save_pretrained(tmp_path / "half", variant="fp16")
    found = load_generator(tmp_path / "half")
    assert {parameter.dtype for parameter in found.modules[0].parameters()} == {torch.float32}
    assert torch.allclose(draw(found), draw(load_generator(saved["DDPM"][1])), atol=0.02)


def test_early_folders_are_read(folder, saved):
    """Everything beside the index, in PyTorch's format, under the old names of attention layers."""
    from safetensors.torch import load_file

    tensors = load_file(folder / "unet" / "diffusion_pytorch_model.safetensors")
    for before, after in (("to_q.", "query."), ("to_k.", "key."), ("to_v.", "value."), ("to_out.0.", "proj_attn.")):
        tensors = {name.replace(before, after): value for name, value in tensors.items()}
    torch.save(tensors, folder / "diffusion_pytorch_model.bin")
    (folder / "unet" / "config.json").rename(folder / "config.json")
    (folder / "scheduler" / "scheduler_config.json").rename(folder / "scheduler_config.json")
    shutil.rmtree(folder / "unet")
    shutil.rmtree(folder / "scheduler")
    assert_close(draw(load_generator(folder)), draw(load_generator(saved["DDPM"][1])))


def edit(path: Path, **changes) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def test_code_is_refused(folder):
    (folder / "unet" / "my_unet.py").write_text("raise SystemExit")
    with pytest.raises(BadCheckpoint, match=r"holds code \(unet/my_unet.py\)"):
        load_generator(folder)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (
            {"_class_name": "WuerstchenPipeline"},
            "the model 'WuerstchenPipeline'; .* the pack reads .* DDPMPipeline, DDIMPipeline, LDM",
        ),
        ({"unet": ["diffusers", "UNet3DConditionModel"]}, "its unet is a UNet3DConditionModel"),
        ({"scheduler": ["diffusers", "ScoreSdeVeScheduler"]}, "its scheduler is a ScoreSdeVe"),
    ],
)
def test_others_are_refused_by_name(folder, changes, words):
    edit(folder / "model_index.json", **changes)
    with pytest.raises(BadCheckpoint, match=words):
        load_generator(folder)


@pytest.mark.parametrize(
    ("kind", "part", "changes", "words"),
    [
        ("StableDiffusionXL", "vae", {"latents_mean": [0.0] * 4}, "latents_mean"),
        ("LDM", "unet", {"in_channels": 5}, "U-Net has 5 channels, its autoencoder 3|of another shape"),
        ("DDPM", "unet", {"sample_size": None}, "does not tell sample_size"),
    ],
)
def test_configurations_that_cannot_be_served_are_refused(saved, tmp_path, kind, part, changes, words):
    folder = shutil.copytree(saved[kind][1], tmp_path / "model")
    edit(folder / part / "config.json", **changes)
    with pytest.raises(BadCheckpoint, match=words):
        load_generator(folder)
