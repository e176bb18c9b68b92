"""What a state dict is, told by the names of its tensors: errors say what a wrong file really holds, and its place.

The table stands in a file for each kind, in the order in which it is asked: `SIGNATURES`.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Final

from . import adapters, adversarial, autoencoders, detectors, diffusion, encoders, inpainters, segmenters
from .configurations import MODEL_TYPES
from .signature import LORA, Signature

__all__ = ["LORA", "MODEL_TYPES", "SIGNATURES", "Signature", "recognise"]

LATER: Final = re.compile(r"(?<![^.])(?!(?:320|640|768|1280)(?![^.]))[1-9]\d+(?![^.])")
"""Numbers of two and more digits in names, but for those of hypernetworks."""

SIGNATURES: Final = (
    *adapters.SIGNATURES,
    *inpainters.SIGNATURES,
    *segmenters.SIGNATURES,
    *detectors.SIGNATURES,
    *diffusion.SIGNATURES,
    *adversarial.SIGNATURES,
    *autoencoders.SIGNATURES,
    *encoders.SIGNATURES,
)
"""What files hold, the particular before the general."""


def recognise(names: Collection[str]) -> Signature | None:
    """The architecture that these tensor names belong to; None where no signature fits."""
    # Of layers in a row the first ten tell it; those of a huge file would take a minute.
    text = "\n".join(dict.fromkeys(LATER.sub("10", name) for name in names))
    return next((each for each in SIGNATURES if all(_has(text, pattern) for pattern in each.patterns)), None)


def _has(text: str, pattern: str) -> bool:
    return re.search(f"^(?:{pattern})", text, re.MULTILINE) is not None
