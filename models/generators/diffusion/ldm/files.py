"""Single files of CompVis's latent diffusion: U-Net, autoencoder, and what reads texts or classes.

What shapes do not tell is by the published configurations, or by a `config.json` beside the file with the names of
those: `num_heads` or `num_head_channels`, `image_size` (cells of the latents), `scale_factor`, `norm_num_groups`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Literal, NamedTuple

import torch
from torch import nn

from .... import weights
from ....diffusion.single_file import FIRST_LAYER, SCALE_FACTOR, UNET, VAE, own_tensors
from ....errors import BadCheckpoint
from ....files import beside
from ....files.checkpoints import Checkpoint
from ....files.folders import CONFIG
from ....weights import DtypeFor, Tensors, empty_weights, under
from ...autoregressive import vqgan
from ...vae import autoencoder_kl
from ..adm.layouts import sizes_of
from ..adm.network import Sizes
from .network import ClassEncoder, LdmUNet, TextEncoder, text_sizes

Kind = Literal["text", "class", "none"]
ENCODER: Final = "cond_stage_model."
TEXT: Final = f"{ENCODER}transformer."
SIGNS: Final[Mapping[Kind, str]] = {
    "text": f"{TEXT}attn_layers.layers.0.1.to_q.weight",
    "class": f"{ENCODER}embedding.weight",
}
WIDTHS: Final[Mapping[Kind, str]] = {"text": "transformer.token_emb.weight", "class": "embedding.weight"}
"""What tells how wide the vectors are that the U-Net attends to."""
OTHERS: Final = ("conditioner.", "model.control_model.")
"""How what else encodes prompts or steers begins, in files of Stable Diffusion XL and others."""
UNUSED: Final = "to_logits."
"""Of the encoder of texts: it foresees pieces, and no picture depends on it."""
BOOK: Final = f"{VAE}quantize.embedding.weight"

PUBLISHED_HEADS: Final[Mapping[tuple[int, bool], Mapping[str, int]]] = {
    # text2img-large; cin256 of f8; cin256-v2
    (320, True): {"num_heads": 8},
    (256, True): {"num_heads": 8},
    (192, True): {"num_heads": 1},
    # celeba256, ffhq256, lsun_beds256; lsun_churches256
    (224, False): {"num_head_channels": 32},
    (192, False): {"num_heads": 8},
}
"""By width, and whether the U-Net sees a condition."""
PICTURE: Final = 256
"""Pixels a side of what all of them draw."""
SCALED: Final[Mapping[Kind, float]] = {"text": 0.18215}
"""What latents of a KL autoencoder are multiplied with, where the file does not hold it."""
BETAS: Final[Mapping[Kind, tuple[float, float]]] = {
    "text": (0.00085, 0.012),
    "class": (0.0015, 0.0195),
    "none": (0.0015, 0.0195),
}
"""First and last of 1000, whose roots are evenly spaced, where the file does not hold them."""


class Ldm(NamedTuple):
    """encoder: of texts or classes. scheduler: as `DiffusionGenerator` has it. side: of latents, cells."""

    unet: LdmUNet
    vae: Any
    encoder: nn.Module | None
    scheduler: dict[str, Any]
    side: int


def kind_of(tensors: Tensors) -> Kind | None:
    """What the model of a file sees; None for another file."""
    if FIRST_LAYER not in tensors or f"{VAE}decoder.conv_in.weight" not in tensors:
        return None
    for kind, sign in SIGNS.items():
        if sign in tensors:
            return kind
    return None if any(name.startswith((ENCODER, *OTHERS)) for name in tensors) else "none"


def read(checkpoint: Checkpoint, dtype_for: DtypeFor) -> Ldm:
    """The networks of a file, with the averaged U-Net where it has both.

    Raises:
        BadCheckpoint: a part does not fit exactly, the parts do not fit one another, or nothing tells what shapes do
            not.
        KeyError: a tensor that tells a size is missing.
    """
    what, told = f"{checkpoint.name}, latent diffusion", beside.settings(checkpoint)
    kind = kind_of(checkpoint.tensors)
    assert kind is not None, "a family has claimed it"
    own = own_tensors(checkpoint.tensors)
    parts = {prefix: under(own, prefix) for prefix in (UNET, VAE, ENCODER)}
    stray = [name for name in own if not name.startswith(tuple(parts))]
    weights.refuse_misfits(what, (), stray, ())
    dtype = dtype_for(sum(map(torch.numel, parts[UNET].values())))
    encoder = _encoder(kind, parts[ENCODER], what, dtype)
    unet = _unet(parts[UNET], told, what, dtype)
    given, seen = _told_width(kind, parts[ENCODER]), _context(parts[UNET])
    if kind in WIDTHS and given != seen:
        raise BadCheckpoint(
            f"{what}: its parts do not belong together: {ENCODER}{WIDTHS[kind]} tells vectors of {given} "
            f"numbers, and its U-Net attends to such of {seen}."
        )
    vae, latent = _autoencoder(own, told, what)
    if unet.sizes.inputs != latent or unet.sizes.outputs != latent:
        raise BadCheckpoint(
            f"{what}: its U-Net takes {unet.sizes.inputs} channels and gives {unet.sizes.outputs}, and the latents of "
            f"its autoencoder have {latent}; the pack draws with models that see nothing beside the latents."
        )
    vae.register_to_config(scaling_factor=_scale(kind, checkpoint.tensors, told, what))
    side = told.get("image_size", PICTURE // 2 ** (len(vae.config.block_out_channels) - 1))
    return Ldm(unet, vae, encoder, _scheduler(kind, checkpoint.tensors), side)


def _encoder(kind: Kind, tensors: Tensors, what: str, dtype: torch.dtype) -> nn.Module | None:
    if kind == "none":
        return None
    if kind == "class":
        with empty_weights():
            encoder: nn.Module = ClassEncoder(*tensors["embedding.weight"].shape)
        _fill(encoder, ENCODER, tensors, f"{what}, classes", dtype)
        return encoder
    own = {name: value for name, value in under(tensors, "transformer.").items() if not name.startswith(UNUSED)}
    with empty_weights():
        encoder = TextEncoder(text_sizes(own))
    _fill(encoder, TEXT, own, f"{what}, text encoder", dtype)
    return encoder


def _told_width(kind: Kind, tensors: Tensors) -> int:
    """Numbers of each vector that the U-Net is told; 0 without any."""
    return tensors[WIDTHS[kind]].shape[1] if kind in WIDTHS else 0


def _context(tensors: Tensors) -> int:
    """Numbers of each vector that the U-Net attends to; 0 where it attends to none but its own."""
    return next((value.shape[1] for name, value in tensors.items() if name.endswith("attn2.to_k.weight")), 0)


def _unet(tensors: Tensors, told: Mapping[str, Any], what: str, dtype: torch.dtype) -> LdmUNet:
    context = _context(tensors)
    sizes = sizes_of(tensors, what)._replace(grouped=True)
    with empty_weights():
        unet = LdmUNet(sizes._replace(**_heads(sizes, bool(context), told, what)), context)
    _fill(unet, UNET, tensors, f"{what}, U-Net", dtype)
    return unet


def _fill(network: nn.Module, prefix: str, tensors: Tensors, what: str, dtype: torch.dtype) -> None:
    """`weights.fill` with the file's names, which begin with a prefix, in messages."""
    expected = {f"{prefix}{name}": value.shape for name, value in network.state_dict().items()}
    weights.check_fit(expected, {f"{prefix}{name}": value for name, value in tensors.items()}, what)
    weights.fill(network, tensors, what, dtype)


