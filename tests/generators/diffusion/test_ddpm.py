"""Pixel diffusion: files are read by their shapes, and our loop is diffusers'."""

import json
import shutil

import pytest
import torch
from safetensors.torch import save_file
from trilemma.models.diffusion import samplers
from trilemma.models.errors import BadCheckpoint, BadInput, CannotDo
from trilemma.models.files.checkpoints import Checkpoint
from trilemma.models.generators.diffusion import ddpm
from trilemma.models.generators.loading import load_generator
from trilemma.tests.closeness import assert_close, is_close
from trilemma.tests.generators.diffusion import tiny_diffusion as tiny
from trilemma.tests.peak_memory import peak_bytes

pytestmark = pytest.mark.slow

NAMES = ("cat", "dog")
METADATA = {
    "sample_size": 16,
    "norm_num_groups": 4,
    "attention_head_dim": 4,
    "prediction_type": "v_prediction",
    "beta_schedule": "squaredcos_cap_v2",
    "num_train_timesteps": 100,
    "class_names": NAMES,
    "unconditional_label": len(NAMES),
    "steps": 4,
    "guidance_scale": 3.0,
}


def loaded(classes: int | None = 3, **changes) -> ddpm.PixelDiffusion:
    known = {**METADATA, **changes}
    if classes is None:
        known |= {"class_names": (), "unconditional_label": None}
    tensors = tiny.unet(classes).state_dict()
    return ddpm.load(Checkpoint(tensors, {"trilemma": json.dumps(known)}))


@pytest.fixture(scope="module")
def generator():
    return loaded()


def test_a_file_is_read_as_it_was_made(tmp_path):
    made = tiny.unet(3)
    path = tmp_path / "model.safetensors"
    save_file(made.state_dict(), path, metadata={"trilemma": json.dumps(METADATA)})
    for place in (path, tmp_path):
        found = load_generator(place)
        (unet,) = found.modules
        kept = {"_use_default_values", "_name_or_path"}
        assert {**unet.config, **dict.fromkeys(kept)} == {**made.config, **dict.fromkeys(kept)}
        latents = torch.randn(1, 3, 16, 16)
        label = torch.tensor([1])
        assert_close(unet(latents, 7, label).sample, made(latents, 7, label).sample)
    descriptor = found.descriptor
    assert (descriptor.family, descriptor.height, descriptor.width, descriptor.channels) == ("diffusion", 16, 16, 3)
    assert (descriptor.class_names, descriptor.num_classes) == (NAMES, 2)
    assert descriptor.latent_shape == (3, 16, 16)
    assert descriptor.parameters == sum(parameter.numel() for parameter in made.parameters())
    assert descriptor.options == {
        "sampler": "DDIM",
        "steps": 4,
        "eta": 0.0,
        "guidance_scale": 3.0,
        "spacing": samplers.OWN,
    }


def test_a_grey_file():
    found = ddpm.load(Checkpoint(tiny.unet(channels=1).state_dict(), {"trilemma": '{"norm_num_groups": 4}'}))
    assert found.modules[0].config.block_out_channels == (8, 16)
    assert found.descriptor.conditions == ("none",)
    assert "guidance_scale" not in found.descriptor.options
    drawn = tiny.images(tiny.bound(found, steps=1), 2)
    assert drawn.shape == (2, 32, 32, 3)
    assert torch.equal(drawn[..., 0], drawn[..., 2])


def odd_folder(folder, scheduler="DDPMScheduler"):
    """A diffusers folder whose settings are none of the defaults."""
    import diffusers

    unet = diffusers.UNet2DModel(
        sample_size=16,
        block_out_channels=(8, 16),
        layers_per_block=1,
        down_block_types=("DownBlock2D", "AttnDownBlock2D"),
        up_block_types=("AttnUpBlock2D", "UpBlock2D"),
        norm_num_groups=4,
        norm_eps=1e-6,
        attention_head_dim=4,
        flip_sin_to_cos=False,
        freq_shift=1,
        downsample_padding=0,
    )
    made = getattr(diffusers, scheduler)(num_train_timesteps=100, beta_schedule="squaredcos_cap_v2")
    pipeline = diffusers.DDPMPipeline if scheduler == "DDPMScheduler" else diffusers.DDIMPipeline
    pipeline(unet, made).save_pretrained(folder)


