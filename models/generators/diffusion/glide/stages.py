"""Both stages of GLIDE: a small picture that shows the prompt, guided, and a large one like it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from ....diffusion import sampling
from ....diffusion.samplers import Schedule
from ....diffusion.sampling import Predict, Report
from ... import noise
from ..adm.process import FAST, LINEAR, Restrict, SpacedSampler, betas_of, respaced
from .network import GlideNetwork, Read
from .words import tokens

SCALE: Final = 4
"""Pixels of a large picture's side to one of a small one."""
STEPS: Final = 100
GUIDANCE_SCALE: Final = 3.0
TEMPERATURE: Final = 0.997
"""Of the noise that large pictures begin with. All three as the authors' notebooks draw."""

TRAINED: Final = 1000
"""Steps of both trainings."""
UPSAMPLING: Final = tuple(respaced(TRAINED, FAST))
"""Steps of the training of the upsampler that are taken."""


class Glide(NamedTuple):
    """Both networks. side: of small pictures, pixels."""

    base: GlideNetwork
    upsampler: GlideNetwork
    side: int


class Known(NamedTuple):
    """What is known of N pictures. picture: [N, 3, h, w], -1..1. kept: [N, 1, h, w], 1 where it is known, else 0."""

    picture: Tensor
    kept: Tensor

    def put_in(self, clean: Tensor) -> Tensor:
        """What is foreseen with what is known, see `Restrict`."""
        return torch.lerp(clean, self.picture, self.kept)

    @property
    def seen(self) -> Tensor:
        """[N, 4, h, w], as networks for inpainting see it."""
        return torch.cat([self.picture * self.kept, self.kept], dim=1)


def restriction(known: Known | None) -> Restrict | None:
    """What is known, to be kept; nothing where nothing is."""
    return None if known is None else known.put_in


def read(network: GlideNetwork, texts: Sequence[str]) -> Read:
    """Each text on its own, so that none depends on the batch."""
    found = {text: network.read(tokens([text], network.text.length)) for text in dict.fromkeys(texts)}
    return Read(*(torch.cat([each[part] for each in map(found.__getitem__, texts)]) for part in (0, 1)))


def drawing(
    network: GlideNetwork, texts: Sequence[str], negative: Sequence[str] | None, known: Known | None
) -> Predict:
    """The base network given these texts, one per sample; where there are `negative` ones, for twice as many samples,
    the first half with those."""
    given = read(network, texts if negative is None else [*negative, *texts])

    def predict(noised: Tensor, time: Tensor) -> Tensor:
        around = _around(network, known, noised, network.sizes.inputs - 3)
        return network(torch.cat([noised, *around], dim=1), _each(time, noised), *given)

    return predict


def enlarging(network: GlideNetwork, texts: Sequence[str], small: Tensor, known: Known | None) -> Predict:
    """The upsampler given these texts and small pictures, [N, 3, h, w], -1..1, as 8 bit hold them."""
    given = read(network, texts)
    large = F.interpolate(eight_bit(small), scale_factor=float(SCALE), mode="bilinear", align_corners=False)

    def predict(noised: Tensor, time: Tensor) -> Tensor:
        around = _around(network, known, noised, network.sizes.inputs - 6)
        return network(torch.cat([noised, *around, large], dim=1), _each(time, noised), *given)

    return predict


def _each(time: Tensor, noised: Tensor) -> Tensor:
    """One time for each sample."""
    return time.reshape(-1).expand(len(noised))


def _around(network: GlideNetwork, known: Known | None, noised: Tensor, channels: int) -> list[Tensor]:
    """What a network for inpainting sees beside noised pictures; of nothing known, zeros."""
    if not channels:
        return []
    if known is None:
        return [noised.new_zeros(len(noised), channels, *noised.shape[2:])]
    repeats = len(noised) // len(known.picture)
    return [known.seen.repeat(repeats, 1, 1, 1)]


def eight_bit(pictures: Tensor) -> Tensor:
    """Pictures of -1..1 as 256 steps hold them."""
    return ((pictures + 1) * 127.5).round() / 127.5 - 1


def enlarge(
    glide: Glide,
    texts: Sequence[str],
    small: Tensor,
    generators: Sequence[torch.Generator],
    report: Report,
    known: Known | None,
) -> Tensor:
    """Large pictures, float32 [N, 3, H, W], -1..1, of small ones: by DDIM, or where a part is known by DDPM's steps, as
    the authors' notebooks do."""
    height, width = (SCALE * side for side in small.shape[2:])
    start = TEMPERATURE * noise.normal(generators, (3, height, width)).to(small.device)
    predict = enlarging(glide.upsampler, texts, small, known)
    return sampling.denoise(predict, upsampling(known), start, generators, report)


def upsampling(known: Known | None) -> Schedule:
    """Of large pictures."""
    made = SpacedSampler(betas_of(LINEAR, TRAINED), UPSAMPLING, ancestral=known is not None)
    made.restrict = restriction(known)
    return Schedule(made, made.timesteps)
