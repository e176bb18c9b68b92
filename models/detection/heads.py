"""The heads of a decoder's layers, which releases of transformers share, name and save differently.

Grounding DINO has one head for the boxes of all layers; of MM-Grounding-DINO the configuration says whether its heads
are shared, which transformers 4 does not heed: there each layer has heads of its own. The decoder holds them a second
time; transformers 4 saves heads of higher layers under that name, transformers 5 under the other. Left to itself,
transformers 5 takes the first layer's heads for the others', with a warning, where a file of transformers 4 has their
own and its configuration says that they are shared.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

import torch

from ..weights import Tensors

HEAD: Final = re.compile(r"(bbox|class)_embed\.(\d+)\.(.*)")
DECODER: Final = "model.decoder."
"""Before a head's second name."""
SHARE: Final = {"bbox": "decoder_bbox_embed_share", "class": "decoder_cls_embed_share"}
UNREAD: Final = ".swin.layernorm."
"""In what transformers 5 saves, and read by no one: the norm behind a backbone's last stage."""


def spread(config: Mapping[str, Any], tensors: Tensors) -> dict[str, torch.Tensor]:
    """The tensors with the heads of all layers under both names, as far as the file has them, or has the first layer's
    and the configuration calls them shared. All releases then load the same network."""
    spread = dict(tensors)
    heads = {(head[1], head[3]) for name in tensors if (head := HEAD.fullmatch(name.removeprefix(DECODER)))}
    for part, rest in heads:
        first = None
        for layer in range(config.get("decoder_layers", 6)):
            names = [f"{owner}{part}_embed.{layer}.{rest}" for owner in ("", DECODER)]
            own = next((tensors[name] for name in names if name in tensors), None)
            first = own if layer == 0 else first
            given = first if own is None and config.get(SHARE[part], True) else own
            for name in names:
                if given is not None:
                    spread.setdefault(name, given)
    return spread


def distinct(tensors: Tensors) -> dict[str, torch.Tensor]:
    """The weights without what repeats others or is not read, so that a network has one identity in all its layouts.

    Left out are indices, a head's second name, and a layer's head that is the same as the first layer's.
    """
    kept: dict[str, torch.Tensor] = {}
    for name in sorted(tensors):
        tensor = tensors[name]
        if UNREAD in name or not tensor.is_floating_point():
            continue
        short = name.removeprefix(DECODER)
        if not HEAD.fullmatch(short):
            kept[name] = tensor
        elif short not in kept:
            kept[short] = tensor
        elif not torch.equal(tensor, kept[short]):
            kept[name] = tensor
    return {name: tensor for name, tensor in kept.items() if not _is_the_firsts(name, kept)}


def _is_the_firsts(name: str, tensors: Tensors) -> bool:
    head = HEAD.fullmatch(name)
    first = f"{head[1]}_embed.0.{head[3]}" if head else name
    return first != name and first in tensors and torch.equal(tensors[name], tensors[first])
