"""The smallest generator that has every ability of the contract: one linear layer, two classes."""

from __future__ import annotations

import torch
from torch import nn
from trilemma.models.generators import noise
from trilemma.models.generators.base import Descriptor, Generator, Latents
from trilemma.models.generators.interpolation import spherical
from trilemma.models.steps import quiet

HEIGHT, WIDTH, LATENT = 3, 4, 5
PIXELS = HEIGHT * WIDTH * 3
ABILITIES = ("sample", "encode", "decode", "interpolate", "style mix")


class Toy(Generator):
    """Pictures are sigmoids of a linear map of the latent; class 1 is darker. One batch takes two steps.

    drawn: the indices of all samples in the order in which they were drawn. room: the largest batch that fits.
    """

    def __init__(self, room: int = 10**6, **changes) -> None:
        layer = nn.Linear(LATENT, PIXELS)
        nn.init.normal_(layer.weight, generator=torch.Generator().manual_seed(0))
        nn.init.zeros_(layer.bias)
        self.modules = (layer,)
        self.identity = "toy"
        self.room = room
        self.drawn: list[int] = []
        described = {
            "family": "gan",
            "architecture": "Toy",
            "height": HEIGHT,
            "width": WIDTH,
            "channels": 3,
            "parameters": sum(parameter.numel() for parameter in layer.parameters()),
            "conditions": ("none", "class"),
            "class_names": ("light", "dark"),
            "num_classes": 2,
            "latent_shape": (LATENT,),
            "options": {"truncation_psi": 1.0},
            "abilities": ABILITIES,
        }
        self.descriptor = Descriptor(**{**described, **changes})

    def draw(self, requests, options, on_step):
        self._check_room(len(requests))
        on_step(1, None)
        images = self.decode(self.latents(requests, options), requests, options)
        self.drawn += [request.index for request in requests]
        on_step(2, images[0])
        return images

    def evaluations(self, options):
        return 2

    def memory_bytes(self, batch_size):
        return 2**28 * batch_size

    def latents(self, requests, options):
        values = noise.normal(noise.generators(requests), (LATENT,)) * options["truncation_psi"]
        return Latents(values, "z", self.identity)

    def encode(self, images):
        self._check_room(len(images))
        pixels = torch.logit(images.flatten(1).double().clamp(1e-6, 1 - 1e-6))
        values = pixels @ torch.linalg.pinv(self.modules[0].weight.double()).T
        return Latents(values.float(), "z", self.identity)

    def decode(self, latents, requests, options, on_step=quiet):
        self._check_room(len(requests))
        labels = noise.labels(self.descriptor, requests, noise.generators(requests))
        on_step(1, None)
        light = torch.sigmoid(self.modules[0](latents.values)).unflatten(1, (HEIGHT, WIDTH, 3))
        return light * torch.tensor([1.0, 0.5])[labels][:, None, None, None]

    def interpolate(self, start, end, shares):
        return start._replace(values=spherical(start.values, end.values, shares))

    def style_mix(self, coarse, fine, crossover):
        values = torch.cat([coarse.values[:, :crossover], fine.values[:, crossover:]], dim=1)
        return coarse._replace(values=values)

    def _check_room(self, batch_size):
        if batch_size > self.room:
            raise torch.cuda.OutOfMemoryError(f"no room for {batch_size}")