@pytest.mark.parametrize("scheduler", ["DDPMScheduler", "DDIMScheduler"])
def test_a_file_with_its_configuration_is_the_folder(scheduler, tmp_path):
    """As google/ddpm-cifar10-32 lies on disk, with an index or without; and a file in a whole diffusers folder."""
    odd_folder(tmp_path / "whole", scheduler)
    whole = load_generator(tmp_path / "whole")
    flat = tmp_path / "flat"
    flat.mkdir()
    for source in ("unet/config.json", "unet/diffusion_pytorch_model.safetensors", "scheduler/scheduler_config.json"):
        shutil.copy(tmp_path / "whole" / source, flat)
    places = [flat, flat / "diffusion_pytorch_model.safetensors"]
    places.append(tmp_path / "whole" / "unet" / "diffusion_pytorch_model.safetensors")
    index = tmp_path / "index"
    shutil.copytree(flat, index)
    shutil.copy(tmp_path / "whole" / "model_index.json", index)
    places += [index, index / "diffusion_pytorch_model.safetensors"]
    expected = tiny.images(tiny.bound(whole, steps=4), 2)
    for place in places:
        found = load_generator(place)
        assert found.descriptor == whole.descriptor
        assert found.identity == whole.identity
        assert_close(tiny.images(tiny.bound(found, steps=4), 2), expected)
        assert any(file.name == "scheduler_config.json" for file in found.files)


def test_a_file_alone_is_refused_with_the_question(tmp_path):
    odd_folder(tmp_path / "whole")
    alone = tmp_path / "alone.safetensors"
    shutil.copy(tmp_path / "whole" / "unet" / "diffusion_pytorch_model.safetensors", alone)
    with pytest.raises(BadCheckpoint, match=r"do not tell .*Put config\.json and scheduler_config\.json of the same"):
        load_generator(alone)
    shutil.copy(tmp_path / "whole" / "unet" / "config.json", tmp_path)
    with pytest.raises(BadCheckpoint, match=r"Put scheduler_config\.json of the same"):
        load_generator(alone)
    (tmp_path / "config.json").write_text('{"_class_name": "AutoencoderKL"}')
    with pytest.raises(BadCheckpoint, match=r"Put config\.json and"):
        load_generator(alone)


def test_a_unet_of_latents_is_refused():
    with pytest.raises(BadCheckpoint, match="takes 4 channels"):
        ddpm.load(Checkpoint(tiny.unet(channels=4).state_dict(), {"trilemma": '{"norm_num_groups": 4}'}))


@pytest.mark.parametrize(("sampler", "eta"), [("DDPM", 0.0), ("DDIM", 0.0), ("DDIM", 0.7)])
def test_agrees_with_the_pipelines_of_diffusers(sampler, eta):
    import diffusers

    generator = loaded(None)
    settings = {key: value for key, value in generator.scheduler_config.items() if key != "_class_name"}
    scheduler = getattr(diffusers, f"{sampler}Scheduler")(**settings)
    pipeline = getattr(diffusers, f"{sampler}Pipeline")(unet=generator.modules[0], scheduler=scheduler)
    pipeline.set_progress_bar_config(disable=True)
    extra = {"eta": eta} if sampler == "DDIM" else {}
    expected = pipeline(
        generator=torch.Generator().manual_seed(9), num_inference_steps=6, output_type="np", **extra
    ).images
    found = tiny.images(tiny.bound(generator, sampler=sampler, steps=6, eta=eta), 1, seed=9)
    assert torch.allclose(found, torch.from_numpy(expected), atol=1e-5, rtol=0)


@pytest.mark.parametrize("sampler", samplers.SAMPLERS)
def test_does_not_depend_on_the_batch_size(generator, sampler):
    made = tiny.bound(generator, sampler=sampler, steps=3, eta=0.5 if sampler == "DDIM" else 0.0)
    tiny.does_not_depend_on_the_batch(made, generator.modules[0], tolerance=1e-4)


def test_one_network_call_does_not_depend_on_the_batch_size(generator):
    unet = generator.modules[0]
    latents, labels = torch.randn(8, 3, 16, 16), torch.arange(8) % 3
    together = unet(latents, 50, labels).sample
    alone = torch.cat([unet(latents[i : i + 1], 50, labels[i : i + 1]).sample for i in range(8)])
    assert torch.allclose(together, alone, atol=1e-5, rtol=0)


def test_guidance_is_classifier_free(generator):
    """One step of DDIM from pure noise foresees x0 = -velocity; the guided velocity is known."""
    made = tiny.bound(generator, ["dog"], steps=1, guidance_scale=2.5)
    found = tiny.images(made, 1, seed=3)
    unet = generator.modules[0]
    source = torch.Generator().manual_seed(3)
    torch.randint(2, (1,), generator=source)
    noise = torch.randn(1, 3, 16, 16, generator=source)
    with torch.no_grad():
        given, none = (unet(noise, 99, torch.tensor([label])).sample for label in (1, 2))
    velocity = none + 2.5 * (given - none)
    alpha = tiny.last_alpha(generator.scheduler_config)
    x0 = (alpha.sqrt() * noise - (1 - alpha).sqrt() * velocity).clamp(-1, 1)
    assert torch.allclose(found, (x0 / 2 + 0.5).movedim(1, -1), atol=1e-5, rtol=0)


