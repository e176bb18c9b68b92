"""Inception score (Salimans et al. 2016) from sums of class probabilities."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

import torch

from ...errors import BadInput
from ..scores import Score
from .checks import check_finite

if TYPE_CHECKING:
    from ..set_pair import SetPair


class InceptionScore(NamedTuple):
    """mean, std: over the splits; std is the population's (ddof 0), as torch-fidelity has it. splits: each one's."""

    mean: float
    std: float
    splits: tuple[float, ...]


def inception_score(
    counts: torch.Tensor, probabilities: torch.Tensor, negative_entropies: torch.Tensor
) -> InceptionScore:
    """exp of the mean divergence between each sample's classes and those of all samples of its split.

    mean(sum_c p log p) - sum_c q log q for q = mean(p): sums are enough, and they add up over batches.

    counts: int64 [S], samples of each split. probabilities: float64 [S, C], sums of p.
    negative_entropies: float64 [S], sums of sum_c p log p.

    Raises:
        BadInput: a split without samples; NaN sums.
    """
    empty = int((counts < 1).sum())
    if empty:
        raise BadInput(f"splits: {empty} of {len(counts)} have no sample; give more images, at least one for each.")
    check_finite("class probabilities", probabilities)
    check_finite("class probabilities", negative_entropies)
    q = probabilities / counts[:, None]
    divergences = negative_entropies / counts - torch.xlogy(q, q).sum(dim=1)
    scores = divergences.exp()
    return InceptionScore(float(scores.mean()), float(scores.std(correction=0)), tuple(scores.tolist()))


def inception_score_of_logits(logits: torch.Tensor, splits: int = 1) -> InceptionScore:
    """Of logits [N, C]; split i holds the rows from i N // splits to (i + 1) N // splits.

    Raises:
        BadInput: fewer samples than splits; NaN logits.
    """
    check_finite("logits", logits)
    log_p = logits.double().log_softmax(dim=1)
    bounds = [i * len(logits) // splits for i in range(splits + 1)]
    parts = [log_p[start:end] for start, end in pairwise(bounds)]
    return inception_score(
        torch.tensor([len(part) for part in parts]),
        torch.stack([part.exp().sum(dim=0) for part in parts]),
        torch.stack([(part.exp() * part).sum() for part in parts]),
    )


def score_classes(pair: SetPair) -> Score:
    """Inception score of the generated set; NaN without classes, or with too few samples for the splits."""
    if pair.generated.classes is None:
        return Score("inception_score", math.nan, note=f"{pair.generated.source.extractor} has no classes")
    try:
        found = inception_score(*pair.generated.classes)
    except BadInput as error:
        return Score("inception_score", math.nan, note=str(error))
    return Score("inception_score", found.mean, found.std, note=f"{len(found.splits)} splits")
