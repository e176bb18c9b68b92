"""From logits to a code: temperature, top-k, top-p, and one uniform number that decides."""

from __future__ import annotations

import torch


def pick(
    logits: torch.Tensor, uniform: torch.Tensor, temperature: float = 1.0, top_k: int = 0, top_p: float = 1.0
) -> torch.Tensor:
    """Codes, int64 [N], CPU, drawn by the inverse of the cumulative distribution over what `keep` leaves.

    All in float64 and in the order of the codes, not of their probabilities: a last bit of a logit that depends on
    the batch moves a boundary by that bit, and never swaps two codes.

    logits: [N, K], any device. uniform: float64 [N] in [0, 1).
    """
    kept = keep(logits.cpu().double(), temperature, top_k, top_p)
    cumulative = kept.cumsum(dim=1)
    total = cumulative[:, -1:].contiguous()
    found = torch.searchsorted(cumulative, uniform[:, None] * total, right=True)
    # A number next to 1 may be rounded up to the total; it belongs to the last code that is kept.
    last = torch.searchsorted(cumulative, total)
    return torch.minimum(found, last)[:, 0]


def keep(logits: torch.Tensor, temperature: float = 1.0, top_k: int = 0, top_p: float = 1.0) -> torch.Tensor:
    """Probabilities, float64 [N, K], 0 for codes that are left out; they sum up to what is kept.

    temperature: divides the logits. top_k: the likeliest k stay (0: all). top_p: of these, the likeliest whose sum
    first reaches this share of theirs (Holtzman 2020); one stays in any case. Of equal codes the first is likelier.
    """
    probabilities = (logits.double() / temperature).softmax(dim=1)
    if not top_k and top_p >= 1:
        return probabilities
    ordered, order = probabilities.sort(dim=1, descending=True, stable=True)
    if top_k:
        ordered[:, top_k:] = 0
    before = ordered.cumsum(dim=1) - ordered
    ordered[before >= top_p * ordered.sum(dim=1, keepdim=True)] = 0
    ordered[:, 0] = probabilities.amax(dim=1)
    return torch.zeros_like(probabilities).scatter(1, order, ordered)
