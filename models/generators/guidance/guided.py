"""A generator with a critic: it draws what the critic scores higher.

From latents that pictures depend on smoothly, or by codes as if they did (VQGAN-CLIP, Crowson et al. 2022,
arXiv:2204.08583): Adam on the latent from the sample's own on, against strength times the score and the way from where
it began. Diffusion models: see `sampling.steered`.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

import torch

from ...errors import BadInput, CannotDo
from ...steps import OnStep, after
from ..base import Condition, Generator, SampleRequest
from ..diffusion.base import DiffusionGenerator
from ..projection.adam import Adam
from .critic import Critic, digest
from .guide import Guide, coloured, streams_of

STRENGTH: Final = "critic_strength"
STEPS: Final = "critic_steps"
STEP_SIZE: Final = "critic_step_size"
VARIATION: Final = "total_variation"
"""Its options, beside those of the generator."""
SHOWN: Final = 10
"""Steps between previews."""
LAYERS_KEPT: Final = 5.5
"""Memory of a step with its derivative, relative to drawing."""
NETWORK_KEPT: Final = 6.5
"""The same of a diffusion model's network, and of its autoencoder, which then keeps every picture."""


class Guided(Generator):
    """A generator and the critic that guides it. Its settings are options, so that runs can be told apart by them.

    With a strength of 0 it draws what the generator draws.
    """

    def __init__(self, generator: Generator, critic: Critic, settings: Mapping[str, Any]) -> None:
        self._generator, self._critic = generator, critic
        inner = generator.descriptor
        self.modules = (*generator.modules, *critic.modules)
        self.identity = digest([generator.identity, critic.identity])
        self.files = (*generator.files, *critic.files)
        self.notes = (*generator.notes, *critic.notes)
        self.descriptor = replace(
            inner,
            architecture=f"{inner.architecture} guided by {critic.name}",
            parameters=inner.parameters
            + sum(parameter.numel() for module in critic.modules for parameter in module.parameters()),
            latent_shape=(),
            options={**inner.options, **settings},
            abilities=("sample",),
        )

    def draw(self, requests: Sequence[SampleRequest], options: Mapping[str, Any], on_step: OnStep) -> torch.Tensor:
        own = self._own(options)
        # Inference tensors, such as a prompt of ComfyUI makes them, take part in no derivative.
        with torch.inference_mode(False), torch.no_grad():
            if not options[STRENGTH]:
                return self._unguided(requests, own, on_step)
            streams = streams_of(requests)
            guide = Guide(self._critic, options[STRENGTH], options[VARIATION], requests, streams)
            return self._guided(requests, own, options, guide, on_step)

    def evaluations(self, options: Mapping[str, Any]) -> int:
        return self._generator.evaluations(self._own(options))

    def check_condition(self, condition: Condition) -> None:
        self._generator.check_condition(condition)

    def remark(self, condition: Condition) -> str:
        return self._generator.remark(condition)

    def memory_bytes(self, batch_size: int) -> int:
        seen = self._critic.memory_bytes(self.descriptor.height, self.descriptor.width)
        return self._kept(batch_size) + batch_size * seen

    @abstractmethod
    def _kept(self, batch_size: int) -> int:
        """Memory of the generator with its derivative."""

    @abstractmethod
    def _guided(
        self,
        requests: Sequence[SampleRequest],
        own: Mapping[str, Any],
        options: Mapping[str, Any],
        guide: Guide,
        on_step: OnStep,
    ) -> torch.Tensor:
        """As `draw`; own: the generator's options."""

    def _unguided(self, requests: Sequence[SampleRequest], own: Mapping[str, Any], on_step: OnStep) -> torch.Tensor:
        return self._generator.draw(requests, own, on_step)

    def _own(self, options: Mapping[str, Any]) -> dict[str, Any]:
        return {name: options[name] for name in self._generator.descriptor.options}


