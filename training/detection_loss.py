"""The set loss of Grounding DINO: token-level focal loss, L1 and generalised IoU on matched queries.

Zhu et al. 2021 (Deformable DETR), Liu et al. 2023 (Grounding DINO). The library's own training loss is not used: in
transformers 5.23 its one-hot targets are right only when all prompts of a batch are equal, and it sends no gradient
to the encoder's proposals.
"""

from functools import lru_cache
from itertools import product

import torch
import torch.nn.functional as F
from torch import Tensor

CLASS_WEIGHT, L1_WEIGHT, GIOU_WEIGHT = 2.0, 5.0, 2.0
ALPHA = 0.25


def set_loss(
    logits: Tensor, boxes: Tensor, text_mask: Tensor, targets: list[tuple[Tensor, Tensor]], copies: int | None
) -> Tensor:
    """Scalar loss of one set of predictions, averaged over the targets.

    logits: [B, Q, T], a query's score for every token of its prompt.
    boxes: [B, Q, 4], cx cy w h in 0..1.
    text_mask: bool [B, T].
    targets: per image (float [N, 4] boxes as above, bool [N, T] tokens of each target's phrase).
    copies: how many queries may answer for one target; None matches one to one with least total cost.
    """
    wanted = torch.zeros_like(logits)
    predicted, true = [], []
    for image, (target_boxes, tokens) in enumerate(targets):
        if len(target_boxes) == 0:
            continue
        with torch.no_grad():
            cost = matching_cost(logits[image], boxes[image], target_boxes, tokens)
            queries, owners = match_one_to_one(cost) if copies is None else match_cheapest(cost, copies)
        wanted[image, queries] = tokens[owners].to(wanted.dtype)
        predicted.append(boxes[image, queries])
        true.append(target_boxes[owners])
    matched = max(1, sum(map(len, predicted)))
    loss = CLASS_WEIGHT * _focal_loss(logits, wanted, text_mask).sum() / matched
    if predicted:
        found, sought = torch.cat(predicted), torch.cat(true)
        loss = loss + L1_WEIGHT * (found - sought).abs().sum() / matched
        loss = loss + GIOU_WEIGHT * (1 - paired_giou(found, sought)).sum() / matched
    return loss


def matching_cost(logits: Tensor, boxes: Tensor, target_boxes: Tensor, tokens: Tensor) -> Tensor:
    """[Q, N]: how badly each query explains each target. logits [Q, T], boxes [Q, 4], tokens bool [N, T]."""
    score = logits.sigmoid()
    reward = ALPHA * (1 - score) ** 2 * F.logsigmoid(logits)
    penalty = (1 - ALPHA) * score**2 * F.logsigmoid(-logits)
    shares = tokens / tokens.sum(dim=1, keepdim=True)
    class_cost = torch.where(tokens.any(dim=0), penalty - reward, 0.0) @ shares.T
    l1_cost = torch.cdist(boxes, target_boxes, p=1)
    giou = paired_giou(boxes[:, None], target_boxes[None])
    return CLASS_WEIGHT * class_cost + L1_WEIGHT * l1_cost - GIOU_WEIGHT * giou


def match_one_to_one(cost: Tensor) -> tuple[Tensor, Tensor]:
    """Exact assignment of least total cost: (queries, targets), int64 [N] each, from a cost [Q, N] of a few targets.

    Some optimum gives every target one of its N cheapest queries, for the other targets occupy at most N - 1 of
    them; so N^N combinations are tried at once.
    """
    count = cost.shape[1]
    cheapest = cost.topk(count, dim=0, largest=False)
    combinations = _combinations(count)
    targets = torch.arange(count)
    queries = cheapest.indices[combinations, targets]
    ordered = queries.sort(dim=1).values
    clashes = (ordered[:, 1:] == ordered[:, :-1]).any(dim=1)
    totals = cheapest.values[combinations, targets].sum(dim=1).masked_fill(clashes, torch.inf)
    return queries[totals.argmin()], targets


@lru_cache
def _combinations(count: int) -> Tensor:
    return torch.tensor(list(product(range(count), repeat=count)))


def match_cheapest(cost: Tensor, copies: int) -> tuple[Tensor, Tensor]:
    """Each target's `copies` cheapest queries; a query wanted by several targets goes to the one it costs least."""
    chosen = torch.zeros_like(cost, dtype=torch.bool)
    chosen.scatter_(0, cost.topk(copies, dim=0, largest=False).indices, True)
    queries = chosen.any(dim=1).nonzero()[:, 0]
    owners = cost.masked_fill(~chosen, torch.inf)[queries].argmin(dim=1)
    return queries, owners


def paired_giou(a: Tensor, b: Tensor) -> Tensor:
    """Generalised IoU (Rezatofighi et al. 2019) of broadcast boxes [..., 4], cx cy w h."""
    a_low, a_high = a[..., :2] - a[..., 2:] / 2, a[..., :2] + a[..., 2:] / 2
    b_low, b_high = b[..., :2] - b[..., 2:] / 2, b[..., :2] + b[..., 2:] / 2
    inner = (torch.minimum(a_high, b_high) - torch.maximum(a_low, b_low)).clamp(min=0).prod(dim=-1)
    outer = (torch.maximum(a_high, b_high) - torch.minimum(a_low, b_low)).prod(dim=-1)
    union = a[..., 2:].prod(dim=-1) + b[..., 2:].prod(dim=-1) - inner
    return inner / union - (outer - union) / outer


def _focal_loss(logits: Tensor, wanted: Tensor, text_mask: Tensor) -> Tensor:
    valid = text_mask[:, None].expand_as(logits)
    logits = logits.masked_fill(~valid, 0.0)
    loss = F.binary_cross_entropy_with_logits(logits, wanted, reduction="none")
    miss = torch.where(wanted > 0, 1 - logits.sigmoid(), logits.sigmoid())
    weight = torch.where(wanted > 0, ALPHA, 1 - ALPHA)
    return (weight * miss**2 * loss).masked_fill(~valid, 0.0)
