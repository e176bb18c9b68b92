"""Detectors whose matrix products are in bfloat16, and all that places boxes in float32 (Micikevicius et al. 2018,
arXiv:1710.03740).

bfloat16 has 8 bits: of a picture of 800 pixels it tells every fourth place. So what says where - the offsets and shares
of deformable attention, the heads, positions - stays in float32, as do sums of layers, norms, and the attention between
a caption and a picture, of which the scores come.
"""

from __future__ import annotations

import copy
import re
from typing import Any, Final, TypeVar

import torch
from torch import nn

from .base import Detector

D = TypeVar("D", bound=Detector)

PRECISE: Final = re.compile(
    r"text_\w+|language_backbone|sampling_offsets|attention_weights|patch_embeddings?|fusion_layer|enc_output"
    r"|lqe_layers|(encoder_|decoder_)?input_proj(_vision)?|channel_projection_layers"
    r"|(\w+_)?(bbox|box|class|score|objectness|points|pos|position)_(embed|head)"
)
"""The last name, or that before a number, of the layers that stay in float32; each is small beside the others."""


def mixed(detector: D) -> D:
    """The same detector, which computes in mixed precision; its networks are shared, and still compute in float32 for
    the one that is given.

    On devices without bfloat16 products it is slower than in float32.
    """
    for network in detector.modules:
        for name, module in network.named_modules():
            last = next(part for part in reversed(name.split(".")) if not part.isdigit())
            if PRECISE.fullmatch(last):
                _keep_precise(module)
    made = copy.copy(detector)
    made.mixed = True
    made.identity = f"{detector.identity} bfloat16"
    return made


def _keep_precise(module: nn.Module) -> None:
    compute = module.forward

    def forward(*given: Any, **named: Any) -> Any:
        device = next(value.device for value in (*given, *named.values()) if isinstance(value, torch.Tensor))
        with torch.autocast(device.type, enabled=False):
            return compute(*map(_single, given), **{name: _single(value) for name, value in named.items()})

    module.forward = forward


def _single(value: Any) -> Any:
    return value.float() if isinstance(value, torch.Tensor) and value.dtype == torch.bfloat16 else value
