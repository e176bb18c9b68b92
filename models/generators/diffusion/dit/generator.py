"""DiT as a generator: classes to pictures, through an autoencoder."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, Final

import torch
from torch import Tensor, nn

from ....diffusion.autoencoders import decoded, latent_scale, preview
from ....diffusion.memory import vae_floats
from ....diffusion.samplers import OWN, Schedule, own_sampler
from ....diffusion.sampling import Predict
from ....families import Family
from ....files.checkpoints import Checkpoint
from ....imagenet import names_of
from ....weights import DtypeFor, full_precision
from ... import noise
from ...base import Descriptor, SampleRequest
from ..adm.process import ANCESTRAL, LINEAR, SpacedSampler, betas_of, guided, own_schedule
from ..base import DiffusionGenerator
from ..ddpm import STATE_FLOATS
from ..latent_diffusion import PICTURE_FLOATS
from . import files
from .files import NAME
from .network import DiT, Sizes

TRAINED: Final = 1000
STEPS: Final = 250
PIPELINE_STEPS: Final = 50
GUIDANCE_SCALE: Final = 4.0
"""As the script of its authors draws, and diffusers' DiTPipeline, unasked. The paper's best numbers are of 1.5."""
GUIDED_CHANNELS: Final = 3
"""Of latents that the authors' code guides, the first ones; the published numbers are of that."""
SCHEDULER: Final[Mapping[str, Any]] = {
    "_class_name": "DDPMScheduler",
    "num_train_timesteps": TRAINED,
    "beta_schedule": "linear",
    "beta_start": 1e-4,
    "beta_end": 0.02,
    "timestep_spacing": "linspace",
    "clip_sample": False,
}
ATTENDING: Final = 9
"""Widths per token that a block holds at its peak but for the feed-forward layer: the residual stream, normalised and
modulated tokens, queries, keys, values, what they see twice."""
FEEDING: Final = 3
"""The same beside the hidden layer and its activation."""


class LatentTransformer(DiffusionGenerator):
    """A transformer in the latent space of an AutoencoderKL. classes: without the one for none. nothing: the label for
    no class; None where there is none, and so no guidance."""

    guided_channels: int

    def __init__(
        self,
        architecture: str,
        network: nn.Module,
        vae: Any,
        sizes: Sizes,
        classes: int,
        class_names: Sequence[str],
        scheduler_config: Mapping[str, Any],
        options: Mapping[str, Any],
    ) -> None:
        self.network, self.vae, self.sizes = network, vae, sizes
        self.modules = (network, vae)
        self.scheduler_config = scheduler_config
        self._nothing = classes if sizes.rows > classes else None
        side = sizes.side * latent_scale(vae)
        guidance = {} if self._nothing is None else {"guidance_scale": GUIDANCE_SCALE}
        self.descriptor = Descriptor(
            family="diffusion",
            architecture=architecture,
            height=side,
            width=side,
            channels=vae.config.out_channels,
            parameters=sum(each.numel() for module in self.modules for each in module.parameters()),
            conditions=("none", "class"),
            class_names=tuple(class_names),
            num_classes=classes,
            takes_no_class=self._nothing is not None,
            latent_shape=(sizes.channels, sizes.side, sizes.side),
            options={**options, **guidance},
            abilities=("sample", "decode", "interpolate"),
        )

    @abstractmethod
    def _output(self, latents: Tensor, time: Tensor, labels: Tensor) -> Tensor:
        """[N, outputs, h, w] of latents in the network's dtype, times [N] and labels [N]."""

    def memory_bytes(self, batch_size: int) -> int:
        sizes, (_, height, width) = self.sizes, self.latent_shape
        tokens = height * width // sizes.patch**2
        floats = max(ATTENDING * sizes.width, FEEDING * sizes.width + 2 * sizes.hidden) * tokens
        held = self._rows(self.descriptor.options) * floats + sizes.channels * height * width * STATE_FLOATS
        pixels = height * width * latent_scale(self.vae) ** 2
        decoding = pixels * vae_floats(self.vae.config) * 4 + batch_size * pixels * PICTURE_FLOATS * 4
        return int(max(batch_size * held * next(self.network.parameters()).dtype.itemsize, decoding))

    def _condition(self, requests: Sequence[SampleRequest], generators: Sequence[torch.Generator]) -> Tensor:
        """int64 [N], the classes."""
        return noise.labels(self.descriptor, requests, generators)

    def _network(self, condition: Tensor, generators: Sequence[torch.Generator], guided: bool, calls: int) -> Predict:
        weight = next(self.network.parameters())
        labels = condition.to(weight.device)
        if guided:
            assert self._nothing is not None, "guidance is an option of models with such a label only"
            labels = torch.cat([torch.full_like(labels, self._nothing), labels])

        def predict(latents: Tensor, time: Tensor) -> Tensor:
            times = time.to(weight.device).reshape(-1).expand(len(latents))
            return self._output(latents.to(weight.dtype), times, labels).float()

        return predict

    def _fitted(self, predict: Predict, schedule: Schedule) -> Predict:
        """Other samplers than its own take no variances."""
        if isinstance(schedule.scheduler, SpacedSampler):
            return predict
        return lambda latents, time: predict(latents, time)[:, : self.sizes.channels]

    def _guided_by(self, predict: Predict, scale: float) -> Predict:
        return guided(predict, scale, self.guided_channels)

    def _rendered(self, latents: Tensor) -> Tensor:
        return decoded(self.vae, latents)

    def _preview(self, latents: Tensor) -> Tensor:
        return preview(self.vae, latents)


