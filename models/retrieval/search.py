"""Exact search: the rows of largest product with a query, block by block, so that no more than a block is in memory."""

from __future__ import annotations

from typing import Final, NamedTuple

import torch
import torch.nn.functional as F

from ..errors import BadInput

BLOCK: Final = 16_384
"""Rows multiplied at once."""
GROUP: Final = 64
"""Rows of which the largest product is taken first."""
TOGETHER: Final = 256
"""Queries whose products with all rows are held at once."""


class Nearest(NamedTuple):
    """Of each of Q queries the k nearest rows, the nearest first, equal ones in the order of rows.

    scores: float32 [Q, k], cosines. places: int64 [Q, k].
    """

    scores: torch.Tensor
    places: torch.Tensor


def unit_rows(features: torch.Tensor) -> torch.Tensor:
    """Features [N, D] at length 1, float32; those of length 0 stay."""
    return F.normalize(features.float(), dim=1)


def nearest(
    rows: torch.Tensor, queries: torch.Tensor, count: int, left_out: torch.Tensor | None = None, block: int = BLOCK
) -> Nearest:
    """The `count` nearest rows, or all where there are fewer.

    Args:
        rows: float32 [N, D] of length 1, may be mapped from a disk. queries: float32 [Q, D] of length 1.
        left_out: bool [N], rows that do not count.

    Raises:
        BadInput: queries and rows of different sizes, or values that are no numbers.
    """
    if rows.shape[1] != queries.shape[1]:
        raise BadInput(
            f"index: its pictures have {rows.shape[1]} features and the query {queries.shape[1]}; connect the other "
            "half of the CLIP that the index was made with."
        )
    if not bool(torch.isfinite(queries).all()):
        raise BadInput("image, prompt: the network gives values that are no numbers for it; choose another query.")
    kept = len(rows) if left_out is None else int((~left_out).sum())
    parts = [_nearest(rows, some, min(count, kept), left_out, block) for some in queries.split(TOGETHER)]
    return Nearest(torch.cat([part.scores for part in parts]), torch.cat([part.places for part in parts]))


def _nearest(
    rows: torch.Tensor, queries: torch.Tensor, count: int, left_out: torch.Tensor | None, block: int
) -> Nearest:
    groups = -(-len(rows) // GROUP)
    scores = torch.empty(groups * GROUP, len(queries))
    scores[len(rows) :] = -torch.inf
    for start in range(0, len(rows), block):
        part = rows[start : start + block]
        into = scores[start : start + len(part)]
        # One query is a matrix times a vector, which PyTorch does quicker than the same as two matrices.
        if len(queries) == 1:
            torch.mv(part, queries[0], out=into[:, 0])
        else:
            torch.mm(part, queries.T, out=into)
    if left_out is not None:
        scores[: len(rows)].masked_fill_(left_out[:, None], -torch.inf)
    return _largest(scores.view(groups, GROUP, len(queries)), count)


def _largest(scores: torch.Tensor, count: int) -> Nearest:
    """The largest of scores [G, GROUP, Q] along the first two: they lie in the groups of largest maxima, so that all
    others are looked at no further."""
    groups, size = scores.shape[:2]
    chosen = scores.amax(dim=1).topk(min(count, groups), dim=0).indices.sort(dim=0).values
    candidates = scores.gather(0, chosen[:, None].expand(-1, size, -1)).flatten(0, 1)
    at = (chosen[:, None] * size + torch.arange(size)[None, :, None]).flatten(0, 1)
    found = candidates.topk(count, dim=0).indices.sort(dim=0).values
    values = candidates.gather(0, found)
    order = values.argsort(dim=0, descending=True, stable=True)
    return Nearest(values.gather(0, order).T.contiguous(), at.gather(0, found.gather(0, order)).T.contiguous())
