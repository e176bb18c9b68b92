"""Repaints what lies under a mask with a Stable Diffusion model, by text.

The networks and schedulers are those of diffusers; the loop over the steps is here, so that every image has its own
random numbers, steps report and can be interrupted, and a host can place the networks.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import nn

from ..diffusion import prompts, schedulers
from ..errors import BadInput
from ..pictures.images import check_images, match_masks

OnStep = Callable[[int, torch.Tensor | None], None]

PREVIEW_EVERY = 4
"""Steps between previews."""
PREVIEW_CELLS = 32
"""Longest side of a preview in latent cells: decoding a 512 px picture for one would cost about a step."""


class Inpainter(NamedTuple):
    """A Stable Diffusion model.

    unet: UNet2DConditionModel with 9 input channels (latents, mask, latents of the masked picture) or 4 (latents).
    vae: AutoencoderKL or AutoencoderTiny. text_encoder: CLIPTextModel. tokenizer: CLIPTokenizer.
    scheduler_config: the model's own scheduler, with its class under `_class_name`.
    """

    unet: Any
    vae: Any
    text_encoder: Any
    tokenizer: Any
    scheduler_config: Mapping[str, Any]


class Run(NamedTuple):
    """What stays the same for all pictures of a run. positive, negative: hidden states of the prompts [1, T, D]."""

    positive: torch.Tensor
    negative: torch.Tensor
    steps: int
    guidance_scale: float
    strength: float
    scheduler: str


class Canvas(NamedTuple):
    """Pictures in the latent space, float32. hole: 1 where to repaint.

    noise, original: [n, C, h, w]. hole: [n, 1, h, w]. masked: [n, C, h, w], None for a UNet without such inputs.
    """

    noise: torch.Tensor
    original: torch.Tensor | None
    hole: torch.Tensor
    masked: torch.Tensor | None


def modules(inpainter: Inpainter) -> tuple[nn.Module, ...]:
    """The networks that must be on one device at the same time."""
    return inpainter.unet, inpainter.vae, inpainter.text_encoder


def latent_scale(inpainter: Inpainter) -> int:
    """Pixels to a latent cell, along a side."""
    return 2 ** (len(inpainter.vae.config.block_out_channels) - 1)


def native_resolution(inpainter: Inpainter) -> int:
    """Side in pixels of the pictures that the model was made for."""
    return inpainter.unet.config.sample_size * latent_scale(inpainter)


def padded_size(inpainter: Inpainter, height: int, width: int) -> tuple[int, int]:
    """The next larger size that every level of the networks halves without remainder."""
    multiple = latent_scale(inpainter) * 2 ** (len(inpainter.unet.config.block_out_channels) - 1)
    return -(-height // multiple) * multiple, -(-width // multiple) * multiple


def effective_steps(steps: int, strength: float) -> int:
    """Steps that a run of this strength really takes.

    Raises:
        BadInput: none, or a strength outside 0..1.
    """
    if steps < 1:
        raise BadInput(f"steps: {steps} is below the least possible, 1.")
    if not 0 < strength <= 1:
        raise BadInput(f"strength: {strength:g} is outside its range, above 0 and up to 1.")
    taken = min(int(steps * strength), steps)
    if taken < 1:
        raise BadInput(
            f"strength: {strength:g} of {steps} steps leaves none to run; raise strength to {1 / steps:.3g} or more, "
            "or take more steps."
        )
    return taken


@torch.no_grad()
def inpaint(
    inpainter: Inpainter,
    images: torch.Tensor,
    masks: torch.Tensor,
    prompt: str,
    negative_prompt: str = "",
    steps: int = 20,
    guidance_scale: float = 7.5,
    strength: float = 1.0,
    scheduler: str = schedulers.OWN,
    seed: int = 0,
    batch_size: int = 1,
    on_step: OnStep = lambda done, preview: None,
) -> torch.Tensor:
    """Repaint each image under its mask: a copy of `images` [B, H, W, 3 or 4], float32.

    masks: [B, H, W], 0..1, see `images.match_masks`. The model repaints where the mask is 0.5 or more; the mask's
        value is the share of the repainted picture in the result. Where it is 0, and in an alpha channel, the result
        is bit-identical to the image, because an autoencoder gives even an unchanged picture back a little changed.
    guidance_scale: 1 or less runs the model once instead of twice per step, without the negative prompt.
    strength: share of the steps to run; below 1 they start from the noised original instead of from noise.
    seed: image i has its own CPU generator, seeded with (seed + i) modulo 2^64, which draws all of its noise; so
        neither the batch size nor the other images change it.
    on_step: called after every step with the number of steps done (of B times `effective_steps`), and every fourth
        step with a picture [h, w, 3], 0..1, of how the first image of the batch is foreseen to end.

    Sizes are padded with border pixels to what the networks halve (`padded_size`) and cropped back. Images with an
    empty mask are not run. A UNet with 9 input channels sees the hole and the picture around it (Rombach et al.,
    2022, arXiv 2112.10752); with 4, the surroundings are replaced after each step by the original with that step's
    noise (Avrahami et al., 2023, arXiv 2206.02779).

    Raises:
        BadInput: images, masks, steps or strength out of range.
    """
    images = check_images(images)
    masks = match_masks(masks, *images.shape[:3])
    taken = effective_steps(steps, strength)
    result = images.clone()
    wanted = [frame for frame in range(len(images)) if bool(masks[frame].any())]
    if not wanted:
        return result
    encoded = prompts.encode(inpainter.text_encoder, inpainter.tokenizer, prompt, negative_prompt)
    run = Run(*encoded, steps, guidance_scale, strength, scheduler)
    for first in range(0, len(wanted), batch_size):
        frames = wanted[first : first + batch_size]
        seeds = [(seed + frame) % 2**64 for frame in frames]

        finished = len(images) - len(wanted) + first

        def report(step: int, preview: torch.Tensor | None, finished: int = finished, count: int = len(seeds)) -> None:
            on_step(finished * taken + count * min(step, taken), preview)

        before = images[frames][..., :3]
        painted = _repaint(inpainter, run, before, masks[frames], seeds, report)
        share = masks[frames][..., None]
        blended = before * (1 - share) + painted.to(images.device) * share
        result[frames] = torch.cat([torch.where(share > 0, blended, before), images[frames][..., 3:]], dim=-1)
    return result


def _repaint(
    inpainter: Inpainter, run: Run, images: torch.Tensor, masks: torch.Tensor, seeds: Sequence[int], report: OnStep
) -> torch.Tensor:
    """Decoded pictures [n, H, W, 3], 0..1, of images [n, H, W, 3] and masks [n, H, W]."""
    height, width = images.shape[1:3]
    tall, wide = padded_size(inpainter, height, width)
    device = next(inpainter.unet.parameters()).device
    borders = (0, wide - width, 0, tall - height)
    pixels = F.pad(images.movedim(-1, 1) * 2 - 1, borders, mode="replicate").to(device)
    hole = F.pad((masks >= 0.5).float()[:, None], borders).to(device)
    generators = [torch.Generator().manual_seed(seed) for seed in seeds]
    canvas = _canvas(inpainter, run, pixels, hole, generators)

    def show(step: int, foreseen: torch.Tensor | None) -> None:
        report(step, None if foreseen is None else preview(inpainter.vae, foreseen, height / tall, width / wide))

    latents = _denoise(inpainter, run, canvas, generators, show)
    return decode(inpainter.vae, latents)[:, :height, :width]


def _canvas(
    inpainter: Inpainter, run: Run, pixels: torch.Tensor, hole: torch.Tensor, generators: Sequence[torch.Generator]
) -> Canvas:
    """Random numbers are drawn in the order of StableDiffusionInpaintPipeline: original, noise, masked picture."""
    scale = latent_scale(inpainter)
    blends = inpainter.unet.config.in_channels == inpainter.vae.config.latent_channels
    original = encode(inpainter.vae, pixels, generators) if blends or run.strength < 1 else None
    shape = (inpainter.vae.config.latent_channels, pixels.shape[2] // scale, pixels.shape[3] // scale)
    noise = torch.stack([torch.randn(shape, generator=generator) for generator in generators]).to(pixels.device)
    masked = None if blends else encode(inpainter.vae, pixels * (1 - hole), generators)
    # Every cell that the hole touches; the nearest pixel alone would miss thin masks.
    return Canvas(noise, original, F.max_pool2d(hole, scale), masked)


def encode(vae: Any, pixels: torch.Tensor, generators: Sequence[torch.Generator]) -> torch.Tensor:
    """Scaled latents, float32 [n, C, h, w], of pictures [n, 3, H, W] in -1..1; a KL autoencoder's posterior is sampled.

    One picture at a time: a VAE at full resolution needs more memory than the whole UNet.
    """
    encoded = []
    for picture, generator in zip(pixels, generators, strict=True):
        output = vae.encode(picture[None].to(vae.dtype))
        if hasattr(output, "latents"):
            latents = output.latents.float()
        else:
            mean, std = output.latent_dist.mean.float(), output.latent_dist.std.float()
            latents = mean + std * torch.randn(mean.shape, generator=generator).to(mean.device)
        encoded.append(latents * vae.config.scaling_factor)
    return torch.cat(encoded)


def decode(vae: Any, latents: torch.Tensor) -> torch.Tensor:
    """Pictures [n, H, W, 3], 0..1, of scaled latents, one at a time like `encode`."""
    scaled = (latents / vae.config.scaling_factor).to(vae.dtype)
    pictures = [vae.decode(one[None]).sample.float() for one in scaled]
    return (torch.cat(pictures) / 2 + 0.5).clamp(0, 1).movedim(1, -1)


def _denoise(
    inpainter: Inpainter, run: Run, canvas: Canvas, generators: Sequence[torch.Generator], show: OnStep
) -> torch.Tensor:
    """Latents [n, C, h, w]; `show` gets each step and, now and then, what the first image's latents will become."""
    unet, device = inpainter.unet, canvas.noise.device
    scheduler = schedulers.build(run.scheduler, inpainter.scheduler_config)
    scheduler.set_timesteps(run.steps, device=device)
    skipped = (run.steps - effective_steps(run.steps, run.strength)) * scheduler.order
    timesteps = scheduler.timesteps[skipped:]
    if hasattr(scheduler, "set_begin_index"):
        scheduler.set_begin_index(skipped)
    if run.strength < 1:
        latents = scheduler.add_noise(canvas.original, canvas.noise, timesteps[:1])
    else:
        latents = canvas.noise * scheduler.init_noise_sigma
    guided = run.guidance_scale > 1
    context = torch.cat([run.negative, run.positive] if guided else [run.positive])
    context = context.repeat_interleave(len(latents), dim=0).to(unet.dtype)
    options = {"generator": list(generators)} if schedulers.takes_generator(scheduler) else {}
    for index, time in enumerate(timesteps):
        scaled = scheduler.scale_model_input(latents, time)
        given = scaled if canvas.masked is None else torch.cat([scaled, canvas.hole, canvas.masked], dim=1)
        given = torch.cat([given] * 2 if guided else [given]).to(unet.dtype)
        output = unet(given, time, encoder_hidden_states=context).sample.float()
        if guided:
            without, output = output.chunk(2)
            output = without + run.guidance_scale * (output - without)
        last = index == len(timesteps) - 1
        shown = last or (index + 1) % PREVIEW_EVERY == 0
        foreseen = schedulers.foresee(scheduler, output[:1], time, scaled[:1]) if shown else None
        latents = scheduler.step(output, time, latents, **options).prev_sample
        if canvas.masked is None:
            kept = canvas.original
            if not last:
                kept = scheduler.add_noise(kept, canvas.noise, timesteps[index + 1 : index + 2])
            latents = torch.lerp(kept, latents, canvas.hole)
        show(index // scheduler.order + 1, foreseen)
    return latents


def preview(vae: Any, latents: torch.Tensor, tall: float = 1.0, wide: float = 1.0) -> torch.Tensor:
    """Reduced picture [h, w, 3] of latents [1, C, h, w]; `tall` and `wide` are the shares that are no padding."""
    ratio = PREVIEW_CELLS / max(latents.shape[2:])
    if ratio < 1:
        height, width = (max(1, round(side * ratio)) for side in latents.shape[2:])
        latents = F.interpolate(latents, size=(height, width), mode="area")
    picture = decode(vae, latents)[0]
    return picture[: max(1, round(len(picture) * tall)), : max(1, round(picture.shape[1] * wide))]