class GuidedLatents(Guided):
    """Of a generator that renders latents with derivatives."""

    def _kept(self, batch_size: int) -> int:
        return int(LAYERS_KEPT * self._generator.memory_bytes(batch_size))

    def evaluations(self, options: Mapping[str, Any]) -> int:
        return super().evaluations(options) + (options[STEPS] if options[STRENGTH] else 0)

    def _unguided(self, requests: Sequence[SampleRequest], own: Mapping[str, Any], on_step: OnStep) -> torch.Tensor:
        generator = self._generator
        if "sample" in generator.descriptor.abilities:
            return super()._unguided(requests, own, on_step)
        images = generator.decode(generator.starts(requests, own, on_step), requests, own)
        on_step(generator.evaluations(own), images[-1])
        return images

    def _guided(
        self,
        requests: Sequence[SampleRequest],
        own: Mapping[str, Any],
        options: Mapping[str, Any],
        guide: Guide,
        on_step: OnStep,
    ) -> torch.Tensor:
        generator, steps = self._generator, options[STEPS]
        start = generator.starts(requests, own, on_step)
        told = after(on_step, generator.evaluations(own))
        begun = start.values.to(next(generator.modules[0].parameters()).device)
        # Of each sample, so that steps and ways are of one size whatever a model's latents are.
        spread = begun.flatten(1).std(dim=1).clamp(min=1e-6).reshape(-1, *[1] * (begun.ndim - 1))
        way = torch.zeros_like(begun).requires_grad_()
        adam = Adam([way])
        for step in range(steps):
            with torch.enable_grad():
                latents = start._replace(values=begun + spread * way)
                pictures = generator.render(latents, (), requests, own).float()
                lost = guide.losses(pictures) + way.flatten(1).square().mean(dim=1)
                (derivative,) = torch.autograd.grad(lost.sum(), way)
            adam.step([derivative], options[STEP_SIZE])
            shown = step % SHOWN == 0
            told(step + 1, coloured(pictures)[-1].detach().clamp(0, 1).movedim(0, -1).cpu() if shown else None)
        return generator.decode(start._replace(values=(begun + spread * way.detach()).cpu()), requests, own)


class GuidedSteps(Guided):
    """Of a diffusion model: the critic sees what each step foresees without noise."""

    _generator: DiffusionGenerator

    def _kept(self, batch_size: int) -> int:
        return int(NETWORK_KEPT * batch_size * self._generator.memory_bytes(1))

    def _guided(
        self,
        requests: Sequence[SampleRequest],
        own: Mapping[str, Any],
        options: Mapping[str, Any],
        guide: Guide,
        on_step: OnStep,
    ) -> torch.Tensor:
        return self._generator.draw_steered(requests, own, on_step, guide.losses)


def guided(
    generator: Generator, critic: Critic, strength: float, steps: int, step_size: float, total_variation: float
) -> Guided:
    """A generator with a critic.

    strength: how much the score counts; 0 for not at all. steps, step_size: of Adam on latents, the latter relative to
    their spread; diffusion models take their own steps. total_variation: weight of noise between neighbours.

    Raises:
        CannotDo: the generator's pictures have no derivatives by its latents.
        BadInput: a setting out of range.
    """
    for name, value in (("strength", strength), ("total_variation", total_variation), ("step_size", step_size)):
        if not value >= 0:
            raise BadInput(f"{name}: {value:g} is below the least possible, 0.")
    if steps < 1:
        raise BadInput(f"steps: {steps} is below the least possible, 1.")
    settings = {STRENGTH: strength, VARIATION: total_variation}
    if isinstance(generator, DiffusionGenerator) and "sample" in generator.descriptor.abilities:
        return GuidedSteps(generator, critic, settings)
    if isinstance(generator, Guided):
        raise CannotDo("generator: it is guided already; join critics by their own inputs `critic`.")
    if type(generator).render is Generator.render or "decode" not in generator.descriptor.abilities:
        raise CannotDo(
            f"generator: pictures of {generator.descriptor.architecture} have no derivatives; take a GAN, an "
            "autoencoder, a model of codes, or a diffusion model that the pack has loaded."
        )
    return GuidedLatents(generator, critic, {**settings, STEPS: steps, STEP_SIZE: step_size})
