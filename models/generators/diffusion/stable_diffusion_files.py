"""Single files of Stable Diffusion 1.x, 2.x and XL in the original layout, base and inpainting models."""

from __future__ import annotations

from functools import cache, partial
from typing import Final

from ...diffusion import original_layout, prediction, single_file, tiny
from ...diffusion.loading import from_single_file
from ...diffusion.original_layout import BASE, VERSIONS, Version
from ...families import Family
from ...files.checkpoints import Checkpoint
from ...weights import DtypeFor
from ..base import Generator
from .latent_diffusion import TextToImage


def load(checkpoint: Checkpoint, dtype_for: DtypeFor) -> TextToImage:
    """The generator of a single file; what shapes cannot tell is that of the published models."""
    version = single_file.version_of(checkpoint.tensors)
    return TextToImage(from_single_file(checkpoint, dtype_for), architecture=version.name)


@cache
def _typical(version: Version) -> frozenset[str]:
    """Names in a base model, the same in an inpainting model."""
    return frozenset(original_layout.weights(original_layout.PUBLISHED[version]))


def _of_files(version: Version) -> Family[Generator]:
    return Family(
        version.name,
        lambda checkpoint: single_file.detect(checkpoint.tensors, version),
        load,
        partial(tiny.write_single_file, channels=BASE.channels, version=version),
        prediction.files,
        typical=partial(_typical, version),
    )


FAMILIES: Final = tuple(map(_of_files, VERSIONS))