class DiTGenerator(LatentTransformer):
    """Of a file of the authors. By DDPM and DDIM it steps as their code does; other samplers are diffusers', with the
    same noise schedule."""

    network: DiT
    guided_channels = GUIDED_CHANNELS

    def __init__(self, network: DiT, vae: Any, classes: int, identity: str) -> None:
        options = {"sampler": ANCESTRAL, "steps": STEPS, "eta": 0.0, "spacing": OWN, "respacing": ""}
        super().__init__(NAME, network, vae, network.sizes, classes, names_of(classes), SCHEDULER, options)
        self._identity = identity

    def _output(self, latents: Tensor, time: Tensor, labels: Tensor) -> Tensor:
        return self.network(latents, time, labels)

    def _schedule(self, options: Mapping[str, Any], device: torch.device | str = "cpu") -> Schedule:
        learned = self.sizes.outputs > self.sizes.channels
        own = own_schedule(betas_of(LINEAR, TRAINED), options, learned, clip=False)
        return super()._schedule(options, device) if own is None else own


class DiTPipeline(LatentTransformer):
    """Of a diffusers folder, with diffusers' transformer, whose embedding of times is another. As in its pipeline, all
    channels are guided, and variances are left aside."""

    def __init__(
        self,
        architecture: str,
        network: Any,
        vae: Any,
        class_names: Sequence[str],
        scheduler_config: Mapping[str, Any],
    ) -> None:
        config = network.config
        width, rows = config.num_attention_heads * config.attention_head_dim, config.num_embeds_ada_norm + 1
        sizes = Sizes(
            config.sample_size,
            config.in_channels,
            config.patch_size,
            width,
            config.num_layers,
            config.num_attention_heads,
            rows,
            network.out_channels,
            4 * width,
        )
        self.guided_channels = sizes.channels
        options = {"sampler": own_sampler(scheduler_config), "steps": PIPELINE_STEPS, "eta": 0.0, "spacing": OWN}
        super().__init__(architecture, network, vae, sizes, rows - 1, class_names, scheduler_config, options)

    def _output(self, latents: Tensor, time: Tensor, labels: Tensor) -> Tensor:
        return self.network(latents, timestep=time, class_labels=labels).sample


def load(checkpoint: Checkpoint, dtype_for: DtypeFor = full_precision) -> DiTGenerator:
    """The generator of a file, see `files.read`."""
    return DiTGenerator(*files.read(checkpoint, dtype_for))


FAMILY: Final = Family(NAME, files.detect, load, files.tiny, files.files, files.typical)
