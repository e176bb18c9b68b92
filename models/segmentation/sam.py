"""Segment Anything (Kirillov et al. 2023): weights to a segmenter, images to embeddings that prompts then query."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import nn

from ..errors import BadCheckpoint
from ..files.checkpoints import read
from ..files.signatures import identify
from ..pictures.images import rgb
from .architecture import SamConfig, build, detect

FAMILY = "a Segment Anything (SAM) segmenter"

# Colour statistics in 0..255 that every SAM was trained with; cannot be detected.
PIXEL_MEAN = (123.675, 116.28, 103.53)
PIXEL_STD = (58.395, 57.12, 57.375)

OnStep = Callable[[int], None]


def quiet(done: int) -> None:
    """An `on_step` for callers that show no progress."""


class Segmenter(NamedTuple):
    """A SAM network.

    image_encoder: in the compute dtype. prompt_encoder, mask_decoder: float32; they are small, and their positional
    encoding needs the precision.
    identity: tells these weights from others, so that an embedding is decoded only by the network that made it.
    """

    image_encoder: nn.Module
    prompt_encoder: nn.Module
    mask_decoder: nn.Module
    config: SamConfig
    identity: str


class Embedding(NamedTuple):
    """What the image encoder saw in a batch of images of one size.

    features: float32 [B, C, grid, grid].
    height, width: size of the images in pixels.
    identity: `Segmenter.identity` of the network that made it.
    """

    features: torch.Tensor
    height: int
    width: int
    identity: str


def load_segmenter(path: Path, dtype_for: Callable[[int], torch.dtype] = lambda params: torch.float32) -> Segmenter:
    """Read a SAM checkpoint in the layout of package segment_anything, on the CPU.

    `path` is a `.pth` or `.safetensors` file, or a folder that holds `model.safetensors`. `dtype_for` gives the image
    encoder's dtype for its number of parameters.

    Raises:
        BadCheckpoint: the file is broken, of another architecture, or its tensors do not fit a SAM network exactly.
    """
    file = path / "model.safetensors" if path.is_dir() else path
    checkpoint = read(file)
    tensors, metadata = checkpoint.tensors, checkpoint.metadata
    found = identify(tensors)
    if found != FAMILY:
        raise BadCheckpoint(f"model: {file.name} is {found}, expected {FAMILY}; choose another file.")
    try:
        config = detect(tensors, metadata)
    except KeyError as error:
        raise BadCheckpoint(
            f"model: {file.name} looks like {FAMILY}, but its tensor {error} is missing; download it again."
        ) from error
    network = build(config)
    check_fit(network.state_dict(), tensors, file.name)
    network = network.to_empty(device="cpu").eval().requires_grad_(False)
    network.load_state_dict(tensors)
    encoder = network["image_encoder"]
    encoder.to(dtype_for(sum(parameter.numel() for parameter in encoder.parameters())))
    return Segmenter(encoder, network["prompt_encoder"], network["mask_decoder"], config, _identity(tensors))


def _identity(tensors: Mapping[str, torch.Tensor]) -> str:
    """Digest of the encoder's first and last weights: fine-tuning moves at least one of them."""
    digest = hashlib.sha256()
    for name in ("image_encoder.patch_embed.proj.weight", "image_encoder.neck.2.weight"):
        digest.update(tensors[name].float().numpy().tobytes())
    return digest.hexdigest()


def check_fit(expected: Mapping[str, torch.Tensor], found: Mapping[str, torch.Tensor], name: str) -> None:
    """Raise BadCheckpoint unless file `name` holds exactly the `expected` tensors in their shapes."""
    missing = [key for key in expected if key not in found]
    unexpected = [key for key in found if key not in expected]
    misshapen = [
        f"{key} {tuple(found[key].shape)} instead of {tuple(expected[key].shape)}"
        for key in expected
        if key in found and found[key].shape != expected[key].shape
    ]
    for kind, keys in (("missing", missing), ("unexpected", unexpected), ("of another shape", misshapen)):
        if keys:
            raise BadCheckpoint(
                f"model: {name} does not fit {FAMILY}: {len(keys)} tensors {kind}, first {', '.join(keys[:3])}. "
                "It may be a variant of SAM that the pack does not read, or be damaged; choose another file."
            )


def input_size(config: SamConfig, height: int, width: int) -> tuple[int, int]:
    """Height and width of an image once its longest side has the encoder's size."""
    scale = config.image_size / max(height, width)
    return max(1, int(height * scale + 0.5)), max(1, int(width * scale + 0.5))


def preprocess(config: SamConfig, images: torch.Tensor) -> torch.Tensor:
    """Encoder input [B, 3, S, S], float32, of images [B, H, W, 3] with values 0..1.

    As SAM was trained: 8 bit per channel, Pillow's bilinear resize (which antialiases) of the longest side to S,
    normalised colours, zeros to the right and below.
    """
    height, width = input_size(config, *images.shape[1:3])
    eight_bit = (images * 255).round().clamp(0, 255).to("cpu", torch.uint8).numpy()
    resized = [Image.fromarray(image).resize((width, height), Image.Resampling.BILINEAR) for image in eight_bit]
    pixels = torch.from_numpy(np.stack(resized)).permute(0, 3, 1, 2).float()
    mean = torch.tensor(PIXEL_MEAN).view(-1, 1, 1)
    std = torch.tensor(PIXEL_STD).view(-1, 1, 1)
    return F.pad((pixels - mean) / std, (0, config.image_size - width, 0, config.image_size - height))


@torch.no_grad()
def encode(segmenter: Segmenter, images: torch.Tensor, batch_size: int = 1, on_step: OnStep = quiet) -> Embedding:
    """Embed images [B, H, W, 3 or 4], values 0..1, `batch_size` at a time; `on_step` gets the images done so far.

    Raises:
        BadInput: what `check_images` refuses.
    """
    images = rgb(images)
    parameter = next(segmenter.image_encoder.parameters())
    features = []
    for start in range(0, len(images), batch_size):
        pixels = preprocess(segmenter.config, images[start : start + batch_size])
        features.append(segmenter.image_encoder(pixels.to(parameter.device, parameter.dtype)).float())
        on_step(min(start + batch_size, len(images)))
    return Embedding(torch.cat(features), images.shape[1], images.shape[2], segmenter.identity)


def encode_bytes(segmenter: Segmenter, batch_size: int) -> int:
    """Estimated peak of activation memory of `encode` in bytes.

    It is reached in a block of global attention, where an eager attention map of all cells by all cells stands three
    times (scores, scores with relative positions, softmax) beside the block's own activations.
    """
    config = segmenter.config
    size = next(segmenter.image_encoder.parameters()).element_size()
    cells = config.grid**2
    return batch_size * size * cells * (3 * config.num_heads * cells + 8 * config.embed_dim)
