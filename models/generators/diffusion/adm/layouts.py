"""What a file of guided or improved diffusion tells of its network by its shapes, and what has to be known besides."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

from ....errors import BadCheckpoint
from ....weights import Tensors, count_layers
from .network import Sizes
from .process import COSINE, LINEAR, NOISE, PICTURE, SCHEDULES

FIRST: Final = "input_blocks.0.0.weight"
TIME: Final = "time_embed.0.weight"
LAST: Final = "out.2.weight"
PLACES: Final = "out.2.positional_embedding"
LABELS: Final = "label_emb.weight"

RESIDUAL: Final = "in_layers.2.weight"
ATTENTION: Final = "norm.weight"
CONVOLUTIONS: Final = {"op.weight", "conv.weight"}
"""Of layers that halve or double the side by nothing else."""

USUAL_SIDES: Final[Mapping[tuple[float, ...], int]] = {
    (0.5, 1, 1, 2, 2, 4, 4): 512,
    (1, 1, 2, 2, 4, 4): 256,
    (1, 1, 2, 3, 4): 128,
    (1, 2, 3, 4): 64,
    (1, 2, 2, 2): 32,
}
"""Widths of levels relative to the network's, and the pixels a side that the reference takes such a network for."""

PUBLISHED_HEAD_CHANNELS: Final = 64
"""Of every classifier; its legacy order too is no choice of the reference's."""


class Told(NamedTuple):
    """What shapes do not tell.

    side: of the pictures, pixels. heads, head_channels, grouped: see `Sizes`. schedule: one of SCHEDULES. steps: that
    it was trained with. rescaled: whether the network is told times as if there were 1,000. prediction: what it
    foresees. small_side: of the pictures that a network of 6 input channels enlarges.
    """

    side: int
    heads: int = 0
    head_channels: int = 64
    grouped: bool = True
    schedule: str = LINEAR
    steps: int = 1000
    rescaled: bool = False
    prediction: str = NOISE
    small_side: int = 0


class Layout(NamedTuple):
    """What tells one published file from another."""

    channels: int
    widths: tuple[int, ...]
    blocks: int
    attended: tuple[int, ...]
    """Numbers of the levels that have attention, from the finest, 0."""
    inputs: int
    classes: int
    resampling_blocks: bool
    scale_shift: bool


def _widths(channels: int, *shares: float) -> tuple[int, ...]:
    return tuple(int(channels * share) for share in shares)


PUBLISHED: Final[Mapping[Layout, Told]] = {
    # 64x64_diffusion.pt
    Layout(192, _widths(192, 1, 2, 3, 4), 3, (1, 2, 3), 3, 1000, True, True): Told(64, grouped=False, schedule=COSINE),
    # 128x128_diffusion.pt
    Layout(256, _widths(256, 1, 1, 2, 3, 4), 2, (2, 3, 4), 3, 1000, True, True): Told(128, heads=4),
    # 256x256_diffusion.pt; 256x256_diffusion_uncond.pt, and lsun_{bedroom,cat,horse}.pt
    Layout(256, _widths(256, 1, 1, 2, 2, 4, 4), 2, (3, 4, 5), 3, 1000, True, True): Told(256),
    Layout(256, _widths(256, 1, 1, 2, 2, 4, 4), 2, (3, 4, 5), 3, 0, True, True): Told(256),
    # 512x512_diffusion.pt
    Layout(256, _widths(256, 0.5, 1, 1, 2, 2, 4, 4), 2, (4, 5, 6), 3, 1000, True, True): Told(512),
    # 64_256_upsampler.pt, 128_512_upsampler.pt
    Layout(192, _widths(192, 1, 1, 2, 2, 4, 4), 2, (3, 4, 5), 6, 1000, True, True): Told(256, heads=4, small_side=64),
    Layout(192, _widths(192, 1, 1, 2, 2, 4, 4), 2, (4, 5), 6, 1000, True, True): Told(512, small_side=128),
    # Of improved diffusion: imagenet64_uncond_100M_1500K.pt and its kin, cifar10_uncond_50M_500K.pt and its kin,
    # imagenet64_cond_270M_250K.pt, upsample_cond_500K.pt, lsun_uncond_100M_*.pt
    Layout(128, _widths(128, 1, 2, 3, 4), 3, (2, 3), 3, 0, False, True): Told(64, 4, 0, True, COSINE, 4000, True),
    Layout(128, _widths(128, 1, 2, 2, 2), 3, (1, 2), 3, 0, False, True): Told(32, 4, 0, True, COSINE, 4000, True),
    Layout(192, _widths(192, 1, 2, 3, 4), 3, (2, 3), 3, 1000, False, True): Told(64, 4, 0, True, COSINE, 4000),
    Layout(192, _widths(192, 1, 1, 2, 2, 4, 4), 2, (4, 5), 6, 1000, False, True): Told(
        256, 4, 0, True, LINEAR, 4000, small_side=64
    ),
    Layout(128, _widths(128, 1, 1, 2, 2, 4, 4), 2, (4,), 3, 0, False, False): Told(256, heads=1),
}
"""By the flags in the READMEs of openai/guided-diffusion and openai/improved-diffusion."""


