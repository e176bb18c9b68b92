"""Pixel diffusion (Ho et al., 2020, arXiv 2006.11239) on diffusers' UNet2DModel, with classes or without."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final

import torch

from ... import weights
from ...diffusion.memory import unet_floats
from ...diffusion.networks import accepted, todays_attention
from ...diffusion.samplers import OWN, SUPPORTED, own_sampler
from ...diffusion.sampling import Predict
from ...errors import BadCheckpoint
from ...families import Family
from ...files import beside
from ...files.checkpoints import Checkpoint, described
from ...files.folders import CONFIG
from ...files.usual_names import usual_names
from ...random_weights import write_random
from ...weights import DtypeFor, Tensors, empty_weights, full_precision
from .. import noise
from ..base import Descriptor, SampleRequest
from .base import DiffusionGenerator

NAME: Final = "DDPM"
STEPS: Final = 50
"""As diffusers' pipelines of other samplers than DDPM draw unasked."""

UNSEEN: Final[Mapping[str, Any]] = {
    "sample_size": 32,
    "norm_num_groups": None,
    "attention_head_dim": 8,
    "prediction_type": "epsilon",
    "beta_schedule": "linear",
    "num_train_timesteps": 1000,
    "class_names": (),
    "unconditional_label": None,
    "steps": 20,
    "guidance_scale": 2.0,
}
"""Cannot be detected: what the metadata of one of the pack's own files does not tell; diffusers' defaults.

sample_size: pixels a side. norm_num_groups: None for 32, or the most below that divide every width. class_names: one
per class. unconditional_label: the label that stands for no class, the last one. steps, guidance_scale: by the eye.
"""

SIGNS: Final = (
    "conv_in.weight",
    "time_embedding.linear_1.weight",
    "down_blocks.0.resnets.0.conv1.weight",
    "conv_out.weight",
)

STATE_FLOATS: Final = 8
"""Floats per value of the latents that the loop holds beside a network: noise, latents, outputs, the scheduler's."""


class PixelDiffusion(DiffusionGenerator):
    """A U-Net that denoises pictures, or latents where a subclass turns them into pictures.

    unet: UNet2DModel. scheduler_config: see `DiffusionGenerator`. steps: as many as its own sampler takes unasked.
    class_names: of its classes, where they are known. unconditional_label: the one that stands for no class, the
    last; None leaves no guidance.
    """

    pixels = True

    def __init__(
        self,
        unet: Any,
        scheduler_config: Mapping[str, Any],
        steps: int,
        class_names: Sequence[str] = (),
        unconditional_label: int | None = None,
        guidance_scale: float = 1.0,
        architecture: str = NAME,
    ) -> None:
        self.modules = (unet,)
        self.scheduler_config = scheduler_config
        self._unconditional = unconditional_label
        size = unet.config.sample_size
        height, width = (size, size) if isinstance(size, int) else size
        classes = 0 if unet.config.num_class_embeds is None else unet.config.num_class_embeds
        guided = {} if unconditional_label is None else {"guidance_scale": guidance_scale}
        self.descriptor = Descriptor(
            family="diffusion",
            architecture=architecture,
            height=height,
            width=width,
            channels=unet.config.in_channels,
            parameters=sum(parameter.numel() for parameter in unet.parameters()),
            conditions=("none", "class") if classes else ("none",),
            class_names=tuple(class_names),
            num_classes=classes if unconditional_label is None else classes - 1,
            takes_no_class=unconditional_label is not None,
            latent_shape=(unet.config.in_channels, height, width),
            options={"sampler": own_sampler(scheduler_config), "steps": steps, "eta": 0.0, "spacing": OWN, **guided},
            abilities=("sample", "decode", "interpolate"),
        )

    def memory_bytes(self, batch_size: int) -> int:
        unet: Any = self.modules[0]
        channels, height, width = self.latent_shape
        rows = self._rows(self.descriptor.options)
        floats = rows * unet_floats(unet.config) + channels * STATE_FLOATS
        return self._steered_bytes(int(batch_size * height * width * floats * unet.dtype.itemsize), batch_size)

    def _condition(
        self, requests: Sequence[SampleRequest], generators: Sequence[torch.Generator]
    ) -> torch.Tensor | None:
        """int64 [N], the classes; None for a model without."""
        return noise.labels(self.descriptor, requests, generators) if self.descriptor.num_classes else None

    def _network(
        self, condition: torch.Tensor | None, generators: Sequence[torch.Generator], guided: bool, calls: int
    ) -> Predict:
        unet: Any = self.modules[0]
        classes = unet.config.num_class_embeds is not None
        labels = condition.to(unet.device) if condition is not None and classes else None
        if labels is not None and guided:
            assert self._unconditional is not None, "guidance is an option of models with such a label only"
            labels = torch.cat([torch.full_like(labels, self._unconditional), labels])

        def predict(latents: torch.Tensor, time: torch.Tensor) -> torch.Tensor:
            return unet(latents.to(unet.dtype), time, class_labels=labels).sample.float()

        return predict

    def _rendered(self, latents: torch.Tensor) -> torch.Tensor:
        return latents / 2 + 0.5


def detect(checkpoint: Checkpoint) -> bool:
    """A U-Net in diffusers' layout without text: no transformer blocks, no parts beside it."""
    tensors = checkpoint.tensors
    return all(name in tensors for name in SIGNS) and not any("transformer_blocks" in name for name in tensors)


