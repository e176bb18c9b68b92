"""What ComfyUI's samplers do with its MODEL, CONDITIONING and VAE, as plain functions of noise and seeds."""

# ComfyUI's own modules: nowhere on the path until it runs this file.
# pyright: reportMissingImports=false

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import torch

from ..models.errors import CannotDo
from .handles import OnStep
from .identity import PREFIX, digest, parts

BATCHED = frozenset(
    {
        "euler", "euler_cfg_pp", "heun", "heunpp2", "exp_heun_2_x0", "dpm_2", "lms", "dpm_fast", "dpmpp_2m",
        "dpmpp_2m_cfg_pp", "ddim", "uni_pc", "uni_pc_bh2", "ipndm", "ipndm_v", "deis", "res_multistep",
        "res_multistep_cfg_pp", "gradient_estimation", "gradient_estimation_cfg_pp",
    }
)  # fmt: skip
"""Samplers whose samples do not touch each other. All others draw noise for the whole batch at every step, or, as
dpm_adaptive does, choose steps by the whole batch's error: they, and samplers that other packs bring, run one sample
at a time."""

PREVIEWS = 10
"""Of one run of a sampler."""
SEEDS = 2**64 - 1
"""Step noise takes seeds below this; on the CPU ComfyUI adds 1 to them."""


class CheckpointSampler(NamedTuple):
    """A MODEL with everything that a sample needs.

    denoise(noise, seeds, steps, cfg, on_step): noise float32 [N, *latent_shape] -> latents of the same shape.
    decode(latents): -> pictures, float32 [N, H, W, 3], 0..1, CPU.
    memory_bytes(N): ComfyUI's own estimate for a batch. It makes this room by itself, and places its networks.
    height, width: of the pictures. architecture: ComfyUI's name of the kind of model. parameters: of MODEL and VAE.
    identity: of weights, patches, conditioning, sampler and scheduler.
    """

    denoise: Callable[[torch.Tensor, Sequence[int], int, float, OnStep], torch.Tensor]
    decode: Callable[[torch.Tensor], torch.Tensor]
    memory_bytes: Callable[[int], int]
    latent_shape: tuple[int, ...]
    height: int
    width: int
    architecture: str
    parameters: int
    identity: str


def sampler_names() -> list[str]:
    """ComfyUI's samplers, those of other packs included."""
    from comfy.samplers import KSampler

    return list(KSampler.SAMPLERS)


def scheduler_names() -> list[str]:
    """ComfyUI's schedulers, those of other packs included."""
    from comfy.samplers import KSampler

    return list(KSampler.SCHEDULERS)


def checkpoint_sampler(
    model: Any, positive: Any, negative: Any, vae: Any, width: int, height: int, sampler_name: str, scheduler: str
) -> CheckpointSampler:
    """A MODEL (patched as it is), CONDITIONING and VAE as functions. The size is rounded down to whole latents.

    Raises:
        CannotDo: the model makes no pictures, or the conditioning differs from image to image of a batch.
    """
    for what, conditioning in (("positive", positive), ("negative", negative)):
        most = max((len(embedding) for embedding, _ in conditioning), default=1)
        if most > 1:
            raise CannotDo(f"{what}: it is for batches of {most} images; connect one for single images.")
    ratio = vae.spacial_compression_decode()
    shape = _latent_shape(model, height // ratio, width // ratio)
    networks = (model.model, vae.first_stage_model)
    # A loaded model's weights may have patches in them; the backup has what was there before.
    original = {name: kept.weight for name, kept in model.backup.items()}
    # Quantized weights cannot be looked at under the inference mode of a prompt.
    with torch.inference_mode(False), torch.no_grad():
        weights = ({**model.model.state_dict(), **original}, model.patches, vae.first_stage_model.state_dict())
        identity = digest(parts(weights, PREFIX), parts((positive, negative, sampler_name, scheduler)))
    return CheckpointSampler(
        denoise=partial(_denoise, model, positive, negative, sampler_name, scheduler),
        decode=partial(_decode, vae),
        memory_bytes=partial(_memory_bytes, model, vae, shape, sampler_name in BATCHED),
        latent_shape=shape,
        height=shape[-2] * ratio,
        width=shape[-1] * ratio,
        architecture=type(model.model.model_config).__name__,
        parameters=sum(parameter.numel() for network in networks for parameter in network.parameters()),
        identity=identity,
    )


def _latent_shape(model: Any, height: int, width: int) -> tuple[int, ...]:
    import comfy.sample

    form = model.get_model_object("latent_format")
    if form.latent_dimensions == 1:
        raise CannotDo(f"model: {type(model.model).__name__} makes sound, no pictures; connect another.")
    empty = comfy.sample.fix_empty_latent_channels(model, torch.zeros(1, form.latent_channels, height, width))
    return tuple(empty.shape[1:])


def _denoise(
    model: Any,
    positive: Any,
    negative: Any,
    sampler_name: str,
    scheduler: str,
    noise: torch.Tensor,
    seeds: Sequence[int],
    steps: int,
    cfg: float,
    on_step: OnStep,
) -> torch.Tensor:
    import comfy.sample

    # Where samples share a run, ComfyUI's seed must not tell which ones they are.
    runs = [(noise, 0)] if sampler_name in BATCHED else list(zip(noise.split(1), seeds, strict=True))
    preview = _previewer(model)
    latents = []

    def report(step: int, denoised: torch.Tensor, latent: torch.Tensor, total: int) -> None:
        # A schedule may have a few steps more or fewer than were asked for.
        done = len(latents) * steps + min(step + 1, steps)
        shown = preview(denoised) if (step + 1) % max(1, steps // PREVIEWS) == 0 else None
        on_step(math.ceil(done / len(runs)), shown)

    for start, seed in runs:
        latents.append(
            comfy.sample.sample(
                model, start, steps, cfg, sampler_name, scheduler, positive, negative, torch.zeros_like(start),
                callback=report, disable_pbar=True, seed=seed % SEEDS,
            )
        )  # fmt: skip
    return torch.cat(latents).float()


def _previewer(model: Any) -> Callable[[torch.Tensor], torch.Tensor | None]:
    """Denoised latents -> the first one as ComfyUI shows it, [H, W, 3] 0..1; None where its user wants no previews."""
    import latent_preview

    previewer = latent_preview.get_previewer(model.load_device, model.model.latent_format)

    def preview(denoised: torch.Tensor) -> torch.Tensor | None:
        if previewer is None:
            return None
        _, picture, _ = previewer.decode_latent_to_preview_image("JPEG", denoised)
        return torch.from_numpy(np.asarray(picture.convert("RGB"), dtype=np.float32) / 255)

    return preview


def _decode(vae: Any, latents: torch.Tensor) -> torch.Tensor:
    pictures = vae.decode(latents)
    # A video VAE gives frames; of a picture there is one.
    pictures = pictures[:, 0] if pictures.ndim == 5 else pictures
    return pictures[..., :3].to("cpu", torch.float32).clamp(0, 1)


def _memory_bytes(model: Any, vae: Any, shape: tuple[int, ...], batched: bool, batch_size: int) -> int:
    # Positive and negative conditioning may run together.
    sampling = model.memory_required([2 * (batch_size if batched else 1), *shape])
    return int(max(sampling, vae.memory_used_decode((batch_size, *shape), vae.vae_dtype)))