def _heads(sizes: Sizes, sees: bool, told: Mapping[str, Any], what: str) -> dict[str, int]:
    names = ("num_heads", "num_head_channels")
    own = {name: told[name] for name in names if name in told}
    found = own or PUBLISHED_HEADS.get((sizes.channels, sees), {})
    heads, each = (found.get(name, 0) for name in names)
    attending = [width for width, attends in zip(sizes.widths, sizes.attended, strict=True) if attends]
    for width in (*attending, sizes.widths[-1]):
        number = heads or each
        if not isinstance(number, int) or isinstance(number, bool) or number < 1 or width % number:
            raise BadCheckpoint(
                f"{what}: shapes do not tell how many heads attend over its {width} channels; write a {CONFIG} with "
                '{"num_heads": ...} or {"num_head_channels": ...} of its configuration beside it.'
            )
    return {"heads": heads, "head_channels": each}


def _autoencoder(tensors: Tensors, told: Mapping[str, Any], what: str) -> tuple[Any, int]:
    """The autoencoder, and the channels of its latents."""
    first = {name: value for name, value in tensors.items() if name.startswith(VAE)}
    if BOOK in first:
        network = vqgan.build(first, dict(told), what).network
        return network, network.config.latent_channels
    network = autoencoder_kl.build(first, told, what)
    return network, network.config.latent_channels


def _scale(kind: Kind, tensors: Tensors, told: Mapping[str, Any], what: str) -> float:
    if SCALE_FACTOR in tensors:
        return float(tensors[SCALE_FACTOR])
    found = told.get("scale_factor", 1.0 if BOOK in tensors else SCALED.get(kind))
    if not isinstance(found, (int, float)) or isinstance(found, bool) or not found > 0:
        raise BadCheckpoint(
            f"{what}: it does not hold what its latents are scaled by; write a {CONFIG} with "
            '{"scale_factor": ...} of its configuration beside it.'
        )
    return float(found)


def _scheduler(kind: Kind, tensors: Tensors) -> dict[str, Any]:
    """DDIM, as the original code spaces its steps."""
    first, last = BETAS[kind]
    betas = tensors.get("betas")
    if betas is None:
        betas = torch.linspace(first**0.5, last**0.5, 1000, dtype=torch.float64) ** 2
    return {
        "_class_name": "DDIMScheduler",
        "num_train_timesteps": len(betas),
        "trained_betas": betas.double().tolist(),
        "timestep_spacing": "leading",
        "steps_offset": 1,
        "set_alpha_to_one": False,
        "clip_sample": False,
    }
