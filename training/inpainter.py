"""The starter inpainter: a Stable Diffusion inpainting pipeline of 5 million parameters that draws emoji at 64 px.

`python -m training.inpainter` trains the autoencoder, encodes examples once, trains the denoiser together with its text
encoder, and writes models/starter/emoji_inpainter. Whatever was interrupted is resumed from `--runs`;
`--export-only` writes the weights of the last checkpoint.
"""

import argparse
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.optim.swa_utils import get_ema_multi_avg_fn

from . import scenes
from .holes import draw_hole
from .inpainter_autoencoder import measure_psnr, standardise, to_tensors, train_autoencoder
from .inpainter_text import POSITIONS, build_tokenizer, write_prompt
from .loop import Schedule, train

if TYPE_CHECKING:
    from diffusers import AutoencoderTiny, DDIMScheduler, StableDiffusionInpaintPipeline, UNet2DConditionModel
    from transformers import CLIPTextModel, CLIPTokenizer

RUNS = Path(__file__).parent / "runs"
TARGET = Path(__file__).parents[1] / "models" / "starter" / "emoji_inpainter"
STYLE = "noto"
DRAWN = (
    "cat", "fox", "panda", "pig", "frog", "strawberry", "mushroom", "hamburger", "pumpkin", "soccer ball", "heart",
    "crown", "house", "tree",
)  # fmt: skip
# The crown is learned too, but comes out too roughly to be promised.
PROMISED = tuple(name for name in DRAWN if name != "crown")
STEPS = 20
GUIDANCE_SCALE = 4.0
SIDE = 64
EXAMPLES = 12_000
CONTEXT_WIDTH = 96
SCHEDULE = Schedule(steps=10_600, rate=1e-3, betas=(0.9, 0.99), horizon=13_000, cooldown=((9_100, 1.0), (10_600, 0.0)))
BATCH = 16
OUTSIDE_WEIGHT = 0.3
AVERAGE_DECAY = 0.999


class Examples(NamedTuple):
    """N encoded examples; latents are scaled to unit variance."""

    targets: Tensor
    """float16 [N, 4, 16, 16]: the complete pictures."""
    surroundings: Tensor
    """float16 [N, 4, 16, 16]: the pictures with a grey hole."""
    masks: Tensor
    """float16 [N, 1, 16, 16]: 1 inside the hole."""
    names: list[str]


class Denoiser(nn.Module):
    """The two networks that are trained together."""

    def __init__(self, vocabulary_size: int) -> None:
        super().__init__()
        self.unet = build_unet().to(memory_format=torch.channels_last)
        self.text_encoder = build_text_encoder(vocabulary_size)

    def forward(self, latents: Tensor, steps: Tensor, ids: Tensor) -> Tensor:
        """latents [B, 9, 16, 16], steps [B], ids [B, T] -> velocity [B, 4, 16, 16]."""
        context = self.text_encoder(ids).last_hidden_state
        return self.unet(latents, steps, context).sample


class Averaged(nn.Module):
    """A module and the exponential moving average of its weights, which lags one step behind."""

    def __init__(self, live: nn.Module, average: nn.Module) -> None:
        super().__init__()
        self.live = live
        self.average = average.requires_grad_(False).eval()
        self.average.load_state_dict(live.state_dict())

    def update(self, step: int) -> None:
        decay = min(AVERAGE_DECAY, (step + 1) / (step + 10))
        average = get_ema_multi_avg_fn(decay)
        average(list(self.average.parameters()), list(self.live.parameters()), step)


def build_unet() -> "UNet2DConditionModel":
    """4.5 M parameters; attention at 8 x 8 and 4 x 4 only, where it is cheap."""
    from diffusers import UNet2DConditionModel

    return UNet2DConditionModel(
        sample_size=SIDE // 4,
        in_channels=9,
        out_channels=4,
        block_out_channels=(64, 96, 128),
        layers_per_block=1,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        mid_block_type=None,
        up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        cross_attention_dim=CONTEXT_WIDTH,
        attention_head_dim=4,
        norm_num_groups=16,
    )


