"""Latent diffusion models of CompVis as generators: by a text, by a class of ImageNet, or by nothing."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final

import torch

from ....detection.captions import read_vocabulary
from ....diffusion.autoencoders import decoded, latent_scale, preview
from ....diffusion.memory import BLOCK, FEED_FORWARD, vae_floats
from ....diffusion.samplers import OWN
from ....diffusion.sampling import Predict
from ....diffusion.single_file import UNET, VAE
from ....families import Family
from ....files import beside
from ....files.checkpoints import Checkpoint
from ....files.folders import CONFIG, write_json
from ....imagenet import class_names
from ....random_weights import random_weights, write
from ....weights import DtypeFor, full_precision
from ... import noise
from ...autoregressive import vq_model, vqgan
from ...base import Condition, Descriptor, SampleRequest
from ...vae import autoencoder_kl
from ..adm.memory import layers
from ..adm.network import Sizes
from ..base import DiffusionGenerator
from ..ddpm import STATE_FLOATS
from ..latent_diffusion import PICTURE_FLOATS
from . import files
from .files import ENCODER, TEXT, Kind, Ldm
from .network import ClassEncoder, LdmUNet, TextEncoder, TextSizes

NAMES: Final[dict[Kind, str]] = {
    "text": "LDM text-to-image",
    "class": "LDM class-conditional",
    "none": "LDM unconditional",
}
IMAGENET: Final = 1000
STEPS: Final[dict[Kind, int]] = {"text": 50, "class": 20, "none": 200}
GUIDANCE_SCALE: Final[dict[Kind, float]] = {"text": 5.0, "class": 3.0}
ETA: Final[dict[Kind, float]] = {"text": 0.0, "class": 0.0, "none": 1.0}
"""As the scripts and the notebook of CompVis draw; its script takes 200 steps by text."""
PADDING: Final = 0
"""The piece that fills up a text."""


class LdmGenerator(DiffusionGenerator):
    """Latents "z" are the noise that latents begin with."""

    def __init__(self, ldm: Ldm, kind: Kind) -> None:
        self.ldm, self.kind = ldm, kind
        self.scheduler_config = ldm.scheduler
        self.modules = tuple(module for module in (ldm.unet, ldm.vae, ldm.encoder) if module is not None)
        classes = ldm.encoder.embedding.num_embeddings if isinstance(ldm.encoder, ClassEncoder) else 0
        # What is told no class is a class of its own, the last.
        self._unconditional = IMAGENET if classes == IMAGENET + 1 else None
        named = min(classes, IMAGENET) if classes in (IMAGENET, IMAGENET + 1) else classes
        guided = kind == "text" or self._unconditional is not None
        self._words = read_vocabulary() if kind == "text" else None
        side = ldm.side * latent_scale(ldm.vae)
        self.descriptor = Descriptor(
            family="diffusion",
            architecture=NAMES[kind],
            height=side,
            width=side,
            channels=ldm.vae.config.out_channels,
            parameters=sum(parameter.numel() for module in self.modules for parameter in module.parameters()),
            conditions={"text": ("none", "prompt"), "class": ("none", "class"), "none": ("none",)}[kind],
            class_names=class_names() if named == IMAGENET else (),
            num_classes=named,
            latent_shape=(ldm.unet.sizes.inputs, ldm.side, ldm.side),
            options={
                "sampler": "DDIM",
                "steps": STEPS[kind],
                "eta": ETA[kind],
                **({"guidance_scale": GUIDANCE_SCALE[kind]} if guided else {}),
                "spacing": OWN,
            },
            abilities=("sample", "decode", "interpolate"),
        )

    def remark(self, condition: Condition) -> str:
        if self._words is None or not isinstance(self.ldm.encoder, TextEncoder):
            return ""
        length, count = self.ldm.encoder.sizes.length, len(self._words.encode(condition.text).ids)
        return f"only the first {length} of {count} pieces of words are read." if count > length else ""

    def memory_bytes(self, batch_size: int) -> int:
        unet, vae = self.ldm.unet, self.ldm.vae
        channels, height, width = self.latent_shape
        pixels = height * width * latent_scale(vae) ** 2
        held = (
            self._rows(self.descriptor.options) * unet_floats(unet, height) + channels * height * width * STATE_FLOATS
        )
        denoising = batch_size * held * _dtype(unet).itemsize
        decoding = pixels * vae_floats(vae.config) * 4 + batch_size * pixels * PICTURE_FLOATS * 4
        return int(max(denoising, decoding))

    def _condition(
        self, requests: Sequence[SampleRequest], generators: Sequence[torch.Generator]
    ) -> torch.Tensor | Sequence[SampleRequest]:
        """int64 [N], the classes; else what was asked for."""
        return noise.labels(self.descriptor, requests, generators) if self.descriptor.num_classes else requests

    def _network(self, condition: Any, generators: Sequence[torch.Generator], guided: bool, calls: int) -> Predict:
        unet = self.ldm.unet
        seen = self._seen(condition, guided)

        def predict(latents: torch.Tensor, time: torch.Tensor) -> torch.Tensor:
            return unet(latents, time.reshape(-1).expand(len(latents)), None, seen)

        return predict

    def _seen(self, condition: Any, guided: bool) -> torch.Tensor | None:
        """[N, L, context], for twice as many samples where guided."""
        encoder = self.ldm.encoder
        if isinstance(encoder, ClassEncoder):
            labels = condition.to(encoder.embedding.weight.device)
            if guided:
                labels = torch.cat([torch.full_like(labels, self._unconditional or 0), labels])
            return encoder(labels)
        if encoder is None:
            return None
        given = [request.condition for request in condition]
        texts = [each.negative for each in given if guided] + [each.text for each in given]
        # Each on its own, so that none depends on the batch.
        found = {
            text: encoder(self._pieces(text).to(next(encoder.parameters()).device)) for text in dict.fromkeys(texts)
        }
        return torch.cat([found[text] for text in texts])

    def _pieces(self, text: str) -> torch.Tensor:
        """int64 [1, L], with BERT's ends."""
        assert self._words is not None and isinstance(self.ldm.encoder, TextEncoder)
        length, found = self.ldm.encoder.sizes.length, self._words.encode(text).ids
        cut = found if len(found) <= length else [*found[: length - 1], found[-1]]
        return torch.tensor([cut + [PADDING] * (length - len(cut))])

    def _rendered(self, latents: torch.Tensor) -> torch.Tensor:
        return decoded(self.ldm.vae, latents)

    def _preview(self, latents: torch.Tensor) -> torch.Tensor:
        return preview(self.ldm.vae, latents).expand(-1, -1, 3)


