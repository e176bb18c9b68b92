"""Stable Diffusion 1.5's denoising at 512 px by Sample Images' generator and by diffusers' pipeline.

The networks have random weights: the U-Net half of the published widths, so that a step takes seconds, the latents of
512 px. Both are given guidance, two samples with a generator each, and the same noise.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from trilemma.models.diffusion import tiny
from trilemma.models.generators import noise
from trilemma.models.generators.base import Condition
from trilemma.models.generators.diffusion.latent_diffusion import TextToImage
from trilemma.models.steps import quiet
from trilemma.tests.benchmarks.timing import Comparison, Peaks, compare, compare_peaks
from trilemma.tests.inpainting.tiny import networks_of

SAMPLES = 2
STEPS = 2
LATENT_SIDE = 64
WIDTHS = (160, 320, 640, 640)
PROMPT, GUIDANCE_SCALE = "a red cat", 7.5
AT_LEAST = 1 / 1.03
PEAK_AT_LEAST = 1.0


def networks(folder: Path) -> Any:
    """A StableDiffusionPipeline."""
    from diffusers import AutoencoderTiny, DDIMScheduler, StableDiffusionPipeline, UNet2DConditionModel
    from transformers import CLIPTokenizer

    torch.manual_seed(0)
    encoder = tiny.text_encoder()
    unet = UNet2DConditionModel(
        sample_size=LATENT_SIDE,
        block_out_channels=WIDTHS,
        cross_attention_dim=encoder.config.hidden_size,
        attention_head_dim=8,
    )
    settings = {name: value for name, value in tiny.SCHEDULER.items() if name != "_class_name"}
    tokenizer = CLIPTokenizer.from_pretrained(str(tiny.write_tokenizer(folder / "words")))
    tokenizer.model_max_length = tiny.POSITIONS
    made = StableDiffusionPipeline(
        AutoencoderTiny(),
        encoder,
        tokenizer,
        unet,
        DDIMScheduler(**settings),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    made.set_progress_bar_config(disable=True)
    for each in (made.unet, made.vae, made.text_encoder):
        each.eval().requires_grad_(False)
    return made


def drawing(folder: Path) -> tuple[Callable[[], torch.Tensor], Callable[[], torch.Tensor]]:
    """The pipeline's call and ours: pictures [N, 3, H, W], 0..1."""
    pipeline = networks(folder)
    generator = TextToImage(networks_of(pipeline))
    options = {**generator.descriptor.options, "steps": STEPS, "guidance_scale": GUIDANCE_SCALE}
    requests = noise.requests(SAMPLES, 0, [Condition(PROMPT)])

    def reference() -> torch.Tensor:
        streams = noise.generators(requests)
        start = noise.normal(streams, (4, LATENT_SIDE, LATENT_SIDE))
        given = {"num_inference_steps": STEPS, "guidance_scale": GUIDANCE_SCALE, "num_images_per_prompt": SAMPLES}
        return pipeline(PROMPT, latents=start, generator=streams, output_type="pt", **given).images

    def ours() -> torch.Tensor:
        with torch.inference_mode():
            return generator.draw(requests, options, quiet).movedim(-1, 1)

    torch.testing.assert_close(ours(), reference(), rtol=0, atol=1e-3)
    return reference, ours


def rows() -> tuple[list[tuple[str, Comparison, float]], list[tuple[str, Peaks, float]]]:
    """What is compared, times and peaks, and the least ratio that is promised of each."""
    what = f"Stable Diffusion 1.5 at 512 px, half its widths, {STEPS} steps with guidance, {SAMPLES} samples"
    with tempfile.TemporaryDirectory() as folder:
        reference, ours = drawing(Path(folder))
        times, peaks = compare(reference, ours, 2), compare_peaks(reference, ours)
    return [(what, times, AT_LEAST)], [(what, peaks, PEAK_AT_LEAST)]
