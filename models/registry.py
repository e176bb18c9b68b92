"""What a state dict is, told by the names of its tensors: errors say what a wrong file really holds."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

SIGNATURES: Final = (
    ("a Segment Anything (SAM) segmenter", ("image_encoder.patch_embed.proj.weight", "mask_decoder.iou_token.weight")),
    ("a Grounding DINO detector", ("transformer.decoder.norm.weight", "feat_map.weight")),
    ("a Grounding DINO detector in transformers' layout", ("model.text_projection.weight",)),
    (
        "a Stable Diffusion 1.x or 2.x checkpoint",
        ("model.diffusion_model.input_blocks.0.0.weight", "first_stage_model.encoder.conv_in.weight"),
    ),
    ("a diffusion U-Net without its other parts", ("input_blocks.0.0.weight",)),
    ("an Inception-v3 network", ("Mixed_5b.branch1x1.conv.weight",)),
)
"""Name of an architecture, and tensors that only it has together."""


def identify(names: Collection[str]) -> str:
    """The architecture that these tensor names belong to, or the first names where none is known."""
    for architecture, signature in SIGNATURES:
        if all(name in names for name in signature):
            return architecture
    first = ", ".join(list(names)[:3])
    return f"no architecture that the pack knows (its first tensors are {first})"