def _dtype(network: torch.nn.Module) -> torch.dtype:
    return next(network.parameters()).dtype


def unet_floats(unet: LdmUNet, side: int) -> float:
    """Most floats held for latents of this side."""
    return max(
        each.kept
        + ((FEED_FORWARD + BLOCK) * each.width * each.pixels if each.attention and unet.context else each.floats)
        for each in layers(unet.sizes, side)
    )


TINY: Final = Sizes(
    32, (32, 32), 1, (False, True), 4, 4, resampling_blocks=False, scale_shift=False, heads=2, grouped=True
)
TINY_CONTEXT: Final = 16
TINY_TEXT: Final = TextSizes(30522, 6, TINY_CONTEXT, 1, 16)


def tiny(kind: Kind, folder: Path) -> Path:
    """Of latents of 8 cells a side; by nothing with a codebook."""
    books = kind == "none"
    sizes = TINY._replace(inputs=3, outputs=3) if books else TINY
    unet = random_weights(LdmUNet(sizes, 0 if books else TINY_CONTEXT))
    # It foresees little noise: the first steps divide by what little signal they have, and so magnify rounding.
    unet["out.2.weight"] /= 20
    vae: Any = vq_model.of_widths((32, 32), 1, codes=16) if books else autoencoder_kl.of_widths((32, 32), 1)
    made = {f"{UNET}{name}": value for name, value in unet.items()}
    made |= {f"{VAE}{name}": value for name, value in vqgan.original(random_weights(vae), levels=2).items()}
    if kind == "text":
        made |= {f"{TEXT}{name}": value for name, value in random_weights(TextEncoder(TINY_TEXT)).items()}
    elif kind == "class":
        made |= {f"{ENCODER}{name}": value for name, value in random_weights(ClassEncoder(5, TINY_CONTEXT)).items()}
    write_json(folder / CONFIG, {"num_heads": 2, "image_size": 8, "scale_factor": 0.5})
    return write(folder / "tiny.safetensors", made)


def load(kind: Kind, checkpoint: Checkpoint, dtype_for: DtypeFor = full_precision) -> LdmGenerator:
    """The generator of a file, see `files.read`."""
    return LdmGenerator(files.read(checkpoint, dtype_for), kind)


def _family(kind: Kind) -> Family[LdmGenerator]:
    return Family(
        NAMES[kind],
        lambda checkpoint: files.kind_of(checkpoint.tensors) == kind,
        lambda checkpoint, dtype_for=full_precision: load(kind, checkpoint, dtype_for),
        partial(tiny, kind),
        beside.files,
    )


FAMILIES: Final = tuple(map(_family, NAMES))
