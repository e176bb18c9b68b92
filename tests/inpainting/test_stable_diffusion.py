"""The loop over the steps agrees with diffusers' own pipeline, and each image depends on its seed alone."""

import pytest
import torch
from trilemma.models.diffusion import prompts, samplers
from trilemma.models.diffusion import tiny as tiny_parts
from trilemma.models.errors import BadInput
from trilemma.models.inpainting.base import InpaintRequest
from trilemma.models.inpainting.stable_diffusion import MASKED_SETTINGS, StableDiffusionInpainter
from trilemma.tests.closeness import assert_close, is_close
from trilemma.tests.inpainting import tiny
from trilemma.tests.inpainting.tiny import inpaint
from trilemma.tests.peak_memory import peak_bytes

pytestmark = pytest.mark.slow

SIZE = 32


@pytest.fixture(scope="module")
def pipelines(tmp_path_factory):
    """Random pipelines by (channels, vae, prediction)."""
    made = {}

    def get(channels: int = 9, vae: str = "tiny", prediction: str = "epsilon"):
        key = channels, vae, prediction
        if key not in made:
            made[key] = tiny.pipeline(tmp_path_factory.mktemp("pipeline"), *key)
        return made[key]

    return get


@pytest.fixture
def inpainter(pipelines) -> StableDiffusionInpainter:
    return tiny.inpainter_of(pipelines())


def pictures(count: int, height: int = SIZE, width: int = SIZE) -> torch.Tensor:
    return torch.rand(count, height, width, 3, generator=torch.Generator().manual_seed(3))


