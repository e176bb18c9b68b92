"""StyleGAN2 generators of files in rosinality's layout (stylegan2-pytorch), and in TensorFlow's own pickles.

All sizes are read from shapes. Cannot be detected: rosinality's code clamps nothing and trains the mapping at a rate of
0.01. TensorFlow's pickles say it among their arguments. Files without a mean of w get that of 10,240 z.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from .... import weights
from ....errors import BadCheckpoint
from ....families import Family
from ....files.checkpoints import Checkpoint
from ....files.folders import weight_files
from ....random_weights import random_tensors, write
from ....weights import DtypeFor, Tensors, full_precision, undrawn_weights
from ..layouts import Entry, converted, mean_w
from ..style_generator import NUMPY
from . import layouts
from .generator import StyleGAN2Generator
from .layers import fir_filter
from .mapping import RATE
from .network import Settings, Sizes, StyleGAN2

ROSINALITY_NAME: Final = "StyleGAN2 (rosinality)"
TENSORFLOW_NAME: Final = "StyleGAN2 (TensorFlow)"
SHOWN: Final = "StyleGAN2"
ARGUMENTS: Final = "static_kwargs"
BUILT: Final = {"architecture": "skip", "nonlinearity": "lrelu", "mapping_nonlinearity": "lrelu", "fused_modconv": None}
"""Arguments of TensorFlow's code that decide about the network, and what the pack builds; None: any."""


def detect_rosinality(checkpoint: Checkpoint) -> bool:
    """Whether a checkpoint is rosinality's generator."""
    return checkpoint.tensors.keys() >= layouts.ROSINALITY


def detect_tensorflow(checkpoint: Checkpoint) -> bool:
    """Whether a checkpoint is TensorFlow's generator of StyleGAN2, or of StyleGAN2-ADA."""
    return checkpoint.tensors.keys() >= layouts.TENSORFLOW


def load_rosinality(checkpoint: Checkpoint, dtype_for: DtypeFor = full_precision) -> StyleGAN2Generator:
    """Build the generator of a checkpoint that `detect_rosinality` claims.

    Raises:
        BadCheckpoint: a tensor is missing, unexpected, or of another shape.
    """
    tensors = dict(checkpoint.tensors)
    sizes = layouts.rosinality_sizes(tensors)
    entries = layouts.rosinality(sizes)
    if layouts.AVERAGE in tensors:
        entries = _with_average(entries, sizes)
    return _generator(checkpoint, sizes, Settings(None, RATE), entries, ROSINALITY_NAME)


def _with_average(entries: Iterator[Entry], sizes: Sizes) -> Iterator[Entry]:
    yield from entries
    yield Entry(layouts.AVERAGE, (sizes.w_dim,), "mapping.w_avg")


def load_tensorflow(checkpoint: Checkpoint, dtype_for: DtypeFor = full_precision) -> StyleGAN2Generator:
    """Build the generator of a checkpoint that `detect_tensorflow` claims.

    Raises:
        BadCheckpoint: a tensor is missing, unexpected, or of another shape; or a network that the pack does not build.
    """
    given = checkpoint.values.get(ARGUMENTS)
    settings = _settings(given if isinstance(given, Mapping) else {}, f"{checkpoint.name}, {TENSORFLOW_NAME}")
    sizes = layouts.tensorflow_sizes(checkpoint.tensors)
    return _generator(checkpoint, sizes, settings, layouts.tensorflow(sizes), TENSORFLOW_NAME)


def _settings(given: Mapping[str, Any], what: str) -> Settings:
    for name, built in BUILT.items():
        if built is not None and given.get(name, built) != built:
            raise BadCheckpoint(
                f"{what}: its {name} is {given[name]!r}; the pack builds {built!r} alone. Choose another file."
            )
    taps = given.get("resample_kernel")
    if taps is not None and list(taps) != [1, 3, 3, 1]:
        raise BadCheckpoint(
            f"{what}: its resample_kernel is {taps}; the pack builds [1, 3, 3, 1]. Choose another file."
        )
    return Settings(given.get("conv_clamp"), given.get("mapping_lrmul", RATE))


def _generator(
    checkpoint: Checkpoint, sizes: Sizes, settings: Settings, entries: Iterator[Entry], name: str
) -> StyleGAN2Generator:
    what = f"{checkpoint.name}, {name}"
    with undrawn_weights():
        network = StyleGAN2(sizes, settings)
    shapes = {key: value.shape for key, value in network.state_dict().items()}
    made: Tensors = converted(entries, checkpoint.tensors, shapes, what)
    filters = {key: fir_filter() for key in shapes if key.endswith("resample_filter")}
    empty = {"mapping.w_avg": network.mapping.w_avg}
    weights.fill(network, {**empty, **filters, **made}, what)
    if "mapping.w_avg" not in made:
        network.mapping.w_avg.copy_(mean_w(network.mapping, sizes.z_dim))
    identity = weights.identity(checkpoint.tensors)
    return StyleGAN2Generator(SHOWN, network, (), identity, NUMPY)


TINY: Final = Sizes(8, 0, 6, 2, (12, 8, 4), 3)
FFHQ: Final = Sizes(512, 0, 512, 8, (512, 512, 512, 512, 512, 256, 128, 64, 32), 3)


def _tiny(folder: Path, entries: Iterator[Entry]) -> Path:
    return write(folder / "tiny.safetensors", random_tensors({each.name: each.shape for each in entries}))


FAMILIES: Final = (
    Family(
        ROSINALITY_NAME,
        detect_rosinality,
        load_rosinality,
        lambda folder: _tiny(folder, layouts.rosinality(TINY)),
        weight_files,
        lambda: frozenset(each.name for each in layouts.rosinality(FFHQ)),
    ),
    Family(
        TENSORFLOW_NAME,
        detect_tensorflow,
        load_tensorflow,
        lambda folder: _tiny(folder, layouts.tensorflow(TINY)),
        weight_files,
        lambda: frozenset(each.name for each in layouts.tensorflow(FFHQ)),
    ),
)
