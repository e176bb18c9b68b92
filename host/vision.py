"""What ComfyUI's CLIP_VISION makes of images, as a plain function."""

# ComfyUI's own modules: nowhere on the path until it runs this file.
# pyright: reportMissingImports=false

import copy
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple, cast

import comfy.model_management as management
import torch
from torch import nn

from ..models.errors import CannotDo
from .identity import model_identity

NAMES = {"CLIPVisionModelProjection": "CLIP", "Dinov2Model": "DINOv2", "DINOv3ViTModel": "DINOv3"}
"""ComfyUI's classes of vision models that give one vector per image."""


class VisionEncoder(NamedTuple):
    """A CLIP_VISION with everything that features need.

    encode(images): float32 [N, side, side, 3], 0..1 -> vectors, float32 [N, size], CPU. ComfyUI places the network, and
    rounds the values of pixels to 8 bits first.
    memory_bytes(N): of activations. name: of the kind of model. identity: of its weights and patches.
    projection: the weight of CLIP's last layer; None where the model has no such layer.
    mean, std: by which channels are scaled; empty where ComfyUI does not tell.
    """

    encode: Callable[[torch.Tensor], torch.Tensor]
    memory_bytes: Callable[[int], int]
    side: int
    size: int
    name: str
    identity: str
    projection: torch.Tensor | None
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()


class VisionNetwork(nn.Module):
    """A copy of a CLIP_VISION's network that gives derivatives by its pixels, which ComfyUI's own does not: its layers
    add to values in place that their norms need again, and its weights are made in inference mode."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        with torch.inference_mode(False), torch.no_grad():
            self.model = copy.deepcopy(model).to("cpu")
        for norm in (each for each in self.model.modules() if isinstance(each, nn.LayerNorm)):
            norm.register_forward_pre_hook(lambda norm, given: (given[0].clone(), *given[1:]))

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """Vectors, float32 [N, size], of pixels [N, 3, side, side], scaled by mean and std."""
        return self.model(pixel_values=pixels, intermediate_output=-2)[2].float()


def vision_network(clip_vision: Any) -> VisionNetwork:
    """A CLIP_VISION's network with derivatives; the caller holds and places it."""
    return VisionNetwork(clip_vision.model)


def vision_encoder(clip_vision: Any) -> VisionEncoder:
    """A CLIP_VISION as functions; it looks at one black picture to learn the size of its vectors.

    Raises:
        CannotDo: the model gives a grid of vectors, not one per image.
    """
    side = clip_vision.image_size
    black = torch.zeros(1, max(side, 1), max(side, 1), 3)
    vectors = _encode(clip_vision, black) if side > 0 else black
    if vectors.ndim != 2:
        raise CannotDo(
            "clip_vision: this model gives a grid of vectors instead of one per image; connect a CLIP or a DINOv2."
        )
    projection = getattr(getattr(clip_vision.model, "visual_projection", None), "weight", None)
    # Quantized weights cannot be looked at under the inference mode of a prompt.
    with torch.inference_mode(False), torch.no_grad():
        projection = None if projection is None else projection.detach().to("cpu", torch.float32, copy=True)
    kind = type(clip_vision.model).__name__
    return VisionEncoder(
        encode=partial(_encode, clip_vision),
        memory_bytes=partial(_memory_bytes, clip_vision.model, side),
        side=side,
        size=vectors.shape[1],
        name=f"{NAMES.get(kind, kind)} vision, {side} px, {vectors.shape[1]} features",
        identity=model_identity(clip_vision.model, clip_vision.patcher),
        projection=projection,
        mean=tuple(getattr(clip_vision, "image_mean", ())),
        std=tuple(getattr(clip_vision, "image_std", ())),
    )


def _encode(clip_vision: Any, images: torch.Tensor) -> torch.Tensor:
    return clip_vision.encode_image(images, crop=False)["image_embeds"].to("cpu", torch.float32)


def _memory_bytes(model: nn.Module, side: int, batch_size: int) -> int:
    """Of a layer's perceptron, or of its attention, whichever takes more; computed in float32."""
    patches = next(module for module in model.modules() if isinstance(module, nn.Conv2d))
    tokens, width = (side // patches.kernel_size[0]) ** 2 + 1, patches.out_channels
    widest = max(module.out_features for module in model.modules() if isinstance(module, nn.Linear))
    heads = next(cast(int, module.heads) for module in model.modules() if hasattr(module, "heads"))
    # PyTorch's attention never holds the table of all tokens against all; ComfyUI's own does, before and after softmax.
    tables = 0 if management.pytorch_attention_enabled() else 2
    values = max(tokens * (4 * width + 3 * widest), tokens * 10 * width + tables * heads * tokens**2)
    return 4 * batch_size * values