def boxes(count: int, height: int = SIZE, width: int = SIZE) -> torch.Tensor:
    mask = torch.zeros(count, height, width)
    mask[:, height // 4 : 3 * height // 4, width // 4 : 3 * width // 4] = 1
    return mask


@pytest.mark.parametrize("vae", ["tiny", "kl"])
@pytest.mark.parametrize("channels", [9, 4])
@pytest.mark.parametrize(
    ("name", "strength", "guidance_scale", "prediction"),
    [
        (samplers.OWN, 1.0, 4.0, "epsilon"),
        (samplers.OWN, 0.6, 1.0, "v_prediction"),
        ("DDIM", 0.5, 4.0, "epsilon"),
        ("Euler", 0.6, 4.0, "epsilon"),
        ("Euler ancestral", 1.0, 4.0, "v_prediction"),
        ("Euler ancestral", 0.6, 4.0, "epsilon"),
        ("DDPM", 1.0, 4.0, "epsilon"),
        ("DDPM", 0.6, 4.0, "v_prediction"),
        ("DPM-Solver++ 2M", 1.0, 4.0, "epsilon"),
    ],
)
def test_agrees_with_the_pipeline_of_diffusers(pipelines, channels, vae, name, strength, guidance_scale, prediction):
    if (channels, vae) == (4, "kl") and name in ("DDPM", "Euler ancestral"):
        name = "Euler"  # there the pipeline draws noise for a masked picture that it never uses
    made = pipelines(channels, vae, prediction)
    ours = tiny.inpainter_of(made)
    images, masks = pictures(2), boxes(2)
    own = made.scheduler
    config = {**ours.networks.scheduler_config, **MASKED_SETTINGS}
    made.scheduler = samplers.schedule(config, name, steps=6).scheduler
    expected = made(
        prompt=["red cat"] * 2,
        negative_prompt=["dog"] * 2,
        image=images.movedim(-1, 1),
        mask_image=masks[:, None],
        height=SIZE,
        width=SIZE,
        num_inference_steps=6,
        guidance_scale=guidance_scale,
        strength=strength,
        generator=[torch.Generator().manual_seed(7 + index) for index in range(2)],
        output_type="pt",
    ).images.movedim(1, -1)
    made.scheduler = own
    settings = {"steps": 6, "guidance_scale": guidance_scale, "strength": strength, "sampler": name, "seed": 7}
    found = inpaint(ours, images, masks, "red cat", "dog", batch_size=2, **settings)
    hole = masks > 0
    assert torch.allclose(found[hole], expected[hole], atol=1e-5, rtol=0)
    assert torch.equal(found[~hole], images[~hole])


@pytest.mark.parametrize("name", ["Euler ancestral", "DPM-Solver++ 2M", samplers.OWN])
@pytest.mark.parametrize("vae", ["tiny", "kl"])
def test_does_not_depend_on_the_batch_size(pipelines, name, vae):
    ours = tiny.inpainter_of(pipelines(9, vae))
    images, masks = pictures(3), boxes(3)
    results = [inpaint(ours, images, masks, "cat", steps=3, sampler=name, seed=5, batch_size=n) for n in (1, 2, 3)]
    alone = inpaint(ours, images[2:], masks[2:], "cat", steps=3, sampler=name, seed=7)
    assert torch.allclose(results[0], results[1], atol=1e-5, rtol=0)
    assert torch.allclose(results[0], results[2], atol=1e-5, rtol=0)
    assert torch.allclose(results[0][2:], alone, atol=1e-5, rtol=0)


def first_latents(inpainter: StableDiffusionInpainter, monkeypatch, **options) -> torch.Tensor:
    """What the UNet is given in the first step, one row per image."""
    seen, forward = [], inpainter.networks.unet.forward

    def spy(sample, *args, **kwargs):
        seen.append(sample)
        return forward(sample, *args, **kwargs)

    monkeypatch.setattr(inpainter.networks.unet, "forward", spy)
    inpaint(inpainter, pictures(3), boxes(3), "cat", steps=1, guidance_scale=1.0, **options)
    monkeypatch.undo()
    return torch.cat(seen)[:, :4]


def test_initial_noise_is_bit_identical_for_every_batch_size(inpainter, monkeypatch):
    noise = [first_latents(inpainter, monkeypatch, seed=9, batch_size=n) for n in (1, 2, 3)]
    assert torch.equal(noise[0], noise[1])
    assert torch.equal(noise[0], noise[2])
    assert not torch.equal(noise[0][0], noise[0][1])


def test_prompts_strength_and_guidance_matter(inpainter):
    def draw(*words, **options):
        return inpaint(inpainter, pictures(1), boxes(1), *words, steps=4, **options)

    base = draw("cat", "dog")
    others = [draw("dog", "dog"), draw("cat", "red"), draw("cat", "dog", strength=0.5), draw("cat", guidance_scale=2.0)]
    assert not any(is_close(base, other) for other in others)
    assert_close(draw("cat", "dog", guidance_scale=1.0), draw("cat", "red", guidance_scale=1.0))


@pytest.mark.parametrize("size", [(1, 1), (33, 50), (8, 100)])
@pytest.mark.parametrize("channels", [3, 4])
def test_odd_sizes_and_alpha(inpainter, size, channels):
    images = torch.rand(2, *size, channels)
    masks = torch.zeros(2, *size)
    masks[0, 0, 0] = 1
    kept = images.clone()
    painted = inpaint(inpainter, images, masks, "cat", steps=2)
    assert painted.shape == images.shape
    assert painted.dtype == torch.float32
    assert torch.equal(images, kept)
    assert torch.equal(painted[masks == 0], images[masks == 0])
    assert torch.equal(painted[..., 3:], images[..., 3:])
    assert not is_close(painted[0, 0, 0, :3], images[0, 0, 0, :3])


def test_thin_masks_reach_the_latents(inpainter, monkeypatch):
    seen, forward = [], inpainter.networks.unet.forward

    def spy(sample, *args, **kwargs):
        seen.append(sample[:, 4])
        return forward(sample, *args, **kwargs)

    monkeypatch.setattr(inpainter.networks.unet, "forward", spy)
    mask = torch.zeros(1, SIZE, SIZE)
    mask[:, 5] = 1
    inpaint(inpainter, pictures(1), mask, "cat", steps=1)
    assert seen[0][0, 1].min() == 1
    assert seen[0].sum() == 2 * SIZE // 4


def test_previews_are_pictures_that_differ(inpainter):
    previews, steps = [], []

    def on_step(done, preview):
        steps.append(done)
        if preview is not None:
            previews.append((done, preview))

    painted = inpaint(inpainter, pictures(1, 40, 24), torch.ones(1, 40, 24), "cat", steps=10, on_step=on_step)
    assert steps == list(range(1, 11))
    assert [done for done, _ in previews] == [4, 8, 10]
    assert all(preview.shape == (40, 24, 3) for _, preview in previews)
    assert all(preview.min() >= 0 and preview.max() <= 1 for _, preview in previews)
    assert not is_close(previews[0][1], previews[1][1])
    assert torch.allclose(previews[2][1], painted[0], atol=0.02)


def test_previews_of_large_pictures_are_reduced(inpainter):
    shapes = []
    inpaint(
        inpainter,
        pictures(1, 200, 300),
        torch.ones(1, 200, 300),
        "cat",
        steps=1,
        on_step=lambda done, preview: shapes.append(tuple(preview.shape)),
    )
    assert shapes == [(84, 126, 3)]


def test_an_interrupt_stops_within_a_step(inpainter):
    calls = []

    def on_step(done, preview):
        calls.append(done)
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        inpaint(inpainter, pictures(1), boxes(1), "cat", steps=10, on_step=on_step)
    assert calls == [1, 2, 3]


@pytest.mark.parametrize("name", [*samplers.NAMES, "PNDMScheduler", "HeunDiscreteScheduler", "UniPCMultistepScheduler"])
def test_every_scheduler_runs_and_counts_steps(pipelines, name):
    own = name if name.endswith("Scheduler") else "DDIMScheduler"
    name = samplers.OWN if name == own else name
    ours = tiny.inpainter_of(pipelines(), _class_name=own)
    steps = []
    options = {"steps": 5, "strength": 0.8, "on_step": lambda done, preview: steps.append(done)}
    painted = inpaint(ours, pictures(1), boxes(1), "cat", sampler=name, **options)
    assert bool(torch.isfinite(painted).all())
    request = InpaintRequest(pictures(1), boxes(1), "cat", steps=5, strength=0.8, sampler=name)
    assert steps == list(range(1, ours.steps(request) + 1))
    assert ours.steps(request) == {"HeunDiscreteScheduler": 7, "PNDMScheduler": 5}.get(own, 4)


def test_a_schedule_down_to_zero_signal(pipelines):
    settings = {"rescale_betas_zero_snr": True, "timestep_spacing": "trailing"}
    ours = tiny.inpainter_of(pipelines(9, "tiny", "v_prediction"), **settings)
    for name in samplers.NAMES:
        painted = inpaint(ours, pictures(1), boxes(1), "cat", steps=4, sampler=name)
        assert bool(torch.isfinite(painted).all()), name


def test_long_prompts_are_read_in_pieces(inpainter):
    def encode(prompt, negative=""):
        return prompts.encode(inpainter.networks.text_encoder, inpainter.networks.tokenizer, prompt, negative)

    text = "a red cat and a blue dog"
    positive, negative = encode(text)
    tokens = len(inpainter.networks.tokenizer(text, add_special_tokens=False).input_ids)
    pieces = -(-tokens // (tiny_parts.POSITIONS - 2))
    assert pieces == 2
    assert positive.shape == negative.shape == (1, pieces * tiny_parts.POSITIONS, tiny_parts.WIDTH)
    first = encode(inpainter.networks.tokenizer.decode(inpainter.networks.tokenizer(text).input_ids[1:11]))[0]
    assert_close(positive[:, : tiny_parts.POSITIONS], first)
    assert_close(negative[:, tiny_parts.POSITIONS :], encode("")[0])
    painted = [inpaint(inpainter, pictures(1), boxes(1), words, steps=1) for words in (text, text[:-3] + "cat")]
    assert not is_close(*painted)


def test_an_empty_prompt_is_allowed(inpainter):
    assert inpaint(inpainter, pictures(1), boxes(1), "", steps=1).shape == (1, SIZE, SIZE, 3)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"steps": 0}, "steps: 0"),
        ({"strength": 0.0}, "strength: 0"),
        ({"strength": 1.5}, "strength: 1.5"),
        ({"steps": 4, "strength": 0.2}, "leaves none to run; raise strength to 0.25"),
    ],
)
def test_bad_input(inpainter, options, words):
    with pytest.raises(BadInput, match=words):
        inpaint(inpainter, **{"images": pictures(2), "masks": boxes(2), "prompt": "cat", **options})


def test_steps_are_counted_by_strength(inpainter):
    counted = [
        inpainter.steps(InpaintRequest(pictures(1), boxes(1), "cat", steps=20, strength=strength))
        for strength in (1.0, 0.5, 0.06, 0.05)
    ]
    assert counted == [20, 10, 1, 1]


def test_padded_size(inpainter):
    assert inpainter.networks.padded_size(1, 33) == (8, 40)


@pytest.mark.parametrize("vae", ["tiny", "kl"])
@pytest.mark.parametrize(("batch", "height", "width"), [(1, 64, 64), (1, 128, 96), (3, 64, 96)])
@pytest.mark.parametrize("guidance_scale", [7.5, 1.0])
def test_memory_is_estimated(pipelines, vae, batch, height, width, guidance_scale):
    ours = tiny.inpainter_of(pipelines(9, vae))
    images, masks = pictures(batch, height, width), torch.ones(batch, height, width)
    settings = {"steps": 1, "batch_size": batch, "guidance_scale": guidance_scale}
    peak = peak_bytes(lambda: inpaint(ours, images, masks, "cat", **settings))
    assert 0.7 <= ours.memory_bytes(batch, height, width, guidance_scale > 1) / peak <= 1.5
