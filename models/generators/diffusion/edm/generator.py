"""EDM as a generator: pictures by Heun's method down the levels of noise."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import torch
from torch import Tensor

from ....diffusion.samplers import OWN
from ....diffusion.sampling import CLEAR, MOST_PREVIEWS, PREVIEW_EVERY
from ....errors import BadInput, CannotDo
from ....families import Family
from ....files import beside
from ....files.checkpoints import Checkpoint
from ....imagenet import CLASSES, names_of
from ....steps import OnStep, quiet, within
from ....weights import DtypeFor, full_precision
from ... import noise
from ...base import Descriptor, Latents, SampleRequest
from ..adm import memory
from ..adm.network import Sizes as AdmSizes
from ..base import LONG, DiffusionGenerator
from ..ddpm import STATE_FLOATS
from ..guides import Guide
from . import files, process
from .files import NAME
from .network import Sizes, UNet
from .preconditioning import Preconditioning
from .process import Denoise, Settings

FIRST_ORDER: Final = "Euler"
SAMPLERS: Final = (OWN, FIRST_ORDER)
"""Its own is Heun's method."""
USUAL: Final[Mapping[str, float]] = {
    "sigma_min": 0.002,
    "sigma_max": 80.0,
    "rho": 7.0,
    "s_churn": 0.0,
    "s_tmin": 0.0,
    "s_tmax": 1000.0,
    "s_noise": 1.0,
}
"""As the authors' script draws unasked; its S_max is infinite, beyond all levels."""
STEPS: Final = 18
STEPS_OF_64: Final = 40
OF_IMAGENET: Final[Mapping[str, float]] = {"s_churn": 40.0, "s_tmin": 0.05, "s_tmax": 50.0, "s_noise": 1.003}
STEPS_OF_IMAGENET: Final = 256
"""What the authors advise for each data set, told by the side and the classes."""
WIDE: Final = 2
"""Floats of single precision to one of double, in which the steps are taken."""


