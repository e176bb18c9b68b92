"""The contract of every inpainter: what one run asks for, and what all of them keep as it was."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple, Protocol

import torch
from torch import nn

from ..closed_vocabulary import remark
from ..diffusion.samplers import OWN
from ..pictures.dust import MASK_THRESHOLD, without_dust
from ..pictures.images import check_images, match_masks
from ..steps import OnStep, quiet
from ..weights import identity_of

SEEDS: Final = 2**64

INSTEAD: Final = (
    "It draws one of its own names instead, and photographs not at all; for anything else load a Stable Diffusion "
    "inpainting model."
)


class InpaintRequest(NamedTuple):
    """What to repaint in a batch of images, and how.

    images: [B, H, W, 3 or 4], 0..1. masks: [B, H, W], 0..1, or one for all, see `images.match_masks`. prompt: what
    shall be seen under the mask; negative_prompt: what shall not. guidance_scale: 1 or less asks the model once
    instead of twice per step, without the negative prompt. strength: share of the steps to run; below 1 they start
    from the noised original instead of from noise. sampler: one of `samplers.NAMES`. seed: image i has its own CPU
    generator, seeded with (seed + i) modulo 2^64, which draws all of its noise. mask_threshold: mask values from here
    on are repainted by the model, smaller ones are dust, see `pictures/dust.py`.
    """

    images: torch.Tensor
    masks: torch.Tensor
    prompt: str
    negative_prompt: str = ""
    steps: int = 20
    guidance_scale: float = 7.5
    strength: float = 1.0
    sampler: str = OWN
    seed: int = 0
    mask_threshold: float = MASK_THRESHOLD


class Paint(Protocol):
    """Repaints one batch."""

    def __call__(
        self, images: torch.Tensor, holes: torch.Tensor, generators: Sequence[torch.Generator], on_step: OnStep, /
    ) -> torch.Tensor:
        """Give pictures float32 [n, H, W, 3], 0..1, on any device, each depending on its own row and generator alone.

        images: [n, H, W, 3], 0..1. holes: [n, H, W], 1 where to repaint, else 0. What is given back elsewhere does not
        matter. on_step: called after every step with the steps done in this batch, 1 to `Inpainter.steps`, and now
        and then with a picture of how the first image is foreseen to end.
        """
        ...


class Inpainter(ABC):
    """Weights of one architecture, ready to repaint. Holds no state of a run: settings come with every call.

    architecture: its name, as messages and tables show it. modules: its networks, which must be on one device at the
    same time, and are asked for it. files: what it was read from. notes: what was chosen of it, as sentences.
    class_names: what it can draw at all, where that is a closed set.
    native_resolution: side in pixels of the pictures that the model was made for.
    """

    architecture: str
    modules: tuple[nn.Module, ...]
    files: tuple[Path, ...] = ()
    notes: tuple[str, ...] = ()
    native_resolution: int
    class_names: tuple[str, ...] = ()
    _identity: str | None = None

    @property
    def identity(self) -> str:
        """Tells the weights from all others; of billions it takes a while, so it is found when first asked for."""
        if self._identity is None:
            self._identity = identity_of(self.modules)
        return self._identity

    def remark(self, prompt: str) -> str:
        """What to say of a prompt that names nothing of a closed set; empty where there is nothing to say."""
        return remark([prompt] if prompt.strip() else [], self.class_names, "this starter inpainter", INSTEAD)

    @torch.no_grad()
    def inpaint(self, request: InpaintRequest, batch_size: int = 1, on_step: OnStep = quiet) -> torch.Tensor:
        """Repaint each image under its mask: a copy of the images [B, H, W, 3 or 4], float32.

        The mask's value is the share of the repainted picture in the result. Where it is 0, and in an alpha channel,
        the result is bit-identical to the image: networks give even an unchanged picture back a little changed.
        Images with an empty mask are not run. Neither the batch size nor the other images change an image.

        on_step: called with the steps done, of B times `steps(request)`, and now and then with a preview.

        Raises:
            BadInput: images, masks, or settings out of range.
        """
        images = check_images(request.images)
        count, height, width, _ = images.shape
        masks = match_masks(without_dust(request.masks, request.mask_threshold), count, height, width)
        steps = self.steps(request)
        result = images.clone()
        wanted = [frame for frame in range(count) if bool(masks[frame].any())]
        if not wanted:
            return result
        paint = self.painter(request)
        for first in range(0, len(wanted), batch_size):
            frames = wanted[first : first + batch_size]
            generators = [torch.Generator().manual_seed((request.seed + frame) % SEEDS) for frame in frames]
            finished = count - len(wanted) + first

            def report(
                done: int, preview: torch.Tensor | None = None, /, finished: int = finished, size: int = len(frames)
            ) -> None:
                on_step(finished * steps + size * done, preview)

            holes = (masks[frames] > 0).float()
            painted = paint(images[frames][..., :3], holes, generators, report)
            result[frames] = _blended(images[frames], masks[frames], painted.to(images.device))
        return result

    @abstractmethod
    def painter(self, request: InpaintRequest) -> Paint:
        """What is the same for all batches of a run, such as its prompts, encoded once."""

    @abstractmethod
    def steps(self, request: InpaintRequest) -> int:
        """Steps that `inpaint` reports for one image.

        Raises:
            BadInput: steps or strength out of range, or together none.
        """

    @abstractmethod
    def memory_bytes(self, batch_size: int, height: int, width: int, guided: bool = True) -> int:
        """Activation memory of `inpaint` for a batch of images of this size, within 0.7 to 1.5 times of what is
        measured. guided: whether the model is asked twice per step (a guidance_scale above 1)."""


def _blended(images: torch.Tensor, masks: torch.Tensor, painted: torch.Tensor) -> torch.Tensor:
    before, share = images[..., :3], masks[..., None]
    blended = before * (1 - share) + painted * share
    return torch.cat([torch.where(share > 0, blended, before), images[..., 3:]], dim=-1)
