"""The models that are adapted, and what travels on: networks that stayed keep the host's grip that they have."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

from torch import nn

from ... import host
from ...models.errors import BadInput
from ...models.generators.diffusion.latent_diffusion import TextToImage
from ...models.inpainting.stable_diffusion import StableDiffusionInpainter
from . import inputs, kinds

Holding = tuple[Sequence[nn.Module], host.Handle]
"""Networks that are held already, and their handle, which has its patchers in that order."""


def regrouped(model: Any, modules: Sequence[nn.Module], *holding: Holding) -> host.Handle:
    """A handle of a model with these networks."""
    held: dict[int, Any] = {}
    for known, handle in holding:
        held |= zip(map(id, known), handle.patchers, strict=True)
    new = [module for module in modules if id(module) not in held]
    held |= zip(map(id, new), host.hold(model, new).patchers, strict=True)
    return host.Handle(model, tuple(held[id(module)] for module in modules))


class Adapted(NamedTuple):
    """A kind of model that is adapted.

    name, link: of the input, and of the output. source: the input's tooltip. model: the Stable Diffusion model of a
    handle. carried: what travels in the handle of an adapted model, by what travelled before.
    """

    name: str
    link: str
    source: str
    model: Callable[[host.Handle], Any]
    carried: Callable[[Any, Any], Any]

    def input(self) -> dict[str, inputs.Input]:
        """The input that takes it."""
        return {self.name: inputs.link(self.link, self.source)}

    def handle(self, before: host.Handle, adapted: Any, *holding: Holding) -> tuple[host.Handle]:
        """The node's output: networks that stayed keep the host's grip. holding: of further networks."""
        held = (self.model(before).modules, before)
        return (regrouped(self.carried(before.model, adapted), adapted.modules, held, *holding),)


def of_inpainter(inpainter: host.Handle) -> StableDiffusionInpainter:
    """The Stable Diffusion model of an inpainter."""
    if isinstance(inpainter.model, StableDiffusionInpainter):
        return inpainter.model
    raise BadInput(
        f"inpainter: {inpainter.model.architecture} is no Stable Diffusion model, which this is for; load one of those."
    )


def of_generator(generator: host.Handle) -> TextToImage:
    """The Stable Diffusion model of a generator."""
    found = generator.model.generator
    if isinstance(found, TextToImage):
        return found
    raise BadInput(
        f"generator: {found.descriptor.architecture} is no Stable Diffusion model from Load Generator, which this is "
        "for; to a MODEL of ComfyUI lay LoRAs and ControlNets by its own nodes, before Generator from Checkpoint."
    )


def architecture(model: Any) -> str:
    """As messages show it."""
    return getattr(model, "architecture", "") or model.descriptor.architecture


INPAINTER: Final = Adapted(
    "inpainter",
    kinds.INPAINTER,
    "A Stable Diffusion model from Load Inpainter.",
    of_inpainter,
    lambda before, adapted: adapted,
)
GENERATOR: Final = Adapted(
    "generator",
    kinds.GENERATOR,
    "A Stable Diffusion model from Load Generator.",
    of_generator,
    lambda before, adapted: before._replace(generator=adapted),
)