def build_text_encoder(vocabulary_size: int) -> "CLIPTextModel":
    from transformers import CLIPTextConfig, CLIPTextModel

    config = CLIPTextConfig(
        vocab_size=vocabulary_size,
        hidden_size=CONTEXT_WIDTH,
        intermediate_size=2 * CONTEXT_WIDTH,
        projection_dim=CONTEXT_WIDTH,
        num_hidden_layers=2,
        num_attention_heads=4,
        max_position_embeddings=POSITIONS,
        bos_token_id=vocabulary_size - 2,
        eos_token_id=vocabulary_size - 1,
        pad_token_id=vocabulary_size - 1,
    )
    return CLIPTextModel(config)


def build_scheduler() -> "DDIMScheduler":
    """Velocity prediction down to zero signal (Lin et al., 2024, arXiv 2305.08891), sampled from the last step on."""
    from diffusers import DDIMScheduler

    return DDIMScheduler(
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        prediction_type="v_prediction",
        rescale_betas_zero_snr=True,
        timestep_spacing="trailing",
        clip_sample=False,
        steps_offset=1,
    )


def encode_examples(
    autoencoder: "AutoencoderTiny", sprites: scenes.Sprites, count: int, seed: int, drawn: Sequence[str] = DRAWN
) -> Examples:
    """Draw and encode `count` examples of these names as the inpainting pipeline encodes pictures and masks."""
    wanted = choose_drawn(sprites, drawn)
    parts: list[tuple[Tensor, Tensor, Tensor]] = []
    names: list[str] = []
    for first in range(0, count, BATCH):
        holes = [draw_hole(np.random.default_rng((seed, 1, first + i)), wanted, sprites) for i in range(BATCH)]
        pixels, masks = to_tensors(holes)
        with torch.no_grad():
            both = autoencoder.encode(torch.cat([pixels, pixels * ~masks])).latents * autoencoder.config.scaling_factor
        targets, surroundings = both.half().contiguous().chunk(2)
        parts.append((targets, surroundings, F.interpolate(masks.half(), scale_factor=0.25)))
        names += [hole.name for hole in holes]
    targets, surroundings, masks = (torch.cat(part) for part in zip(*parts, strict=True))
    return Examples(targets, surroundings, masks, names)


def choose_drawn(sprites: scenes.Sprites, drawn: Sequence[str] = DRAWN) -> scenes.Sprites:
    """The sprites that the inpainter learns to draw."""
    return {(name, STYLE): sprites[name, STYLE] for name in drawn}


def train_denoiser(
    checkpoint: Path, examples: Examples, tokenizer: "CLIPTokenizer", seed: int, schedule: Schedule = SCHEDULE
) -> Denoiser:
    """Train, resuming from `checkpoint`; returns the averaged networks."""
    torch.manual_seed(seed)
    model = Averaged(Denoiser(len(tokenizer)), Denoiser(len(tokenizer)))
    scheduler = build_scheduler()

    def losses_at(step: int) -> Mapping[str, Tensor]:
        model.update(step)
        rng = np.random.default_rng((seed, 2, step))
        chosen = rng.integers(len(examples.names), size=BATCH)
        ids = tokenize(tokenizer, [write_prompt(rng, examples.names[index]) for index in chosen])
        generator = torch.Generator().manual_seed(seed + step)
        return velocity_losses(model.live, scheduler, examples, torch.from_numpy(chosen), ids, generator)

    train(model, losses_at, schedule, checkpoint)
    model.update(schedule.steps)
    return model.average


def tokenize(tokenizer: "CLIPTokenizer", prompts: Sequence[str]) -> Tensor:
    """int64 [B, T], padded and cut to the model's length."""
    return tokenizer(prompts, padding="max_length", truncation=True, return_tensors="pt").input_ids


