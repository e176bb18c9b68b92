"""Pictures of any size, brought to what a Grounding DINO was trained on, and its boxes brought back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import ceil, sqrt
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import torch
import torch.nn.functional as F

from ..errors import BadCheckpoint

if TYPE_CHECKING:
    from transformers import PretrainedConfig

MEAN: Final = (0.485, 0.456, 0.406)
STD: Final = (0.229, 0.224, 0.225)
"""Of ImageNet's RGB values 0..1."""

LARGEST: Final = 16384
"""Pixels of a side that a file may ask for."""
MIN_SIDE: Final = 64
"""Thinner pictures are padded, so that every level has a cell."""
STRIDES: Final = (8, 16, 32, 64)
"""Of the levels of most networks, in pixels."""


class InputSize(NamedTuple):
    """The rule for the size of a network's input.

    The picture is scaled until its shorter side has `shortest` pixels, or, where that is less, its longer side
    `longest`. A network whose two numbers are the same has seen squares only: pictures are padded to a square.
    """

    shortest: int = 800
    longest: int = 1333


def input_size(preprocessor: Mapping[str, Any]) -> InputSize:
    """The rule in a transformers `preprocessor_config.json`; the published models' where it has none.

    Raises:
        BadCheckpoint: a size that is neither shortest and longest edge nor the height and width of a square.
    """
    size = preprocessor.get("size", {"shortest_edge": 800, "longest_edge": 1333})
    edges = dict(size) if isinstance(size, Mapping) else {}
    if all(isinstance(edge, int) and 1 <= edge <= LARGEST for edge in edges.values()):
        if {"shortest_edge", "longest_edge"} <= edges.keys():
            return InputSize(edges["shortest_edge"], edges["longest_edge"])
        if "height" in edges and edges["height"] == edges.get("width"):
            return InputSize(edges["height"], edges["height"])
    raise BadCheckpoint(
        f"preprocessor_config.json: the size {size!r} is not one that the detector knows; "
        'write {"shortest_edge": 800, "longest_edge": 1333}, or equal "height" and "width".'
    )


class Sizes(NamedTuple):
    """Heights and widths in pixels: of the scaled picture, and of the canvas in whose top left corner it lies."""

    height: int
    width: int
    canvas_height: int
    canvas_width: int


def sizes(rule: InputSize, height: int, width: int, queries: int = 0, strides: Sequence[int] = STRIDES) -> Sizes:
    """Sizes for a picture of `height` x `width` pixels; rounded as transformers' image processor rounds them.

    A network takes its queries from the cells of its levels, which lie `strides` pixels apart: where there are fewer
    cells than `queries`, the picture is scaled up until there are enough.
    """
    placed = _scaled(rule, height, width)
    while (cells := count_cells(placed.canvas_height, placed.canvas_width, strides)) < queries:
        larger = [max(edge + 1, int(edge * sqrt(queries / cells))) for edge in rule]
        rule = InputSize(*larger)
        placed = _scaled(rule, height, width)
    return placed


def strides(config: PretrainedConfig) -> tuple[int, ...]:
    """Pixels between the cells of each level, of a network's configuration: stages of a backbone halve the side, and
    so do the levels that are made of the last one."""
    first, *_ = config.backbone_config.out_indices
    patch = config.backbone_config.patch_size
    return tuple(patch * 2 ** (first - 1 + level) for level in range(config.num_feature_levels))


def count_cells(height: int, width: int, strides: Sequence[int]) -> int:
    """Cells of all levels."""
    return sum(ceil(height / stride) * ceil(width / stride) for stride in strides)


def _scaled(rule: InputSize, height: int, width: int) -> Sizes:
    small, large = min(height, width), max(height, width)
    exact = min(rule.shortest, rule.longest * small / large)
    shorter, longer = round(exact), int(exact * large / small)
    if shorter == small:
        longer = large
    shorter = max(1, shorter)
    scaled = (shorter, longer) if height <= width else (longer, shorter)
    if rule.shortest == rule.longest:
        return Sizes(*scaled, rule.longest, rule.longest)
    return Sizes(*scaled, max(MIN_SIDE, scaled[0]), max(MIN_SIDE, scaled[1]))


def pixels(images: torch.Tensor, placed: Sizes) -> torch.Tensor:
    """Network input [B, 3, canvas_height, canvas_width] of RGB images [B, H, W, 3] of values 0..1.

    Bilinear with antialiasing, normalised by ImageNet's statistics; padding has the mean colour.
    """
    mean, std = (torch.tensor(v, device=images.device)[:, None, None] for v in (MEAN, STD))
    scaled = F.interpolate(
        images.permute(0, 3, 1, 2), size=(placed.height, placed.width), mode="bilinear", antialias=True
    )
    right, bottom = placed.canvas_width - placed.width, placed.canvas_height - placed.height
    return F.pad((scaled - mean) / std, (0, right, 0, bottom))


def to_picture(boxes: torch.Tensor, placed: Sizes) -> torch.Tensor:
    """Boxes [..., 4] (centre x, centre y, width, height) as fractions of the canvas, made fractions of the picture."""
    x, y = placed.canvas_width / placed.width, placed.canvas_height / placed.height
    return boxes * torch.tensor([x, y, x, y], device=boxes.device)
