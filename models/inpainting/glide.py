"""GLIDE as an inpainter (Nichol et al., 2021, arXiv 2112.10741): holes of small pictures filled, then enlarged."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Final

import torch
import torch.nn.functional as F

from ..diffusion import sampling
from ..diffusion.samplers import OWN, Schedule, effective_steps
from ..errors import BadInput, CannotDo
from ..families import Family
from ..files.checkpoints import Checkpoint
from ..generators import noise
from ..generators.diffusion.adm.process import COSINE, SpacedSampler, betas_of, guided, respaced
from ..generators.diffusion.glide import files, words
from ..generators.diffusion.glide.memory import stage_bytes
from ..generators.diffusion.glide.progress import Progress
from ..generators.diffusion.glide.stages import (
    SCALE,
    TRAINED,
    UPSAMPLING,
    Glide,
    Known,
    drawing,
    enlarge,
    restriction,
)
from ..steps import OnStep, within
from ..weights import DtypeFor, full_precision
from .base import Inpainter, InpaintRequest, Paint

SAMPLERS: Final = {OWN: True, "DDPM": True, "DDIM": False}
"""Whether they are ancestral."""
PICTURE_FLOATS: Final = 14
"""Floats per pixel of a batch outside of the networks: the pictures before, squared, small and after, and masks."""


class GlideInpainter(Inpainter):
    """Pictures are made square, with border pixels that stay, and seen in the size that the model draws; what it fills
    is enlarged to theirs. Models that do not see holes keep what surrounds them in each step, as the others do too."""

    architecture = files.NAME

    def __init__(self, glide: Glide, identity: str) -> None:
        self.glide = glide
        self.modules = (glide.base, glide.upsampler)
        self._identity = identity
        self.native_resolution = SCALE * glide.side

    def remark(self, prompt: str) -> str:
        return words.remark(prompt, self.glide.base.text.length)

    def steps(self, request: InpaintRequest) -> int:
        if request.sampler not in SAMPLERS:
            raise CannotDo(f"scheduler: {files.NAME} inpaints by DDPM or DDIM, not by {request.sampler}; choose one.")
        if request.steps > TRAINED:
            raise BadInput(f"steps: {request.steps} is more than the model was trained with, {TRAINED}.")
        return effective_steps(request.steps, request.strength) + len(UPSAMPLING)

    def memory_bytes(self, batch_size: int, height: int, width: int, guided: bool = True) -> int:
        rows = 2 * batch_size if guided else batch_size
        pixels = batch_size * max(height, width, self.native_resolution) ** 2
        return stage_bytes(self.glide, rows, batch_size, self.glide.side) + 4 * PICTURE_FLOATS * pixels

    def painter(self, request: InpaintRequest) -> Paint:
        taken = self.steps(request) - len(UPSAMPLING)

        def paint(
            images: torch.Tensor, holes: torch.Tensor, generators: Sequence[torch.Generator], on_step: OnStep, /
        ) -> torch.Tensor:
            return self._paint(request, taken, images, holes, generators, on_step)

        return paint

    def _paint(
        self,
        request: InpaintRequest,
        taken: int,
        images: torch.Tensor,
        holes: torch.Tensor,
        generators: Sequence[torch.Generator],
        on_step: OnStep,
    ) -> torch.Tensor:
        """See `Paint`. taken: steps of small pictures."""
        device = self.glide.base.positional_embedding.device
        height, width = images.shape[1:3]
        side = max(height, width)
        borders = (0, side - width, 0, side - height)
        pixels = F.pad(images.movedim(-1, 1), borders, mode="replicate").to(device)
        hole = F.pad(holes[:, None], borders).to(device)
        # Every cell that the hole touches, and in the large picture all that these cells cover, as in the training.
        small_hole = F.adaptive_max_pool2d(hole, self.glide.side)
        small_known = Known(_sized(pixels, self.glide.side) * 2 - 1, 1 - small_hole)
        large_hole = F.interpolate(small_hole, scale_factor=float(SCALE), mode="nearest")
        large_known = Known(_sized(pixels, self.native_resolution) * 2 - 1, 1 - large_hole)
        progress = Progress(on_step, _shown(height / side, width / side))
        texts = [request.prompt] * len(images)
        with within(self.modules, progress.tick):
            small = self._small(request, taken, small_known, generators, progress)
            progress.next_stage()
            large = enlarge(self.glide, texts, small, generators, progress.report, large_known)
        return _sized(large.clamp(-1, 1) / 2 + 0.5, side).movedim(1, -1)[:, :height, :width]

    def _small(
        self,
        request: InpaintRequest,
        taken: int,
        known: Known,
        generators: Sequence[torch.Generator],
        progress: Progress,
    ) -> torch.Tensor:
        """[N, 3, h, w], -1..1."""
        ancestral = SAMPLERS[request.sampler]
        process = SpacedSampler(betas_of(COSINE, TRAINED), respaced(TRAINED, str(request.steps)), ancestral)
        process.restrict = restriction(known)
        schedule = Schedule(process, process.timesteps[request.steps - taken :])
        start = noise.normal(generators, known.picture.shape[1:]).to(known.picture.device)
        if request.strength < 1:
            start = process.noised(known.picture, start, schedule.times[0])
        count = len(start)
        guides = request.guidance_scale > 1
        negative = [request.negative_prompt] * count if guides else None
        predict = drawing(self.glide.base, [request.prompt] * count, negative, known)
        if guides:
            predict = guided(predict, request.guidance_scale)
        return sampling.denoise(predict, schedule, start, generators, progress.report)


def _sized(pictures: torch.Tensor, side: int) -> torch.Tensor:
    """Square pictures [N, 3, h, h], 0..1, of another size."""
    if pictures.shape[2] == side:
        return pictures
    return F.interpolate(pictures, (side, side), mode="bicubic", antialias=True).clamp(0, 1)


def _shown(down: float, right: float) -> Callable[[torch.Tensor], torch.Tensor]:
    """Shows the part of a square that is not border: shares of its sides."""

    def show(foreseen: torch.Tensor) -> torch.Tensor:
        picture = (foreseen[0] / 2 + 0.5).clamp(0, 1).movedim(0, -1)
        return picture[: math.ceil(down * len(picture)), : math.ceil(right * picture.shape[1])]

    return show


def load(checkpoint: Checkpoint, dtype_for: DtypeFor = full_precision) -> GlideInpainter:
    """The inpainter of a base model's file, see `files.read`."""
    return GlideInpainter(*files.read(checkpoint, dtype_for))


FAMILY: Final[Family[Inpainter]] = Family(files.NAME, files.detect, load, files.tiny, files.files, files.typical)
