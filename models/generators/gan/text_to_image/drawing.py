"""What the networks of this room take and give, and the attention to words that AttnGAN and DM-GAN share."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn


class Drawn(NamedTuple):
    """pictures: of each stage, [N, 3, side, side] in -1..1, the last one the result. maps: of each stage that has some,
    [N, K, side, side], 0..1: how much each of K words counts at a place, or where the sentence does."""

    pictures: tuple[Tensor, ...]
    maps: tuple[Tensor, ...] = ()


class TextNetwork(nn.Module):
    """z and a sentence to pictures.

    z_dim, text_dim: sizes of both. noise_dim: of the noise around the sentence, 0 for none. sides: of the pictures of
    each stage, pixels. attends: how many stages look at words. floats: the most numbers that it holds for a picture.
    """

    z_dim: int
    text_dim: int
    noise_dim: int
    sides: tuple[int, ...]
    attends: int
    floats: int

    @abstractmethod
    def z_weights(self) -> Tensor:
        """What the first layer has for z, [outputs, z_dim]."""

    @abstractmethod
    def forward(self, z: Tensor, sentence: Tensor, noise: Tensor, words: Tensor, masks: Sequence[Tensor]) -> Drawn:
        """z: [N, z_dim]. sentence: [N, text_dim]. noise: [N, noise_dim], normal. words: [N, text_dim, L].

        masks: for each stage that attends, bool, [N, 1, L] or [N, side * side, L], true where a word does not count.
        """


def attend(places: Tensor, keys: Tensor, values: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """What each place [N, C, H, W] sees of words whose keys are [N, C, L]: values [N, D, L] as [N, D, H, W], and how
    much of each word, [N, L, H, W].

    The published code lays its mask out by place first while places lie by picture first, so that in batches pictures
    take each other's words into account; here each looks at its own, as in published pictures drawn one at a time.
    """
    weights = places.flatten(2).transpose(1, 2) @ keys
    weights = weights.masked_fill(mask, -torch.inf).softmax(dim=-1).transpose(1, 2)
    return (values @ weights).unflatten(2, places.shape[2:]), weights.unflatten(2, places.shape[2:])
