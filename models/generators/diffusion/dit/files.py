"""DiT's files, `DiT-XL-2-256x256.pt` and `DiT-XL-2-512x512.pt`, with the autoencoder of their latents beside them.

Shapes do not tell the number of heads: it is known of the published widths, and of others told by a `config.json`
beside the file as `num_heads`; likewise `num_classes`, where the table of classes has no row for none. SiT's files have
the same tensors, and are of a process that this one does not undo.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from .... import weights
from ....errors import BadCheckpoint, MissingFile
from ....files import beside, checkpoints
from ....files.checkpoints import Checkpoint
from ....files.folders import CONFIG, read_weights, write_json
from ....random_weights import random_weights, write
from ....weights import DtypeFor, Tensors, count_layers, empty_weights
from ...vae import autoencoder_kl
from .network import DiT, Sizes

NAME: Final = "DiT"
PATCHES, LABELS, POSITIONS = "x_embedder.proj.weight", "y_embedder.embedding_table.weight", "pos_embed"
BLOCK: Final = "blocks.{}.adaLN_modulation.1.weight"
SIGNS: Final = (PATCHES, "t_embedder.mlp.0.weight", LABELS, POSITIONS, BLOCK.format(0), "final_layer.linear.weight")
PARTS: Final = frozenset({"x_embedder", "t_embedder", "y_embedder", "pos_embed", "blocks", "final_layer"})
HEADS: Final[Mapping[int, int]] = {1152: 16, 1024: 16, 768: 12, 384: 6}
"""By width, of DiT-XL, L, B and S. Cannot be detected."""
SCALE: Final = 0.18215
"""What latents are multiplied with, where the autoencoder does not tell it."""

ENDINGS: Final = (".pt", ".pth", ".safetensors", ".bin", ".ckpt")
VAE: Final = "vae"
TUNED: Final = ("ft-ema", "ft-mse")
"""Stability AI's autoencoders, as their files and folders are named; the first is the one of the paper's numbers."""
SOURCE: Final = "https://huggingface.co/stabilityai/sd-vae-ft-ema"


def detect(checkpoint: Checkpoint) -> bool:
    """Whether a checkpoint is such a transformer, by itself."""
    tensors = checkpoint.tensors
    return all(sign in tensors for sign in SIGNS) and all(name.partition(".")[0] in PARTS for name in tensors)


def vae_of(path: Path) -> Path | None:
    """The autoencoder: the file or the diffusers folder beside it whose name has "vae" in it, else one of Stability
    AI's in the folder `vae` beside the file's folder, where ComfyUI keeps them; of several the one that was tuned with
    averaged weights (`ft-ema`) first."""
    folder = path if path.is_dir() else path.parent
    near = [each for each in _readable(folder) if VAE in each.name.lower() and each != path]
    far = [each for each in _readable(folder.parent / VAE) if any(name in each.name for name in TUNED)]
    return min(near or far, key=lambda each: (*(name not in each.name for name in TUNED), each.name), default=None)


def _readable(folder: Path) -> Iterator[Path]:
    there = folder.iterdir() if folder.is_dir() else ()
    return (each for each in there if (each / CONFIG).is_file() or (each.is_file() and each.suffix in ENDINGS))


def files(path: Path) -> tuple[Path, ...]:
    """The transformer, the autoencoder and configurations, as far as they are there."""
    first, *others = beside.files(path)
    vae = vae_of(path)
    return tuple(dict.fromkeys((first, *(() if vae is None else beside.files(vae)), *others)))


def sizes_of(tensors: Tensors, told: Mapping[str, Any], what: str) -> Sizes:
    """Of a transformer that `detect` claims. told: `num_heads`, where the width does not tell it.

    Raises:
        BadCheckpoint: nothing tells the heads, or its places are of no square.
    """
    width, channels, patch = tensors[PATCHES].shape[:3]
    cells = math.isqrt(tensors[POSITIONS].shape[1])
    if cells**2 != tensors[POSITIONS].shape[1]:
        raise BadCheckpoint(f"{what}: {POSITIONS} has {tensors[POSITIONS].shape[1]} places, which are no square.")
    heads = told.get("num_heads", HEADS.get(width))
    if not isinstance(heads, int) or isinstance(heads, bool) or heads < 1 or width % heads:
        raise BadCheckpoint(
            f"{what}: shapes do not tell num_heads, a number that divides {width}; write a {CONFIG} with "
            '{"num_heads": ...} beside it.'
        )
    return Sizes(
        cells * patch,
        channels,
        patch,
        width,
        count_layers(tensors, BLOCK),
        heads,
        len(tensors[LABELS]),
        len(tensors["final_layer.linear.weight"]) // patch**2,
        len(tensors["blocks.0.mlp.fc1.weight"]),
    )


def classes_of(sizes: Sizes, told: Mapping[str, Any], what: str) -> int:
    """How many classes there are: the last row of the table is for none, unless the table is ImageNet's, or the
    configuration says that there are as many classes as rows."""
    found = told.get("num_classes", sizes.rows - 1 if sizes.rows != 1000 else 1000)
    if found not in (sizes.rows, sizes.rows - 1) or found < 1:
        raise BadCheckpoint(
            f"{what}: its {CONFIG} says num_classes = {found!r}; {LABELS} has {sizes.rows} rows, one of which "
            "may be for none."
        )
    return found


def read(checkpoint: Checkpoint, dtype_for: DtypeFor) -> tuple[DiT, Any, int, str]:
    """The transformer, its autoencoder (diffusers' AutoencoderKL), how many classes there are, and what tells both
    networks from others.

    Raises:
        MissingFile: there is no autoencoder.
        BadCheckpoint: a network's tensors do not fit exactly, they do not fit one another, or nothing tells what shapes
            do not.
    """
    what, told = f"{checkpoint.name}, {NAME}", beside.settings(checkpoint)
    sizes = sizes_of(checkpoint.tensors, told, what)
    classes = classes_of(sizes, told, what)
    if sizes.outputs not in (sizes.channels, 2 * sizes.channels):
        raise BadCheckpoint(
            f"{what}: it takes {sizes.channels} channels and gives {sizes.outputs}; the pack draws with those that "
            "give as many, or twice as many with variances. Choose another file."
        )
    with empty_weights():
        network = DiT(sizes)
    weights.fill(
        network, checkpoint.tensors, what, dtype_for(sum(value.numel() for value in checkpoint.tensors.values()))
    )
    vae, tensors = _autoencoder(checkpoint.path, what)
    if vae.config.latent_channels != sizes.channels:
        raise BadCheckpoint(
            f"{what}: its latents have {sizes.channels} channels, those of the autoencoder beside it "
            f"{vae.config.latent_channels}; put {SOURCE} there."
        )
    both = {"transformer": checkpoint.tensors, "vae": tensors}
    named = {f"{part}.{name}": value for part, found in both.items() for name, value in found.items()}
    return network, vae, classes, weights.identity(named)


def _autoencoder(path: Path | None, what: str) -> tuple[Any, Tensors]:
    """Filled, with its tensors under today's names."""
    vae = None if path is None else vae_of(path)
    if path is None or vae is None:
        raise MissingFile(
            f"{what}: beside it lacks the autoencoder that turns its latents into pictures. Put the folder "
            f"sd-vae-ft-ema ({SOURCE}, config.json and weights) into {'its folder' if path is None else path.parent}, "
            "or a single file of it whose name has vae in it."
        )
    found = read_weights(vae)._replace(path=vae) if vae.is_dir() else checkpoints.read(vae)
    if not autoencoder_kl.detect(found):
        raise BadCheckpoint(f"{what}: {vae.name} beside it is no AutoencoderKL; put {SOURCE} there.")
    told = beside.told(found, autoencoder_kl.NAME)
    network = autoencoder_kl.build(found.tensors, told, f"model: {vae.name}, {autoencoder_kl.NAME}")
    network.register_to_config(scaling_factor=told.get("scaling_factor", SCALE))
    return network, autoencoder_kl.renamed(found.tensors)


TINY: Final = Sizes(8, 4, 2, 16, 2, 2, 4, 8, 64)


def tiny(folder: Path) -> Path:
    """Of latents of 8 cells a side; an autoencoder of 2 pixels to a cell."""
    write_json(folder / CONFIG, {"num_heads": TINY.heads})
    write(folder / "tiny_vae.safetensors", random_weights(autoencoder_kl.of_widths((32, 32), 1), 1))
    made = random_weights(DiT(TINY))
    # It foresees little noise: the first steps divide by what little signal they have, and so magnify rounding.
    return write(
        folder / "tiny.safetensors", {**made, "final_layer.linear.weight": made["final_layer.linear.weight"] / 20}
    )


def typical() -> frozenset[str]:
    """Names in a published file."""
    with empty_weights():
        return frozenset(DiT(Sizes(32, 4, 2, 1152, 28, 16, 1001, 8, 4608)).state_dict())
