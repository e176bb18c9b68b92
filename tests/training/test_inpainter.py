"""The inpainter's recipe, on sprites of plain colour and a few steps, and the folder that it wrote."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw
from safetensors import safe_open
from trilemma.tests.closeness import assert_close, is_close
from trilemma.training import inpainter, inpainter_autoencoder, inpainter_text
from trilemma.training.holes import Hole, draw_hole
from trilemma.training.loop import Schedule
from trilemma.training.scenes import Sprites

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
STARTER = ROOT / "models" / "starter" / "emoji_inpainter"
MOST_BYTES = 11_000_000


@pytest.fixture(scope="module")
def sprites() -> Sprites:
    discs = {}
    for index, name in enumerate(inpainter.DRAWN):
        disc = Image.new("RGBA", (48, 48))
        ImageDraw.Draw(disc).ellipse((0, 0, 47, 47), fill=(17 * index, 255 - 17 * index, 128, 255))
        discs[name, inpainter.STYLE] = disc
    return discs


@pytest.fixture(scope="module")
def trained(sprites: Sprites, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder exported after two steps of every stage."""
    runs = tmp_path_factory.mktemp("runs")
    target = tmp_path_factory.mktemp("target")
    autoencoder = inpainter_autoencoder.train_autoencoder(
        runs / "autoencoder.pt", sprites, sprites, seed=0, schedule=Schedule(steps=2, rate=1e-3, warmup=1)
    )
    tokenizer = inpainter_text.build_tokenizer(target / "tokenizer", inpainter.DRAWN)
    examples = inpainter.encode_examples(autoencoder, sprites, inpainter.BATCH, seed=0)
    denoiser = inpainter.train_denoiser(
        runs / "denoiser.pt", examples, tokenizer, seed=0, schedule=Schedule(steps=2, rate=1e-3, warmup=1)
    )
    inpainter.export(inpainter.build_pipeline(autoencoder, denoiser, tokenizer), target)
    return target


def draw(sprites: Sprites, seed: int) -> Hole:
    return draw_hole(np.random.default_rng(seed), sprites, sprites)


def inpaint(folder: Path, prompt: str, seed: int) -> np.ndarray:
    from diffusers import StableDiffusionInpaintPipeline

    pipeline = StableDiffusionInpaintPipeline.from_pretrained(folder, local_files_only=True)
    pipeline.set_progress_bar_config(disable=True)
    mask = np.zeros((64, 64), np.uint8)
    mask[12:52, 12:52] = 255
    return pipeline(
        prompt,
        image=Image.new("RGB", (64, 64), (40, 90, 200)),
        mask_image=Image.fromarray(mask),
        height=64,
        width=64,
        num_inference_steps=4,
        guidance_scale=2.0,
        generator=torch.Generator().manual_seed(seed),
        output_type="np",
    ).images[0]


def test_the_schedule_ends_at_zero_and_the_folder_says_what_it_draws(trained: Path) -> None:
    schedule = inpainter.SCHEDULE
    rates = [schedule.rate_at(step) for step in range(schedule.steps)]
    assert max(rates) <= schedule.rate
    assert 0 < rates[-1] < 0.001 * schedule.rate
    shipped = Path(__file__).parents[2] / "models" / "starter" / "emoji_inpainter"
    for name in ("trilemma.json", "model_index.json"):
        assert (trained / name).read_bytes() == (shipped / name).read_bytes(), name


def test_holes_repeat_for_the_same_seed_and_hold_what_they_say(sprites: Sprites) -> None:
    first, again, other = draw(sprites, 1), draw(sprites, 1), draw(sprites, 2)
    assert np.array_equal(first.target, again.target)
    assert not np.array_equal(first.target, other.target)
    for seed in range(20):
        hole = draw(sprites, seed)
        colour = np.array(sprites[hole.name, inpainter.STYLE].getpixel((24, 24))[:3])
        assert (np.abs(hole.target[hole.mask].astype(int) - colour).max(axis=1) <= 8).mean() > 0.1