def load(checkpoint: Checkpoint, dtype_for: DtypeFor = full_precision) -> PixelDiffusion:
    """The generator of a state dict of diffusers' UNet2DModel: a file of the pack's own, which tells its settings, or
    one with diffusers' configurations beside it.

    Raises:
        BadCheckpoint: nothing tells what shapes do not; or the tensors do not fit exactly.
    """
    from diffusers import UNet2DModel

    told = described(checkpoint.metadata)
    if not told:
        return _configured(checkpoint)
    known = {**UNSEEN, **told}
    settings = read_settings(checkpoint.tensors)
    if known["unconditional_label"] is not None and settings["num_class_embeds"] is None:
        raise BadCheckpoint(f"{checkpoint.name}, {NAME}: it tells of classes, but lacks class_embedding.weight.")
    with empty_weights():
        unet = UNet2DModel(
            **settings,
            sample_size=known["sample_size"],
            norm_num_groups=known["norm_num_groups"] or math.gcd(32, *settings["block_out_channels"]),
            attention_head_dim=known["attention_head_dim"],
        )
    weights.fill(unet, checkpoint.tensors, f"{checkpoint.name}, {NAME}")
    check_channels(unet, NAME)
    return PixelDiffusion(
        unet,
        scheduler_config(known),
        known["steps"],
        known["class_names"],
        known["unconditional_label"],
        known["guidance_scale"],
    )


def _configured(checkpoint: Checkpoint) -> PixelDiffusion:
    """As the diffusers folder that the file is from."""
    from diffusers import UNet2DModel

    what = f"{checkpoint.name}, {NAME}"
    config = beside.configuration(checkpoint, "UNet2DModel")
    scheduler = beside.scheduler_configuration(checkpoint, SUPPORTED)
    lacking = [name for name, found in ((CONFIG, config), (beside.SCHEDULER, scheduler)) if not found]
    if lacking:
        raise BadCheckpoint(
            f"{what}: tensors do not tell for which size of pictures it was trained, how its norms and attention are "
            f"grouped, by which noise schedule, and whether it foresees noise. Put {' and '.join(lacking)} of the same "
            "model beside it, in a folder of their own, or load its whole diffusers folder."
        )
    if config.get("sample_size") is None:
        raise BadCheckpoint(f"{what}: {CONFIG} beside it does not tell sample_size; download it again.")
    with empty_weights():
        unet = UNet2DModel(**accepted(UNet2DModel, config))
    weights.fill(unet, todays_attention(checkpoint.tensors), what)
    check_channels(unet, what)
    return of_scheduler(unet, scheduler)


def of_scheduler(unet: Any, scheduler: Mapping[str, Any]) -> PixelDiffusion:
    """A network with the scheduler of its publisher; DDPM takes as many steps as it was trained for."""
    ancestral = scheduler["_class_name"] == "DDPMScheduler"
    return PixelDiffusion(unet, scheduler, scheduler.get("num_train_timesteps", 1000) if ancestral else STEPS)


def read_settings(tensors: Tensors) -> dict[str, Any]:
    """Those of UNet2DModel's settings that shapes tell."""
    levels = weights.count_layers(tensors, "down_blocks.{}.resnets.0.conv1.weight")
    widths = tuple(tensors[f"down_blocks.{level}.resnets.0.conv1.weight"].shape[0] for level in range(levels))
    layers = weights.count_layers(tensors, "down_blocks.0.resnets.{}.conv1.weight")
    attended = [any(name.startswith(f"down_blocks.{level}.attentions.") for name in tensors) for level in range(levels)]
    classes = tensors.get("class_embedding.weight")
    return {
        "in_channels": tensors["conv_in.weight"].shape[1],
        "out_channels": tensors["conv_out.weight"].shape[0],
        "block_out_channels": widths,
        "layers_per_block": layers,
        "down_block_types": tuple("AttnDownBlock2D" if attends else "DownBlock2D" for attends in attended),
        "up_block_types": tuple("AttnUpBlock2D" if attends else "UpBlock2D" for attends in reversed(attended)),
        "add_attention": any(name.startswith("mid_block.attentions.") for name in tensors),
        "num_class_embeds": None if classes is None else classes.shape[0],
    }


def scheduler_config(known: Mapping[str, Any]) -> dict[str, Any]:
    """DDIM over the noise schedule of the training; trailing steps begin at its last one, where all is noise."""
    return {
        "_class_name": "DDIMScheduler",
        "num_train_timesteps": known["num_train_timesteps"],
        "beta_schedule": known["beta_schedule"],
        "prediction_type": known["prediction_type"],
        "timestep_spacing": "trailing",
    }


def check_channels(unet: Any, source: str) -> None:
    """Raise BadCheckpoint unless a U-Net of pictures gives what it takes: grey or RGB."""
    inputs, outputs = unet.config.in_channels, unet.config.out_channels
    if inputs not in (1, 3) or outputs != inputs:
        raise BadCheckpoint(
            f"{source}: its U-Net takes {inputs} channels and gives {outputs}; the pack draws with 1 (grey) or 3 (RGB) "
            "of both. A learned variance is not supported."
        )


def tiny(folder: Path) -> Path:
    from diffusers import UNet2DModel

    unet = UNet2DModel(
        block_out_channels=(32, 32),
        layers_per_block=1,
        down_block_types=("DownBlock2D", "AttnDownBlock2D"),
        up_block_types=("AttnUpBlock2D", "UpBlock2D"),
        num_class_embeds=3,
    )
    # A network that foresees noise divides by what little signal the first steps have, and so magnifies rounding.
    told = {
        "sample_size": 16,
        "class_names": ("one", "two"),
        "unconditional_label": 2,
        "prediction_type": "v_prediction",
    }
    return write_random(folder, unet, **told)


FAMILY: Final = Family(NAME, detect, load, tiny, beside.files, partial(usual_names, NAME))
