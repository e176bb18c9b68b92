"""Single files of Stable Diffusion 1.x in the original layout, base and inpainting models."""

from __future__ import annotations

from functools import partial
from typing import Final

from ...diffusion import original_layout, single_file, tiny
from ...diffusion.loading import from_single_file
from ...families import Family
from ...files.checkpoints import Checkpoint
from ...weights import DtypeFor
from .latent_diffusion import TextToImage

NAME: Final = "Stable Diffusion 1.x"


def load(checkpoint: Checkpoint, dtype_for: DtypeFor) -> TextToImage:
    """The generator of a single file; what shapes cannot tell is that of Stable Diffusion 1.x."""
    return TextToImage(from_single_file(checkpoint, dtype_for), architecture=NAME)


def typical() -> frozenset[str]:
    """Names in a base model, the same in an inpainting model."""
    return frozenset(original_layout.weights(original_layout.BASE))


FAMILY: Final = Family(
    NAME,
    lambda checkpoint: single_file.detect(checkpoint.tensors),
    load,
    partial(tiny.write_single_file, channels=original_layout.BASE.channels),
    typical=typical,
)
