"""Stable Diffusion models as inpainters: inpainting models, and base models that keep what surrounds the hole."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from functools import cache, partial
from pathlib import Path
from typing import ClassVar, Final, NamedTuple

import torch
import torch.nn.functional as F

from ..diffusion import original_layout, prediction, prompts, samplers, sampling, single_file, tiny
from ..diffusion.adapters.control import Steering
from ..diffusion.adapters.regions import Composing, Composition
from ..diffusion.autoencoders import decode, encode, preview
from ..diffusion.denoiser import predictor
from ..diffusion.folders import holds
from ..diffusion.loading import XL_PIPELINES, from_folder, from_single_file
from ..diffusion.memory import vae_floats
from ..diffusion.original_layout import VERSIONS, Version
from ..diffusion.prompts import Encoded
from ..diffusion.samplers import Schedule
from ..diffusion.stable_diffusion import LATENT_SETTINGS, StableDiffusion
from ..families import Family
from ..files.checkpoints import Checkpoint
from ..files.folders import read_description
from ..steps import OnStep
from ..weights import DtypeFor
from .base import SEEDS, Inpainter, InpaintRequest, Paint

PIPELINES: Final = ("StableDiffusionInpaintPipeline", "StableDiffusionPipeline", "StableDiffusionImg2ImgPipeline")
CHANNELS: Final = 9
"""Of an inpainting model's U-Net: latents, the mask, latents of the masked picture."""

NO_RUNGE_KUTTA: Final = {"skip_prk_steps": True}
"""What StableDiffusionInpaintPipeline sets besides: PNDM's Runge-Kutta steps cannot be combined with a mask."""
MASKED_SETTINGS: Final = {**LATENT_SETTINGS, **NO_RUNGE_KUTTA}

PICTURE_FLOATS: Final = 14
"""Floats per pixel of a batch outside of the networks: the pictures before, padded, masked and after, and masks."""


class Canvas(NamedTuple):
    """Pictures in the latent space, float32. hole: 1 where to repaint.

    noise, original: [n, C, h, w]. hole: [n, 1, h, w]. masked: [n, C, h, w], None for a UNet without such inputs.
    """

    noise: torch.Tensor
    original: torch.Tensor | None
    hole: torch.Tensor
    masked: torch.Tensor | None


