"""Multi-scale deformable attention (Zhu et al. 2021, arXiv:2010.04159, equation 3), without copies of the samples."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from typing import Any, Final

import torch
from torch import nn
from torch.nn import functional

QUERIES: Final = 1024
"""For which samples are placed at once: what they take stays in the processor's cache."""


class DeformableAttention(nn.Module):
    """The layer of transformers' Grounding DINO and its kin, by the parameters of theirs."""

    def __init__(self, original: Any) -> None:
        super().__init__()
        self.heads: int = original.n_heads
        self.levels: int = original.n_levels
        self.points: int = original.n_points
        self.sampling_offsets: nn.Linear = original.sampling_offsets
        self.attention_weights: nn.Linear = original.attention_weights
        self.value_proj: nn.Linear = original.value_proj
        self.output_proj: nn.Linear = original.output_proj

    def forward(
        self,
        hidden_states: torch.Tensor,
        attention_mask: torch.Tensor | None = None,
        encoder_hidden_states: torch.Tensor | None = None,
        position_embeddings: torch.Tensor | None = None,
        reference_points: torch.Tensor | None = None,
        spatial_shapes: torch.Tensor | None = None,
        spatial_shapes_list: Sequence[tuple[int, int]] | None = None,
        **_: Any,
    ) -> tuple[torch.Tensor, None]:
        """As transformers calls it; the attention's weights are not given back.

        hidden_states: [B, Q, D]. attention_mask: bool [B, S], false for what is padding. encoder_hidden_states: the
        levels' cells, [B, S, D]. reference_points: [B, Q, L, 2] or, with sizes, [B, Q, L, 4]; 0..1.
        """
        assert encoder_hidden_states is not None and reference_points is not None and spatial_shapes is not None
        shapes = spatial_shapes.tolist() if spatial_shapes_list is None else spatial_shapes_list
        queries = hidden_states if position_embeddings is None else hidden_states + position_embeddings
        batch, count = queries.shape[:2]
        sampled = (batch, count, self.heads, self.levels, self.points)
        # In mixed precision, too, samples lie at exact places and are summed exactly.
        value = self.value_proj(encoder_hidden_states).to(encoder_hidden_states.dtype)
        if attention_mask is not None:
            value = value.masked_fill(~attention_mask[..., None], 0.0)
        offsets = self.sampling_offsets(queries).view(*sampled, 2)
        weights = self.attention_weights(queries).view(*sampled[:3], -1).softmax(-1).view(sampled)
        centers = reference_points[:, :, None, :, None, :2]
        if reference_points.shape[-1] == 2:
            locations = offsets / spatial_shapes.flip(-1)[None, None, None, :, None, :] + centers
        else:
            # Offsets of boxes are in halves of their sides, shared out among the points.
            locations = offsets / self.points * reference_points[:, :, None, :, None, 2:] * 0.5 + centers
        found = attend(value.unflatten(-1, (self.heads, -1)), shapes, locations, weights)
        return self.output_proj(found), None


def attend(
    value: torch.Tensor, shapes: Sequence[tuple[int, int]], locations: torch.Tensor, weights: torch.Tensor
) -> torch.Tensor:
    """Bilinear samples of all levels, weighed and summed; outside a level all is 0.

    value: [B, S, H, C], the cells of levels of these heights and widths, row by row. locations: [B, Q, H, L, P, 2], x
    and y as fractions of the level. weights: [B, Q, H, L, P].

    Returns [B, Q, H * C].
    """
    if value.device.type == "cpu" and value.dtype == torch.float32:
        pairs = zip(value, locations, weights, strict=True)
        return torch.stack([_attend_by_rows(*pair, shapes) for pair in pairs])
    return _attend_by_grids(value, shapes, locations, weights)


def _attend_by_grids(
    value: torch.Tensor, shapes: Sequence[tuple[int, int]], locations: torch.Tensor, weights: torch.Tensor
) -> torch.Tensor:
    """By the sampler that every device has; one level after the other, so that samples of one alone are held."""
    batch, _, heads, channels = value.shape
    queries = locations.shape[1]
    total = value.new_zeros(batch * heads, channels, queries)
    grids = (2 * locations - 1).transpose(1, 2).flatten(0, 1)
    shares = weights.transpose(1, 2).flatten(0, 1)
    for level, cells in enumerate(value.split([height * width for height, width in shapes], dim=1)):
        height, width = shapes[level]
        maps = cells.permute(0, 2, 3, 1).reshape(batch * heads, channels, height, width)
        samples = functional.grid_sample(maps, grids[:, :, level].to(maps.dtype), align_corners=False)
        total += (samples * shares[:, None, :, level]).sum(-1)
    return total.view(batch, heads * channels, queries).transpose(1, 2)


def _attend_by_rows(
    value: torch.Tensor, locations: torch.Tensor, weights: torch.Tensor, shapes: Sequence[tuple[int, int]]
) -> torch.Tensor:
    """Of one picture, on a processor: each query's sum is a bag of rows of the value, the four around each point.

    The channels of a row lie side by side, where the sampler gathers each of them from a map of its own.
    """
    heads, channels = value.shape[1:]
    # A border of zeros, one cell before and two behind, stands for all that is outside.
    widths = [width + 3 for _, width in shapes]
    sizes = [(height + 3) * width for (height, _), width in zip(shapes, widths, strict=True)]
    starts = [0, *accumulate(sizes)]
    rows = value.new_zeros(starts[-1], heads, channels)
    cells = value.split([height * width for height, width in shapes])
    for (height, width), start, end, level in zip(shapes, starts, starts[1:], cells, strict=False):
        rows[start:end].view(height + 3, width + 3, heads, channels)[1:-2, 1:-2] = level.view(height, width, heads, -1)
    table = rows.view(-1, channels)

    def of_levels(numbers: Sequence[int]) -> torch.Tensor:
        return torch.tensor(numbers, dtype=torch.int32).view(1, 1, -1, 1)

    steps = (
        0,
        heads,
        of_levels([width * heads for width in widths]),
        of_levels([(width + 1) * heads for width in widths]),
    )
    firsts = of_levels([(start + width + 1) * heads for start, width in zip(starts, widths, strict=False)])
    firsts = firsts + torch.arange(heads, dtype=torch.int32).view(1, -1, 1, 1)
    ends = torch.tensor([(width, height) for height, width in shapes], dtype=value.dtype).view(1, 1, -1, 1, 2)
    found = []
    for start in range(0, len(locations), QUERIES):
        places = torch.addcmul(value.new_tensor(-0.5), locations[start : start + QUERIES], ends)
        # What is not a number belongs nowhere: it comes from broken weights, whose sums are not numbers either.
        places = places.nan_to_num_(nan=-1.0).clamp_(min=-1).minimum(ends)
        corner = places.floor()
        right, below = (places - corner).unbind(-1)
        column, line = corner.int().unbind(-1)
        first = line * steps[2] + column * heads + firsts
        share = weights[start : start + QUERIES]
        lower = below * share
        upper = share - lower
        indices = torch.stack([first + step for step in steps], dim=-1)
        shares = torch.empty_like(indices, dtype=value.dtype)
        for place, each in ((0, upper), (2, lower)):
            torch.mul(each, right, out=shares[..., place + 1])
            torch.sub(each, shares[..., place + 1], out=shares[..., place])
        bags = (len(share) * heads, -1)
        found.append(
            functional.embedding_bag(indices.view(bags), table, per_sample_weights=shares.view(bags), mode="sum")
        )
    return torch.cat(found).view(len(locations), heads * channels)
