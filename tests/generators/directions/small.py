"""Small GANs of every architecture, as their families write them."""

from __future__ import annotations

from typing import Any

import torch
from trilemma.models.generators import noise
from trilemma.models.generators.base import Condition, Latents
from trilemma.models.generators.binding import Bound
from trilemma.models.generators.gan import biggan_deep, dcgan, mlp_gan, stylegan1, stylegan2, stylegan3
from trilemma.models.generators.gan.text_to_image import families, stackgan
from trilemma.models.generators.loading import load_generator

STYLED = {"stylegan1": stylegan1, "stylegan2": stylegan2, "stylegan3": stylegan3}
PLAIN = {"dcgan": dcgan, "mlp_gan": mlp_gan, "biggan_deep": biggan_deep}


TEXT = ("StackGAN++", "AttnGAN", "DM-GAN", "DF-GAN", "SSA-GAN")
"""They draw by sentences, or by those that they know."""


def tiny(name: str, folder) -> Any:
    if name in TEXT:
        family = next(family for family in (stackgan.FAMILY, *families.FAMILIES) if family.name == name)
        return load_generator(family.tiny(folder))
    return load_generator({**STYLED, **PLAIN}[name].FAMILY.tiny(folder))


def drawn(generator: Any, count: int, seed: int = 0, **options: Any) -> Latents:
    requests = noise.requests(count, seed, [Condition()])
    with torch.no_grad():
        return generator.latents(requests, Bound(generator, options).settings)


def decoded(generator: Any, latents: Latents, **options: Any) -> torch.Tensor:
    requests = noise.requests(len(latents.values), 0, [Condition()])
    with torch.no_grad():
        return generator.decode(latents, requests, Bound(generator, options).settings)