def test_every_trained_word_is_one_token_and_any_text_comes_back(tmp_path: Path) -> None:
    tokenizer = inpainter_text.build_tokenizer(tmp_path, inpainter.DRAWN)
    ids = tokenizer("a photo of a soccer ball").input_ids
    assert len(ids) == 6 + 2
    assert (ids[0], ids[-1]) == (tokenizer.bos_token_id, tokenizer.eos_token_id)
    for text in ("a cat", "an emoji of a soccer ball", "zebra queue", "crème brûlée"):
        assert tokenizer.decode(tokenizer(text).input_ids, skip_special_tokens=True).strip() == text
    assert inpainter.tokenize(tokenizer, ["", "word " * 40]).shape == (2, inpainter_text.POSITIONS)


def test_prompts_name_the_object_or_are_empty() -> None:
    rng = np.random.default_rng(0)
    prompts = [inpainter_text.write_prompt(rng, "soccer ball") for _ in range(400)]
    assert all("soccer ball" in prompt for prompt in prompts if prompt)
    assert 0.05 < prompts.count("") / len(prompts) < 0.16


def test_training_repeats_and_resumes_exactly(sprites: Sprites, tmp_path: Path) -> None:
    def run(name: str, steps: int) -> torch.Tensor:
        schedule = Schedule(steps, rate=1e-3, horizon=2, warmup=1)
        model = inpainter_autoencoder.train_autoencoder(tmp_path / name, sprites, sprites, 0, schedule)
        return torch.cat([parameter.detach().flatten() for parameter in model.parameters()])

    whole = run("whole.pt", steps=2)
    assert_close(run("again.pt", steps=2), whole)
    assert not is_close(run("interrupted.pt", steps=1), whole)
    assert_close(run("interrupted.pt", steps=2), whole)


def test_average_follows_the_live_weights() -> None:
    averaged = inpainter.Averaged(torch.nn.Linear(2, 2), torch.nn.Linear(2, 2))
    assert torch.equal(averaged.average.weight, averaged.live.weight)
    with torch.no_grad():
        averaged.live.weight += 1
    averaged.update(step=10**6)
    lag = averaged.live.weight - averaged.average.weight
    torch.testing.assert_close(lag, torch.full((2, 2), inpainter.AVERAGE_DECAY), rtol=0, atol=1e-5)


def test_a_briefly_trained_folder_loads_and_draws(trained: Path) -> None:
    picture = inpaint(trained, "a cat", seed=0)
    assert picture.shape == (64, 64, 3)
    assert np.isfinite(picture).all()
    assert not is_close(picture, inpaint(trained, "a cat", seed=1))


def test_the_shipped_folder_is_complete_and_small() -> None:
    assert sum(file.stat().st_size for file in STARTER.rglob("*") if file.is_file()) <= MOST_BYTES
    assert not list(STARTER.rglob("*.py"))
    for weights in STARTER.rglob("*.safetensors"):
        with safe_open(weights, "pt") as tensors:
            assert {tensors.get_slice(key).get_dtype() for key in tensors.keys()} == {"F16"}  # noqa: SIM118


def test_the_shipped_folder_loads_strictly() -> None:
    from diffusers import AutoencoderTiny, UNet2DConditionModel
    from transformers import CLIPTextModel

    for part, family in (("unet", UNet2DConditionModel), ("vae", AutoencoderTiny), ("text_encoder", CLIPTextModel)):
        _, report = family.from_pretrained(STARTER / part, local_files_only=True, output_loading_info=True)
        assert not report["missing_keys"]
        assert not report["unexpected_keys"]


def test_the_shipped_model_draws_what_it_is_told() -> None:
    def middle(prompt: str) -> np.ndarray:
        return inpaint(STARTER, prompt, seed=3)[16:48, 16:48].mean(axis=(0, 1))

    red, green, blue = middle("a heart")
    assert red > max(green, blue) + 0.3
    red, green, blue = middle("a frog")
    assert green > red > blue + 0.3
    panda = middle("a panda")
    assert panda.max() - panda.min() < 0.1