class StableDiffusionInpainter(Inpainter):
    """A Stable Diffusion model that repaints.

    Sizes are padded with border pixels to what the networks halve (`padded_size`) and cropped back. A UNet with 9
    input channels sees the hole and the picture around it (Rombach et al., 2022, arXiv 2112.10752); with 4, the
    surroundings are replaced after each step by the original with that step's noise (Avrahami et al., 2023, arXiv
    2206.02779).
    """

    begins_with_noise: ClassVar = True
    """At full strength; else with the noised original."""

    def __init__(self, networks: StableDiffusion, architecture: str = "") -> None:
        self.networks = networks
        self.architecture = architecture or networks.name
        self.modules = networks.modules
        self.native_resolution = networks.native_resolution

    def with_networks(
        self, networks: StableDiffusion, files: Sequence[Path], notes: Sequence[str]
    ) -> StableDiffusionInpainter:
        """The same model with other networks, such as adapted ones. files, notes: what they come from besides."""
        made = copy.copy(self)
        made.networks, made.modules, made._identity = networks, networks.modules, None
        made.files, made.notes = (*self.files, *files), (*self.notes, *notes)
        return made

    def steps(self, request: InpaintRequest) -> int:
        return len(self._schedule(request).times)

    def memory_bytes(self, batch_size: int, height: int, width: int, guided: bool = True) -> int:
        """The larger of what the UNet needs for the whole batch, where guided with and without prompt, and what the VAE
        needs for the one picture that it is given at a time; attention is counted as linear, as in every fused
        kernel."""
        unet, vae = self.networks.unet, self.networks.vae
        tall, wide = self.networks.padded_size(height, width)
        cells = tall * wide // self.networks.latent_scale**2
        rows = 2 * batch_size if guided else batch_size
        denoising = rows * cells * self.networks.step_floats * unet.dtype.itemsize
        decoding = tall * wide * vae_floats(vae.config) * vae.dtype.itemsize
        return int(max(denoising, decoding) + batch_size * tall * wide * PICTURE_FLOATS * 4)

    def painter(self, request: InpaintRequest) -> Paint:
        positive, negative = prompts.both(self.networks, request.prompt, request.negative_prompt)
        context = [negative, positive] if request.guidance_scale > 1 else [positive]

        def paint(
            images: torch.Tensor, holes: torch.Tensor, generators: Sequence[torch.Generator], on_step: OnStep, /
        ) -> torch.Tensor:
            return self._paint(request, context, images, holes, generators, on_step)

        return paint

    def _schedule(self, request: InpaintRequest, device: torch.device | str = "cpu") -> Schedule:
        own = self.networks.latent_settings
        config = {**own, **MASKED_SETTINGS} if self.networks.second is None else {**own, **NO_RUNGE_KUTTA}
        return samplers.schedule(config, request.sampler, request.steps, strength=request.strength, device=device)

    def _paint(
        self,
        request: InpaintRequest,
        context: Sequence[Encoded],
        images: torch.Tensor,
        holes: torch.Tensor,
        generators: Sequence[torch.Generator],
        on_step: OnStep,
    ) -> torch.Tensor:
        """See `Paint`. context: the prompts, one or two, the negative one first."""
        parts = self.networks
        height, width = images.shape[1:3]
        tall, wide = parts.padded_size(height, width)
        device = next(parts.unet.parameters()).device
        borders = (0, wide - width, 0, tall - height)
        pixels = F.pad(images.movedim(-1, 1) * 2 - 1, borders, mode="replicate").to(device)
        hole = F.pad(holes[:, None], borders).to(device)
        canvas = self._canvas(pixels, hole, generators, self._begins_with_noise(request))
        schedule = self._schedule(request, device)

        def keep(latents: torch.Tensor, calls: int) -> torch.Tensor:
            if canvas.masked is not None or canvas.original is None:
                return latents
            return torch.lerp(schedule.noised(canvas.original, canvas.noise, calls), latents, canvas.hole)

        def report(calls: int, foreseen: torch.Tensor | None) -> None:
            shown = None if foreseen is None else preview(parts.vae, foreseen, height / tall, width / wide)
            on_step(calls, shown)

        guided = request.guidance_scale > 1
        # What tells an image of the run is its seed.
        frames = [(generator.initial_seed() - request.seed) % SEEDS for generator in generators]
        cells = (canvas.noise.shape[2], canvas.noise.shape[3])
        steering = None
        if parts.controls:
            frames_of_rows = frames * len(context)
            steering = Steering(
                parts.controls, frames_of_rows, (height, width), (tall, wide), cells, len(schedule.times)
            )
        around = None
        if canvas.masked is not None:
            around = torch.cat([torch.cat([canvas.hole, canvas.masked], dim=1)] * len(context))
        rows = [each for each in context for _ in frames]
        composing = None
        if isinstance(parts.composition, Composition):
            negative = [guided and each is context[0] for each in context for _ in frames]
            of_rows = frames * len(context)
            composing = Composing(parts.composition, rows, negative, of_rows, (height, width), (tall, wide))
        predict = predictor(parts, rows, tall, wide, around, steering, composing)
        latents = sampling.denoise(
            sampling.guided(predict, request.guidance_scale) if guided else predict,
            schedule,
            schedule.start(canvas.noise, None if self._begins_with_noise(request) else canvas.original),
            generators,
            report,
            after=keep,
            guided=guided,
        )
        return decode(parts.vae, latents)[:, :height, :width]

    def _begins_with_noise(self, request: InpaintRequest) -> bool:
        return self.begins_with_noise and request.strength == 1

    def _canvas(
        self, pixels: torch.Tensor, hole: torch.Tensor, generators: Sequence[torch.Generator], from_noise: bool
    ) -> Canvas:
        """Random numbers are drawn in the order of StableDiffusionInpaintPipeline: original, noise, masked picture."""
        parts, scale = self.networks, self.networks.latent_scale
        original = None if parts.sees_holes and from_noise else encode(parts.vae, pixels, generators)
        shape = (parts.latent_channels, pixels.shape[2] // scale, pixels.shape[3] // scale)
        noise = torch.stack([torch.randn(shape, generator=generator) for generator in generators]).to(pixels.device)
        masked = encode(parts.vae, pixels * (1 - hole), generators) if parts.sees_holes else None
        # Every cell that the hole touches; the nearest pixel alone would miss thin masks.
        return Canvas(noise, original, F.max_pool2d(hole, scale), masked)


def load_file(checkpoint: Checkpoint, dtype_for: DtypeFor) -> StableDiffusionInpainter:
    """The inpainter of a single file."""
    version = single_file.version_of(checkpoint.tensors)
    return StableDiffusionInpainter(from_single_file(checkpoint, dtype_for), version.name)


def load_folder(checkpoint: Checkpoint, dtype_for: DtypeFor) -> StableDiffusionInpainter:
    """The inpainter of a diffusers folder."""
    inpainter = StableDiffusionInpainter(from_folder(checkpoint, dtype_for))
    inpainter.class_names = tuple(read_description(checkpoint.path).get("class_names", ()))
    return inpainter


def _of_files(version: Version) -> Family[Inpainter]:
    return Family(
        version.name,
        lambda checkpoint: single_file.detect(checkpoint.tensors, version),
        load_file,
        partial(tiny.write_single_file, channels=CHANNELS, version=version),
        prediction.files,
        typical=partial(_typical, version),
    )


@cache
def _typical(version: Version) -> frozenset[str]:
    """Names in a single file."""
    return frozenset(original_layout.weights(original_layout.PUBLISHED[version]))


FAMILIES: Final = (
    *map(_of_files, VERSIONS),
    *(
        Family(
            pipeline,
            holds(pipeline),
            load_folder,
            partial(write, pipeline=pipeline, channels=channels),
        )
        for pipelines, write in ((PIPELINES, tiny.write_stable_diffusion), (XL_PIPELINES, tiny.write_xl))
        for pipeline, channels in zip(pipelines, (CHANNELS, 4, 4), strict=True)
    ),
)
