"""ControlNets at work: their hints, brought to the size of the latents, and what they add to a U-Net's layers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

import torch
import torch.nn.functional as F

from ...errors import BadInput
from ...pictures.images import check_images, match_masks
from ...pictures.resizing import resize
from .controlnet import ControlNet

WIDTHS: Final = {768: "Stable Diffusion 1.x", 1024: "Stable Diffusion 2.x", 2048: "Stable Diffusion XL"}
"""Of what their networks attend to."""
HOLE: Final = -1.0
"""What ControlNets for inpainting are given where the picture is to be made."""
CUT: Final = 0.5
"""Mask values from here on are holes for them."""
RESIDUALS: Final = ("down_block_additional_residuals", "mid_block_additional_residual")


class Control(NamedTuple):
    """A ControlNet with its hints.

    hints: float32 [N, H, W, 3], 0..1, or -1 in a hole; image i of a run takes hint i, the first again after the last.
    strength: what its answers are multiplied with. start, end: share of the steps before which, and from which on, it
    is not asked.
    """

    net: ControlNet
    hints: torch.Tensor
    strength: float = 1.0
    start: float = 0.0
    end: float = 1.0


def control(
    net: ControlNet,
    hints: torch.Tensor,
    strength: float = 1.0,
    start: float = 0.0,
    end: float = 1.0,
    mask: torch.Tensor | None = None,
) -> Control:
    """A `Control` of pictures. mask: of the holes, for ControlNets that inpaint, see `images.match_masks`.

    Raises:
        BadInput: pictures or masks are none, or the window of steps is empty.
    """
    hints = check_images(hints, "hint")[..., :3].float()
    if not 0 <= start < end <= 1:
        raise BadInput(f"start, end: {start:g} to {end:g} holds no step; start lies below end, both in 0 to 1.")
    if mask is not None:
        holes = match_masks(mask, len(hints), hints.shape[1], hints.shape[2])
        hints = torch.where(holes[..., None] >= CUT, HOLE, hints)
    return Control(net, hints, strength, start, end)


def check(net: ControlNet, unet: Any, base: str) -> None:
    """Raise BadInput unless a ControlNet is made for this U-Net. base: what the model is, as messages say it."""
    ours, theirs = net.network.config, unet.config
    told = ("cross_attention_dim", "addition_embed_type", "layers_per_block")
    same = all(ours.get(name) == theirs.get(name) for name in told)
    if same and list(ours.block_out_channels) == list(theirs.block_out_channels):
        return
    width = ours.cross_attention_dim
    what = WIDTHS.get(width, f"a model that attends to {width} numbers")
    raise BadInput(
        f"controlnet: it is a ControlNet of {what}, but it is to steer {base}, whose U-Net attends to "
        f"{theirs.cross_attention_dim} numbers in {len(theirs.block_out_channels)} levels; choose one of the same "
        "family."
    )


class Steering:
    """The ControlNets of one batch. Counts the U-Net's calls, so it serves one run.

    controls: with hints for pictures of `size`, which are padded to `padded`. frames: of the batch's rows, which image
    of the run each is. cells: of the latents. calls: of the whole run.
    """

    def __init__(
        self,
        controls: Sequence[Control],
        frames: Sequence[int],
        size: tuple[int, int],
        padded: tuple[int, int],
        cells: tuple[int, int],
        calls: int,
    ) -> None:
        self._controls = [(each, _fitted(each, frames, size, padded, cells)) for each in controls]
        self._calls = calls
        self._done = 0

    def advance(self) -> None:
        """To the next call."""
        self._done += 1

    def inputs(
        self, latents: torch.Tensor, time: torch.Tensor, given: Mapping[str, Any], rows: Sequence[int]
    ) -> dict[str, Any]:
        """The U-Net's inputs for some rows of the batch: `given`, and what the ControlNets answer to it.

        latents: float32 [R, C, h, w] of these rows, without what an inpainting model sees besides.
        """
        begun, ended = self._done / self._calls, (self._done + 1) / self._calls
        found = dict(given)
        for each, hints in self._controls:
            if begun < each.start or ended > each.end:
                continue
            network: Any = each.net.network
            answers = network(
                latents.to(network.dtype),
                time,
                controlnet_cond=hints[rows].to(network.device, network.dtype),
                conditioning_scale=each.strength,
                return_dict=False,
                **_cast(given, network.dtype),
            )
            dtype = found["encoder_hidden_states"].dtype
            for name, answer in zip(RESIDUALS, answers, strict=True):
                found[name] = _sum(found.get(name), answer, dtype)
        return found


def _cast(value: Any, dtype: torch.dtype) -> Any:
    if isinstance(value, Mapping):
        return {name: _cast(each, dtype) for name, each in value.items()}
    return value.to(dtype)


def _sum(before: Any, answer: Any, dtype: torch.dtype) -> Any:
    if isinstance(answer, (list, tuple)):
        return [_sum(None if before is None else before[place], each, dtype) for place, each in enumerate(answer)]
    return answer.to(dtype) if before is None else before + answer.to(dtype)


def _fitted(
    each: Control,
    frames: Sequence[int],
    size: tuple[int, int],
    padded: tuple[int, int],
    cells: tuple[int, int],
) -> torch.Tensor:
    """Hints [R, 3, H, W] of the rows, at the resolution that the ControlNet takes for latents of `cells`."""
    chosen = each.hints[[frame % len(each.hints) for frame in frames]].movedim(-1, 1)
    if tuple(chosen.shape[2:]) != size:
        holes = (chosen == HOLE).all(dim=1, keepdim=True)
        pictures = chosen.clamp(min=0).movedim(1, -1)
        chosen = torch.stack([resize(picture, *size) for picture in pictures]).movedim(-1, 1)
        if bool(holes.any()):
            inside = F.interpolate(holes.float(), size=size, mode="nearest-exact") > 0
            chosen = torch.where(inside, HOLE, chosen)
    chosen = F.pad(chosen, (0, padded[1] - size[1], 0, padded[0] - size[0]), mode="replicate")
    wanted = (cells[0] * each.net.hint_scale, cells[1] * each.net.hint_scale)
    return chosen if tuple(chosen.shape[2:]) == wanted else F.interpolate(chosen, size=wanted, mode="nearest-exact")
