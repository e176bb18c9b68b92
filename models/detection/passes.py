"""Answers of a network that looked at the same pictures several times, each time for other phrases."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from ..pictures.boxes import pairwise_iou


def joined(answers: Sequence[tuple[torch.Tensor, torch.Tensor]]) -> tuple[torch.Tensor, torch.Tensor]:
    """One answer of several, each of boxes [B, Q, 4] and probabilities [B, Q, T]: the queries of all of them and the
    tokens of all of them, one pass after the other; a query gives tokens of other passes the probability 0."""
    boxes, probabilities = zip(*answers, strict=True)
    pictures = zip(*(each.unbind() for each in probabilities), strict=True)
    return torch.cat(boxes, dim=1), torch.stack([torch.block_diag(*picture) for picture in pictures])


def suppress_across(corners: torch.Tensor, passes: torch.Tensor, iou_threshold: float) -> torch.Tensor:
    """bool [N]: which of boxes [N, 4], the best first, stay beside those of other passes.

    Within a pass a query has one name; the same object found in two passes has two, of which the better one counts.
    passes: int64 [N], in which pass each was found.
    """
    rivals = (pairwise_iou(corners, corners) > iou_threshold) & (passes[:, None] != passes[None, :])
    dropped = torch.zeros(len(corners), dtype=torch.bool)
    for index in range(len(corners)):
        if not dropped[index]:
            dropped[index + 1 :] |= rivals[index, index + 1 :]
    return ~dropped
