"""StyleGAN generators (Karras et al. 2018) in the layouts that people have: rosinality's, genforce's, lernapparat's,
and TensorFlow's own pickles, read as data.

All sizes are read from shapes. Cannot be detected, and set by the layout: scales, epsilon, the order of bias and blur
(see `network.Settings`). Of rosinality's files, which always hold the network of 1024 pixels, the levels that training
reached are used. Files without constant noise get some that is the same at every load, files without a mean of w that
of 10,240 z.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from .... import weights
from ....errors import BadCheckpoint
from ....families import Family
from ....files.checkpoints import Checkpoint
from ....files.folders import weight_files
from ....random_weights import random_tensors, write
from ....weights import DtypeFor, empty_weights, full_precision, undrawn_weights
from ..layouts import converted
from . import layouts
from .generator import StyleGAN1Generator
from .network import Sizes, StyleGAN1

NAME: Final = "StyleGAN"
COUNTED: Final = "synthesis.lod"
"""Of genforce's files: a number, not a weight."""


def detect(checkpoint: Checkpoint) -> bool:
    """Whether a checkpoint is a StyleGAN generator in one of the layouts."""
    tensors = checkpoint.tensors
    return layouts.TENSORFLOW in tensors or layouts.layout_of(tensors) is not None


def load(checkpoint: Checkpoint, dtype_for: DtypeFor = full_precision) -> StyleGAN1Generator:
    """Build the generator of a checkpoint that `detect` claims.

    Raises:
        BadCheckpoint: a tensor is missing, unexpected, or of another shape.
    """
    what = f"{checkpoint.name}, {NAME}"
    tensors = dict(checkpoint.tensors)
    if layouts.TENSORFLOW in tensors:
        tensors = dict(layouts.from_tensorflow(tensors))
    layout = layouts.layout_of(tensors)
    if layout is None:
        raise BadCheckpoint(f"{what}: it is not whole; download it again, or choose another.")
    try:
        sizes = layout.sizes(tensors)
        settings = layout.settings(tensors, sizes)
        with undrawn_weights():
            network = StyleGAN1(sizes, settings)
        shapes = {name: value.shape for name, value in network.state_dict().items()}
        stored = {name: value for name, value in tensors.items() if name != COUNTED}
        made = dict(converted(layout.entries(sizes), stored, shapes, what))
    except BadCheckpoint as error:
        said = str(error)
        raise BadCheckpoint(said if said.startswith(what) else f"{what}: {said}") from error
    has_mean = "mapping.w_avg" in made
    layouts.complete(network, made)
    weights.fill(network, made, what)
    if not has_mean:
        layouts.fill_mean(network)
    return StyleGAN1Generator(NAME, network, weights.identity(checkpoint.tensors))


def _tiny_sizes() -> Sizes:
    return Sizes(6, 6, 2, (8, 8, 4), 3, (0, 1, 2))


def tiny(folder: Path) -> Path:
    """In genforce's layout."""
    shapes = {entry.name: entry.shape for entry in layouts.LAYOUTS[1].entries(_tiny_sizes())}
    made = random_tensors(shapes)
    for name, value in made.items():
        if name.endswith("blur.kernel"):
            made[name] = value[:1].abs().expand_as(value)
    return write(folder / "tiny.safetensors", made)


def _typical() -> frozenset[str]:
    with empty_weights():
        sizes = Sizes(512, 512, 8, (512, 512, 512, 512, 256, 128, 64, 32, 16), 3, tuple(range(9)))
        return frozenset(entry.name for entry in layouts.LAYOUTS[1].entries(sizes))


FAMILY: Final = Family(NAME, detect, load, tiny, weight_files, _typical)