def test_a_class_is_chosen_by_name_or_number_or_by_the_seed(generator):
    drawn = {text: tiny.images(tiny.bound(generator, [text]), 3) for text in ("", "cat", "0", "dog")}
    assert_close(drawn["cat"], drawn["0"])
    assert not is_close(drawn["cat"], drawn["dog"])
    own = [next(t for t in NAMES if torch.allclose(drawn[t][i], drawn[""][i], atol=1e-5)) for i in range(3)]
    assert set(own) == set(NAMES)
    with pytest.raises(BadInput, match="no class 'bird'"):
        tiny.bound(generator, ["bird"])
    with pytest.raises(CannotDo, match="takes no prompts"):
        tiny.bound(generator, ["cat"], negative="dog")


def test_decoding_the_latents_draws_the_same(generator):
    made = tiny.bound(generator)
    requests = tiny.requests(made, 2)
    with torch.no_grad():
        latents = generator.latents(requests, made.settings)
        decoded = generator.decode(latents, requests, made.settings)
        middle = generator.interpolate(
            latents._replace(values=latents.values[:1]), latents._replace(values=latents.values[1:]), [0.0, 0.5, 1.0]
        )
    assert (latents.space, latents.identity) == ("z", generator.identity)
    assert_close(decoded, tiny.images(made, 2))
    assert torch.allclose(middle.values[[0, 2]], latents.values, atol=1e-5)
    assert 0.8 < float(middle.values[1].std()) < 1.2
    assert generator.mean_latent().values.shape == (1, 3, 16, 16)


@pytest.mark.parametrize("sampler", ["DDPM", "Euler ancestral"])
def test_decoding_draws_no_noise(generator, sampler):
    made = tiny.bound(generator, sampler=sampler, steps=3)
    requests = tiny.requests(made, 1)
    with torch.no_grad():
        latents = generator.latents(requests, made.settings)
        decoded = generator.decode(latents, requests, made.settings)
    assert_close(decoded, tiny.images(tiny.bound(generator, sampler="DDIM", steps=3), 1))


def test_steps_are_counted_shown_and_interrupted(generator):
    made = tiny.bound(generator, steps=8)
    done, previews = [], []

    def on_step(count, preview=None):
        done.append(count)
        if preview is not None:
            previews.append((count, preview))

    drawn = tiny.images(made, 2, batch_size=2, on_step=on_step)
    assert generator.evaluations(made.settings) == 16
    assert done == [4 * step for step in range(1, 9)]
    assert [count for count, _ in previews] == [16, 32]
    assert not is_close(previews[0][1], previews[1][1])
    assert torch.allclose(previews[1][1], drawn[0], atol=0.05)

    def stop(count, preview=None):
        done.append(count)
        raise KeyboardInterrupt

    done.clear()
    with pytest.raises(KeyboardInterrupt):
        tiny.images(made, 2, on_step=stop)
    assert done == [4]


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"sampler": "DDPM", "eta": 0.5}, CannotDo, "DDPM has none"),
        ({"sampler": "Euler", "eta": 1.0}, CannotDo, "sampler to DDIM"),
        ({"steps": 101}, BadInput, "steps: 101 is more than the model was trained with, 100"),
    ],
)
def test_settings_that_do_not_go_together(generator, options, error, words):
    with pytest.raises(error, match=words):
        tiny.images(tiny.bound(generator, **options), 1)


def test_a_model_without_classes_has_no_guidance():
    with pytest.raises(CannotDo, match="guidance_scale: DDPM has no such option"):
        tiny.bound(loaded(None), guidance_scale=2.0)


@pytest.mark.parametrize("batch_size", [1, 3, 8])
@pytest.mark.parametrize("size", ["tiny", "starter"])
def test_memory_is_estimated(generator, size, batch_size):
    drawn = generator if size == "tiny" else ddpm.PixelDiffusion(tiny.starter_unet(), generator.scheduler_config, 1)
    made = tiny.bound(drawn, steps=1)
    peak = peak_bytes(lambda: tiny.images(made, batch_size, batch_size=batch_size))
    assert 0.7 <= drawn.memory_bytes(batch_size) / peak <= 1.5