def sizes_of(tensors: Tensors, what: str) -> Sizes:
    """All that shapes tell; attention as `Told` has it comes later.

    Raises:
        BadCheckpoint: blocks follow each other in another way.
        KeyError: a tensor is missing.
    """
    channels = tensors[TIME].shape[1]
    count = count_layers(_blocks(tensors, "input_blocks"), "{}")
    period = _period(tensors, count, what)
    widths, attended = [], []
    for level in range(count // period):
        block = f"input_blocks.{level * period + 1}."
        widths.append(tensors[f"{block}0.out_layers.3.weight"].shape[0])
        attended.append(f"{block}1.{ATTENTION}" in tensors)
    first = "input_blocks.1.0."
    labels = tensors.get(LABELS)
    return Sizes(
        channels,
        tuple(widths),
        period - 1,
        tuple(attended),
        inputs=tensors[FIRST].shape[1],
        outputs=len(tensors["out.2.c_proj.weight"] if PLACES in tensors else tensors[LAST]),
        classes=0 if labels is None else labels.shape[0],
        resampling_blocks=not any(name.endswith(".0.op.weight") for name in tensors),
        scale_shift=len(tensors[f"{first}emb_layers.1.weight"]) == 2 * widths[0],
    )


def _blocks(tensors: Tensors, half: str) -> set[str]:
    """Numbers of the blocks that there are."""
    return {name.split(".")[1] for name in tensors if name.startswith(f"{half}.")}


def _period(tensors: Tensors, count: int, what: str) -> int:
    """How many blocks a level has on the way down, with the one that halves the side.

    Where the way up shows it, that tells. Else it is the one after which every level is like itself: its blocks have
    attention or none, only its first one changes the width, and what halves the side has neither.
    """
    ups = [place for place in range(count) if _doubles(tensors, place)]
    if ups:
        return ups[0] + 1
    fitting = [each for each in range(2, count + 1) if count % each == 0 and _fits(tensors, count, each)]
    if not fitting:
        raise BadCheckpoint(f"{what}: its blocks do not follow each other in levels; the file is damaged.")
    return fitting[0]


def _doubles(tensors: Tensors, place: int) -> bool:
    """Whether a block on the way up ends in one that doubles the side."""
    block = f"output_blocks.{place}."
    return any(f"{block}{part}.{kind}" in tensors for part in (1, 2) for kind in ("conv.weight", RESIDUAL))


def _fits(tensors: Tensors, count: int, period: int) -> bool:
    for place in range(1, count):
        block = f"input_blocks.{place}."
        level, within = divmod(place, period)
        attends = f"{block}1.{ATTENTION}" in tensors
        changes = f"{block}0.skip_connection.weight" in tensors
        plain = f"{block}0.{RESIDUAL}" not in tensors
        if within == 0 and (attends or changes):
            return False
        if within and plain:
            return False
        if within > 1 and changes:
            return False
        if within and attends != (f"input_blocks.{level * period + 1}.1.{ATTENTION}" in tensors):
            return False
    return True


def layout_of(sizes: Sizes) -> Layout:
    """What tells its file from others."""
    return Layout(
        sizes.channels,
        sizes.widths,
        sizes.blocks,
        tuple(level for level, attends in enumerate(sizes.attended) if attends),
        sizes.inputs,
        sizes.classes,
        sizes.resampling_blocks,
        sizes.scale_shift,
    )


def told(sizes: Sizes, flags: Mapping[str, Any], what: str) -> Told:
    """What shapes do not tell: by the flags of the reference's scripts, else as the published file of this layout.

    flags: of a configuration beside the file, or its metadata, by the reference's names; empty where there is none.

    Raises:
        BadCheckpoint: nothing tells; or the flags are of another network, or none that there are.
    """
    known = PUBLISHED.get(layout_of(sizes))
    if not _tells(flags):
        if known is None:
            raise BadCheckpoint(
                f"{what}: it is none of the published files, and tensors do not tell its heads of attention, their "
                "order, and the noise schedule. Put a config.json with the flags of its training beside it, in a "
                "folder of their own: image_size, num_heads or num_head_channels, use_new_attention_order, "
                "noise_schedule, diffusion_steps."
            )
        return known
    _check_flags(sizes, flags, what)
    shares = tuple(width / sizes.channels for width in sizes.widths)
    upsampler = sizes.inputs == 6
    side = flags.get("large_size" if upsampler else "image_size", USUAL_SIDES.get(shares))
    steps, schedule = flags.get("diffusion_steps", 1000), flags.get("noise_schedule", LINEAR)
    heads, head_channels = flags.get("num_heads", 4), flags.get("num_head_channels", -1)
    halvings = 2 ** (len(sizes.widths) - 1)
    numbers = (side, steps, heads, head_channels)
    if not all(isinstance(number, int) for number in numbers) or min(side, steps, heads) < 1 or side % halvings:
        raise BadCheckpoint(
            f"{what}: its configuration says image_size {side!r}, diffusion_steps {steps!r}, num_heads {heads!r}, "
            f"num_head_channels {head_channels!r}; they are whole numbers, and the first one is divided by {halvings}."
        )
    if schedule not in SCHEDULES:
        raise BadCheckpoint(
            f"{what}: its configuration says noise_schedule {schedule!r}; the pack knows {', '.join(SCHEDULES)}."
        )
    for width in {width for width, attends in zip(sizes.widths, sizes.attended, strict=True) if attends}:
        each = head_channels if head_channels > 0 else heads
        if width % each:
            raise BadCheckpoint(f"{what}: its configuration's heads do not divide a width of {width}.")
    return Told(
        side,
        0 if head_channels > 0 else heads,
        max(head_channels, 0),
        not flags.get("use_new_attention_order", False),
        schedule,
        steps,
        bool(flags.get("rescale_timesteps", False)),
        PICTURE if flags.get("predict_xstart", False) else NOISE,
        flags.get("small_size", side // 4) if upsampler else 0,
    )


def _tells(flags: Mapping[str, Any]) -> bool:
    """Whether they are a configuration of such a network at all."""
    return any(name in flags for name in ("num_channels", "num_heads", "num_head_channels", "noise_schedule"))


def _check_flags(sizes: Sizes, flags: Mapping[str, Any], what: str) -> None:
    """Raise BadCheckpoint where they contradict the shapes."""
    for name, found in _by_shapes(sizes):
        if flags.get(name, found) != found:
            raise BadCheckpoint(
                f"{what}: its configuration says {name} = {flags[name]!r}, its weights {found!r}; they do not belong "
                "together."
            )


def _by_shapes(sizes: Sizes) -> Iterator[tuple[str, Any]]:
    yield "num_channels", sizes.channels
    yield "num_res_blocks", sizes.blocks
    yield "class_cond", bool(sizes.classes)
    yield "use_scale_shift_norm", sizes.scale_shift
    yield "resblock_updown", sizes.resampling_blocks
    yield "learn_sigma", sizes.outputs == 6


def with_told(sizes: Sizes, known: Told) -> Sizes:
    """Whole."""
    return sizes._replace(heads=known.heads, head_channels=known.head_channels, grouped=known.grouped)
