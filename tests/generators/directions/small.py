"""Small GANs of every architecture, as their families write them."""

from __future__ import annotations

from typing import Any

import torch
from trilemma.models.generators import noise
from trilemma.models.generators.base import Condition, Latents
from trilemma.models.generators.binding import Bound
from trilemma.models.generators.gan import biggan_deep, dcgan, mlp_gan, stylegan1, stylegan2, stylegan3
from trilemma.models.generators.loading import load_generator

STYLED = {"stylegan1": stylegan1, "stylegan2": stylegan2, "stylegan3": stylegan3}
PLAIN = {"dcgan": dcgan, "mlp_gan": mlp_gan, "biggan_deep": biggan_deep}


def tiny(name: str, folder) -> Any:
    return load_generator({**STYLED, **PLAIN}[name].FAMILY.tiny(folder))


def drawn(generator: Any, count: int, seed: int = 0, **options: Any) -> Latents:
    requests = noise.requests(count, seed, [Condition()])
    with torch.no_grad():
        return generator.latents(requests, Bound(generator, options).settings)


def decoded(generator: Any, latents: Latents, **options: Any) -> torch.Tensor:
    requests = noise.requests(len(latents.values), 0, [Condition()])
    with torch.no_grad():
        return generator.decode(latents, requests, Bound(generator, options).settings)