class EdmGenerator(DiffusionGenerator):
    """A preconditioned network. Latents "z" are standard normal; they begin at the first level of noise."""

    scheduler_config: Mapping[str, Any] = {}

    def __init__(self, network: UNet, scaled: Preconditioning, identity: str) -> None:
        self.network, self.scaled = network, scaled
        self.modules = (network,)
        self._identity = identity
        sizes = network.sizes
        imagenet = sizes.labels == CLASSES
        steps = STEPS_OF_IMAGENET if imagenet else STEPS_OF_64 if sizes.side > 32 else STEPS
        self.descriptor = Descriptor(
            family="diffusion",
            architecture=NAME,
            height=sizes.side,
            width=sizes.side,
            channels=sizes.channels,
            parameters=sum(parameter.numel() for parameter in network.parameters()),
            conditions=("none", "class") if sizes.labels else ("none",),
            class_names=names_of(sizes.labels),
            num_classes=sizes.labels,
            latent_shape=(sizes.channels, sizes.side, sizes.side),
            options={"sampler": OWN, "steps": steps, **USUAL, **(OF_IMAGENET if imagenet else {})},
            abilities=("sample", "decode", "interpolate"),
        )

    def with_guide(self, guide: Guide, scale: float) -> DiffusionGenerator:
        raise CannotDo(
            f"generator: {NAME} draws at levels of noise that classifiers of guided diffusion were not trained for; "
            "take a guided diffusion model, or guide this one by a critic (Guide Generator)."
        )

    def memory_bytes(self, batch_size: int) -> int:
        sizes, side = self.network.sizes, self.latent_shape[1]
        floats = memory.peak_floats(_as_adm(sizes), side) + WIDE * sizes.channels * STATE_FLOATS * side**2
        return int(batch_size * floats * next(self.network.parameters()).dtype.itemsize)

    def evaluations(self, options: Mapping[str, Any]) -> int:
        return self._settings(options).calls

    def decode(
        self, latents: Latents, requests: Sequence[SampleRequest], options: Mapping[str, Any], on_step: OnStep = quiet
    ) -> Tensor:
        """Without churn."""
        return self._run(requests, {**options, "s_churn": 0.0}, on_step, latents.values)

    def _settings(self, options: Mapping[str, Any]) -> Settings:
        sampler = options["sampler"]
        if sampler not in SAMPLERS:
            raise CannotDo(
                f"sampler: {NAME} draws by Heun's method ({OWN}) or by {FIRST_ORDER}, not by {sampler}; choose one of "
                "them."
            )
        for name in USUAL:
            if options[name] < 0 or not (options[name] or name.startswith("s_")):
                raise BadInput(
                    f"{name}: {options[name]:g} is below its range; it begins at 0, and -1 is the model's own."
                )
        return Settings(options["steps"], *(options[name] for name in USUAL), second_order=sampler == OWN)

    def _condition(self, requests: Sequence[SampleRequest], generators: Sequence[torch.Generator]) -> Tensor | None:
        """int64 [N], the classes; None for a model without."""
        return noise.labels(self.descriptor, requests, generators) if self.descriptor.num_classes else None

    def _network(self, condition: Any, generators: Sequence[torch.Generator], guided: bool, calls: int) -> Denoise:
        """What pictures of one level of noise are without it."""
        weight = next(self.network.parameters())
        labels = None if condition is None else condition.to(weight.device)

        def denoise(noisy: Tensor, level: float) -> Tensor:
            beside, out, into, told = self.scaled.scales(level)
            times = torch.full((1,), told, dtype=torch.float32, device=weight.device)
            seen = (noisy.float() * into).to(weight.dtype)
            found = self.network(seen, times, labels)[:, : noisy.shape[1]]
            # In the precision of the steps: one from a high level to a low one magnifies what is rounded here.
            return noisy * beside + found.to(noisy.dtype) * out

        return denoise

    def _run(
        self,
        requests: Sequence[SampleRequest],
        options: Mapping[str, Any],
        on_step: OnStep,
        initial: Tensor | None = None,
        condition: Any = None,
        losses: Callable[[Tensor], Tensor] | None = None,
    ) -> Tensor:
        settings = self._settings(options)
        device = next(self.network.parameters()).device
        generators = noise.generators(requests)
        drawn_condition = self._condition(requests, generators)
        drawn = noise.normal(generators, self.latent_shape)
        denoise = self._network(drawn_condition if condition is None else condition, generators, False, settings.calls)
        if losses is not None:
            denoise = _led(denoise, lambda clean: losses(self._rendered(clean)))
        # As the authors' code does; Apple's devices have no double precision.
        exact = torch.float32 if device.type == "mps" else torch.float64
        start = (drawn if initial is None else initial).to(device, exact)
        every, done = max(PREVIEW_EVERY, settings.calls // MOST_PREVIEWS), 0

        def report(calls: int, foreseen: Tensor) -> None:
            nonlocal done
            done = calls
            shown = calls == settings.calls or calls % every == 0
            on_step(calls, self._preview(foreseen.float()).cpu() if shown else None)

        with within(self.modules if self.descriptor.parameters >= LONG else (), lambda: on_step(done)):
            made = process.run(denoise, self.scaled, settings, start, generators, report)
        return self._pictures(made.float()).cpu()

    def _rendered(self, latents: Tensor) -> Tensor:
        return latents / 2 + 0.5


def _led(denoise: Denoise, losses: Callable[[Tensor], Tensor]) -> Denoise:
    """What is foreseen, moved against the derivative of its losses [N] by the noisy pictures, as the score is by that
    of log p; see `sampling.steered`."""

    def moved(noisy: Tensor, level: float) -> Tensor:
        if 1 / (1 + level**2) < CLEAR:
            return denoise(noisy, level)
        with torch.inference_mode(False), torch.enable_grad():
            given = noisy.float().clone().requires_grad_()
            clean = denoise(given, level)
            (derivative,) = torch.autograd.grad(losses(clean).sum(), given)
        return (clean.detach() - level**2 * derivative).to(noisy.dtype)

    return moved


def _as_adm(sizes: Sizes) -> AdmSizes:
    """The U-Net of guided diffusion that holds as much."""
    return AdmSizes(sizes.first, sizes.widths, sizes.blocks, sizes.attended, sizes.channels, sizes.outputs)


def load(checkpoint: Checkpoint, dtype_for: DtypeFor = full_precision) -> EdmGenerator:
    """The generator of a file, see `files.read`."""
    return EdmGenerator(*files.read(checkpoint, dtype_for))


FAMILY: Final = Family(NAME, files.detect, load, files.tiny, beside.files, files.typical)