def velocity_losses(
    model: Callable[[Tensor, Tensor, Tensor], Tensor],
    scheduler: "DDIMScheduler",
    examples: Examples,
    chosen: Tensor,
    ids: Tensor,
    generator: torch.Generator,
) -> dict[str, Tensor]:
    """Squared error of the velocity at random steps, inside the hole and, with less weight, outside."""
    targets, surroundings, masks = (part[chosen].float() for part in examples[:3])
    noise = torch.randn(targets.shape, generator=generator)
    steps = torch.randint(scheduler.config.num_train_timesteps, (len(chosen),), generator=generator)
    noisy = scheduler.add_noise(targets, noise, steps)
    latents = torch.cat([noisy, masks, surroundings], dim=1).contiguous(memory_format=torch.channels_last)
    error = (model(latents, steps, ids) - scheduler.get_velocity(targets, noise, steps)).square()
    return {"inside": (error * masks).mean(), "outside": OUTSIDE_WEIGHT * (error * (1 - masks)).mean()}


def build_pipeline(
    autoencoder: "AutoencoderTiny", denoiser: Denoiser, tokenizer: "CLIPTokenizer"
) -> "StableDiffusionInpaintPipeline":
    from diffusers import StableDiffusionInpaintPipeline

    return StableDiffusionInpaintPipeline(
        vae=autoencoder,
        text_encoder=denoiser.text_encoder,
        tokenizer=tokenizer,
        unet=denoiser.unet,
        scheduler=build_scheduler(),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )


def export(pipeline: "StableDiffusionInpaintPipeline", target: Path) -> None:
    """Write a diffusers folder beside the tokenizer's files, which are there already.

    Weights are stored in half precision, while the configurations say float32, in which CPUs run them; the text encoder
    keeps the key names of transformers 4, which every later release loads too. trilemma.json says what the pack shows
    of the model as a generator.
    """
    pipeline.save_config(target)
    told = {"class_names": PROMISED, "steps": STEPS, "guidance_scale": GUIDANCE_SCALE}
    (target / "trilemma.json").write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")
    for part in ("unet", "vae", "text_encoder", "scheduler"):
        getattr(pipeline, part).save_pretrained(target / part)
    for part in ("unet", "vae", "text_encoder"):
        (weights,) = (target / part).glob("*.safetensors")
        state = {key: value.half() for key, value in load_file(weights).items()}
        if part == "text_encoder":
            state = {f"text_model.{key.removeprefix('text_model.')}": value for key, value in state.items()}
        save_file(state, weights, metadata={"format": "pt"})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=scenes.DATA)
    parser.add_argument("--runs", type=Path, default=RUNS)
    parser.add_argument("--target", type=Path, default=TARGET)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--export-only", action="store_true")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    runs = arguments.runs
    sprites = scenes.load_sprites(arguments.data)
    wanted = choose_drawn(sprites)
    autoencoder = train_autoencoder(runs / "inpainter_autoencoder.pt", wanted, sprites, arguments.seed)
    held_out = [draw_hole(np.random.default_rng((arguments.seed, 3, i)), wanted, sprites) for i in range(256)]
    standardise(autoencoder, held_out)
    print("autoencoder, dB:", measure_psnr(autoencoder, held_out), flush=True)
    tokenizer = build_tokenizer(arguments.target / "tokenizer", DRAWN)
    denoiser_checkpoint = runs / "inpainter_denoiser.pt"
    if arguments.export_only:
        model = Averaged(Denoiser(len(tokenizer)), Denoiser(len(tokenizer)))
        model.load_state_dict(torch.load(denoiser_checkpoint, weights_only=True)["module"])
        denoiser = model.average
    else:
        examples = encode_examples(autoencoder, sprites, EXAMPLES, arguments.seed)
        denoiser = train_denoiser(denoiser_checkpoint, examples, tokenizer, arguments.seed)
    export(build_pipeline(autoencoder, denoiser, tokenizer), arguments.target)


if __name__ == "__main__":
    main()
