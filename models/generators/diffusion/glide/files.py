"""GLIDE's files: `base.pt`, which is chosen, with `upsample.pt` beside it, and both of them for inpainting."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from .... import weights
from ....errors import BadCheckpoint, MissingFile
from ....files import beside, checkpoints
from ....files.checkpoints import Checkpoint
from ....files.folders import CONFIG, write_json
from ....random_weights import random_weights, write
from ....weights import DtypeFor, Tensors, count_layers, empty_weights
from ..adm.layouts import sizes_of
from ..adm.network import Sizes
from .network import GlideNetwork, TextSizes
from .stages import Glide

NAME: Final = "GLIDE"
SIGNS: Final = ("padding_embedding", "token_embedding.weight", "input_blocks.0.0.weight")
STAGES: Final = ("base", "upsample")
INPAINT: Final = "inpaint"
ENDINGS: Final = (".pt", ".pth", ".safetensors", ".bin", ".ckpt")
SOURCE: Final = "https://openaipublic.blob.core.windows.net/diffusion/dec-2021"

UNSEEN: Final[Mapping[str, Mapping[int, int]]] = {"num_head_channels": {192: 64}, "xf_heads": {512: 8}}
"""What shapes do not tell, by the width that it is of: of the published files."""
SIDE: Final = 64
"""Of the small pictures; shapes do not tell it either."""

SMALL: Final = (3, 7)
LARGE: Final = (6, 10)
"""Channels that base models and upsamplers see; the larger ones are for inpainting."""


def detect(checkpoint: Checkpoint) -> bool:
    """A text encoder with padding of its own, and a U-Net."""
    return all(sign in checkpoint.tensors for sign in SIGNS)


def upsampler_of(path: Path) -> Path | None:
    """The file of the other network: of the same name with "upsample" for "base", else the one beside it whose name
    says that it is an upsampler, for inpainting or not, as the file is."""
    if path.is_dir() or not path.parent.is_dir():
        return None
    named = {path.stem.replace(*STAGES)} - {path.stem}
    there = [
        file
        for file in path.parent.iterdir()
        if file.suffix in ENDINGS and file != path and STAGES[1] in file.stem and STAGES[1] not in path.stem
    ]
    alike = [file for file in there if (INPAINT in file.stem) == (INPAINT in path.stem)]
    chosen = [file for file in there if file.stem in named] or (alike if len(alike) == 1 else [])
    # Of both formats the file's own.
    return min(chosen, key=lambda file: (file.suffix != path.suffix, file.name), default=None)


def files(path: Path) -> tuple[Path, ...]:
    """The file, the upsampler, and a config.json, as far as they are there."""
    first, *others = beside.files(path)
    upsampler = upsampler_of(path)
    return (first, *([] if upsampler is None else [upsampler]), *others)


def read(checkpoint: Checkpoint, dtype_for: DtypeFor) -> tuple[Glide, str]:
    """Both networks, and what tells them from others. A config.json beside them tells `num_head_channels`, `xf_heads`
    and `image_size` (of the base model) where they are not those of the published files.

    Raises:
        MissingFile: there is no upsampler.
        BadCheckpoint: the upsampler was chosen; or a network's tensors do not fit exactly, or lack what tells sizes.
    """
    what = f"{checkpoint.name}, {NAME}"
    seen = checkpoint.tensors[SIGNS[2]].shape[1]
    if seen in LARGE:
        raise BadCheckpoint(
            f"{what}: it is the upsampler, which enlarges what another network draws. Choose "
            f"base{'_inpaint' * (seen == LARGE[1])}.pt, with this file beside it."
        )
    path = checkpoint.path
    upsampler = None if path is None else upsampler_of(path)
    if path is None or upsampler is None:
        wanted = f"upsample{'_inpaint' * (seen == SMALL[1])}.pt"
        raise MissingFile(
            f"{what}: beside it lacks its upsampler, {wanted} ({SOURCE}/{wanted}). Put it into "
            f"{'its folder' if path is None else path.parent}, under the name of this file with upsample for base."
        )
    told = beside.settings(checkpoint)
    other = checkpoints.read(upsampler).tensors
    if not all(sign in other for sign in SIGNS) or other[SIGNS[2]].shape[1] not in LARGE:
        raise BadCheckpoint(f"{what}: {upsampler.name} beside it is no upsampler of GLIDE; download it again.")
    side = told.get("image_size", SIDE)
    if not isinstance(side, int) or side < 8 or side % 8:
        raise BadCheckpoint(f"{what}: its {CONFIG} says image_size = {side!r}; it is a number that 8 divides.")
    both = {"base": checkpoint.tensors, "upsampler": other}
    parameters = sum(value.numel() for tensors in both.values() for value in tensors.values())
    networks = []
    for source, tensors in ((what, both["base"]), (f"{upsampler.name}, {NAME}", both["upsampler"])):
        network = build(tensors, told, source)
        weights.fill(network, tensors, source, dtype_for(parameters))
        networks.append(network)
    named = {f"{part}.{name}": value for part, tensors in both.items() for name, value in tensors.items()}
    return Glide(networks[0], networks[1], side), weights.identity(named)


def build(tensors: Tensors, told: Mapping[str, Any], what: str) -> GlideNetwork:
    """A network that a file's tensors fit, on the meta device. told: of what shapes do not tell."""
    length, width = tensors["positional_embedding"].shape
    channels = tensors["input_blocks.0.0.weight"].shape[0]
    heads = _told(told, "xf_heads", width, what)
    text = TextSizes(length, width, count_layers(tensors, "transformer.resblocks.{}.ln_1.weight"), heads)
    with empty_weights():
        sizes = sizes_of(tensors, what)._replace(
            grouped=True, head_channels=_told(told, "num_head_channels", channels, what)
        )
        return GlideNetwork(sizes, text)


def _told(told: Mapping[str, Any], name: str, width: int, what: str) -> int:
    found = told.get(name, UNSEEN[name].get(width))
    if not isinstance(found, int) or isinstance(found, bool) or found < 1 or width % found:
        raise BadCheckpoint(
            f"{what}: shapes do not tell {name}, a number that divides {width}; write a {CONFIG} with "
            f'{{"{name}": ...}} beside it.'
        )
    return found


TINY: Final = Sizes(32, (32, 32), 1, (False, True), 7, 6, head_channels=16, grouped=True)
TINY_TEXT: Final = TextSizes(6, 8, 1, 2)


def tiny(folder: Path) -> Path:
    """Of pictures of 8 and 32 pixels a side, for inpainting too."""
    write_json(folder / CONFIG, {"num_head_channels": 16, "xf_heads": 2, "image_size": 8})
    write(folder / "tiny_upsample.safetensors", _tiny(TINY._replace(inputs=LARGE[1]), 1))
    return write(folder / "tiny_base.safetensors", _tiny(TINY, 0))


def _tiny(sizes: Sizes, seed: int) -> Tensors:
    """It foresees little noise: the first steps divide by what little signal they have, and so magnify rounding."""
    made = random_weights(GlideNetwork(sizes, TINY_TEXT), seed)
    return {**made, "out.2.weight": made["out.2.weight"] / 20}


def typical() -> frozenset[str]:
    """Names in a published file."""
    sizes = Sizes(192, (192, 384, 576, 768), 3, (False, True, True, True), head_channels=64, grouped=True)
    with empty_weights():
        return frozenset(GlideNetwork(sizes, TextSizes(128, 512, 16, 8)).state_dict())
