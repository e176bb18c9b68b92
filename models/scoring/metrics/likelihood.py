"""Feature Likelihood Divergence (Jiralerspong et al. 2023, arXiv:2302.04440): how likely held-out images are under
Gaussians around the generated ones. It sees novelty as well as fidelity and diversity: a copy's Gaussian shrinks until
it says nothing of any other image."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final, NamedTuple

import torch

from ..scores import Score
from .checks import check_pair

if TYPE_CHECKING:
    from ..set_pair import SetPair

MOST: Final = 10_000
"""Rows of each set that take part, as in its authors' code."""
STEPS: Final = 50
RATE: Final = 0.5
BETAS: Final = (0.9, 0.999)
"""Of Adam, which fits the variances."""
BASE: Final = 0.81
"""Of the squared distance to the training mean, for the Gaussian that gives every image some likelihood meanwhile."""
SETTLED: Final = 5e-4
"""The fit ends where its loss has been as near as that to each of the four before, after the seventh step."""
LOG_VARIANCES: Final = (-40.0, 40.0)
SCALE: Final = 100
MEMORISED: Final = 1000
"""FLD above which its authors warn of copies."""
_BLOCK: Final = 512


class Divergence(NamedTuple):
    """value: of held-out images, lower is better, about 0 where the generator is as good as the training set.
    gap: that of training images less that of held-out ones; below 0 where it has memorised."""

    value: float
    gap: float


def likelihood_divergence(
    generated: torch.Tensor, training: torch.Tensor, held_out: torch.Tensor, seed: int
) -> Divergence:
    """FLD and its train-test gap, of features [N, D], [T, D], [M, D]; at most MOST rows of each take part.

    (L_generated - L_baseline) * 100, where L is the mean negative log likelihood of the held-out rows over D, under
    Gaussians around generated rows whose variances suit the training rows; the baseline's are around one half of the
    training rows and suit the other. All are first scaled by mean and deviation of the held-out rows.

    seed: of the halves, and of the rows that take part.

    Raises:
        BadInput: fewer than two samples; NaN or infinite features; different dimensions.
    """
    check_pair(generated, training)
    check_pair(generated, held_out)
    generator = torch.Generator().manual_seed(seed)
    parts = [
        rows if len(rows) <= MOST else rows[torch.randperm(len(rows), generator=generator)[:MOST]]
        for rows in (generated, training, held_out)
    ]
    ours, known, theirs = scaled(*parts)
    order = torch.randperm(len(known), generator=generator)
    mixture = Mixture.fitted(ours, known)
    seen = mixture.negative_log_likelihood(known)
    unseen = mixture.negative_log_likelihood(theirs)
    value = SCALE * (unseen - baseline(known, theirs, order, len(ours)))
    return Divergence(value, SCALE * (seen - unseen))


def scaled(
    generated: torch.Tensor, training: torch.Tensor, held_out: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """float64, by mean and standard deviation of the held-out rows; a dimension in which these are equal is centred."""
    exact = held_out.double()
    mean, spread = exact.mean(dim=0), exact.std(dim=0)
    spread = torch.where(spread > 0, spread, 1.0)
    ours, known, theirs = ((rows.double() - mean) / spread for rows in (generated, training, held_out))
    return ours, known, theirs


def baseline(training: torch.Tensor, held_out: torch.Tensor, order: torch.Tensor, most: int) -> float:
    """L of scaled held-out rows around the first half of the training rows in this order, at most so many of them."""
    half = min(most, len(training) // 2)
    mixed = training[order]
    return Mixture.fitted(mixed[:half], mixed[half:]).negative_log_likelihood(held_out)


class Mixture(NamedTuple):
    """Equal parts of Gaussians, as broad in every direction. means: float64 [N, D]. log_variances: float32 [N]."""

    means: torch.Tensor
    log_variances: torch.Tensor

    @classmethod
    def fitted(cls, means: torch.Tensor, rows: torch.Tensor) -> Mixture:
        """With the variances that make rows [M, D] most likely: at most STEPS steps of Adam (Kingma and Ba 2015)."""
        size = means.shape[1]
        squares = torch.cat(list(_squares(rows, means)))
        origin = (BASE * (rows - rows.mean(dim=0)).square().sum(dim=1)).float()
        # The last is that of the Gaussian around the training mean, which the fit alone has.
        logs = torch.cat([((squares.amin(dim=0) + 1e-3) / size).log(), torch.zeros(1)])
        first, second = torch.zeros_like(logs), torch.zeros_like(logs)
        losses: list[float] = []
        for step in range(1, STEPS + 1):
            slopes, loss = _slopes(squares, origin, logs, size)
            first.lerp_(slopes, 1 - BETAS[0])
            second.lerp_(slopes.square(), 1 - BETAS[1])
            reach = first / (1 - BETAS[0] ** step)
            logs = logs - RATE * reach / ((second / (1 - BETAS[1] ** step)).sqrt() + 1e-8)
            logs[:-1].clamp_(*LOG_VARIANCES)
            losses.append(loss)
            if step > 6 and max(abs(loss - before) for before in losses[-5:-1]) < SETTLED:
                break
        return cls(means, logs[:-1])

    def negative_log_likelihood(self, rows: torch.Tensor) -> float:
        """The mean over rows [M, D], divided by D."""
        size = rows.shape[1]
        parts = [
            _log_densities(squares, self.log_variances, size).double().logsumexp(dim=1)
            for squares in _squares(rows, self.means)
        ]
        return (math.log(len(self.means)) - float(torch.cat(parts).mean())) / size


def _squares(rows: torch.Tensor, means: torch.Tensor) -> Iterator[torch.Tensor]:
    """Squared distances, float32 [block of M, N], of float64 products."""
    norms = means.square().sum(dim=1)
    for part in rows.split(_BLOCK):
        found = torch.addmm(norms[None], part, means.T, alpha=-2).add_(part.square().sum(dim=1, keepdim=True))
        yield found.clamp_(min=0).float()


def _log_densities(squares: torch.Tensor, log_variances: torch.Tensor, size: int) -> torch.Tensor:
    """[M, N]: of each row around each mean."""
    found = squares * (-0.5 * torch.exp(-log_variances))
    return found.sub_(0.5 * size * (log_variances + math.log(2 * math.pi)))


def _slopes(squares: torch.Tensor, origin: torch.Tensor, logs: torch.Tensor, size: int) -> tuple[torch.Tensor, float]:
    """Derivative [N + 1] of the mean negative log likelihood over D by each logarithm of a variance, and itself."""
    weights, drawn, loss = torch.zeros_like(logs), torch.zeros_like(logs), 0.0
    for part, beside in zip(squares.split(_BLOCK), origin.split(_BLOCK), strict=True):
        around = _log_densities(part, logs[:-1], size).sub_(math.log(len(logs) - 1))
        apart = _log_densities(beside[:, None], logs[-1:], size)
        total = torch.logaddexp(around.logsumexp(dim=1, keepdim=True), apart)
        loss -= float(total.double().sum()) / (size * len(squares))
        shares = around.sub_(total).exp_()
        own = (apart - total).exp_()[:, 0]
        weights[:-1] += shares.sum(dim=0)
        weights[-1] += own.sum()
        drawn[:-1] += shares.mul_(part).sum(dim=0)
        drawn[-1] += own @ beside
    return (size * weights - drawn * torch.exp(-logs)) * (0.5 / (size * len(squares))), loss


def score_likelihood(pair: SetPair) -> list[Score]:
    """FLD and its gap with the reference as the training set, where there are held-out images; NaN with too few."""
    names = ("fld", "fld_gap")
    if pair.held_out is None:
        return []
    rows = pair.three_sets(4)
    if isinstance(rows, str):
        return [Score(name, math.nan, note=rows) for name in names]
    generated, training, held_out = rows
    if bool((training == training[0]).all()):
        note = f"all rows of {pair.reference.name} are equal, around which nothing is likely"
        return [Score(name, math.nan, note=note) for name in names]
    found = likelihood_divergence(generated, training, held_out, pair.settings.subsets_seed)
    counts = (min(MOST, len(each)) for each in rows)
    copied = "warning: the generated images are likely copies; " if found.value > MEMORISED else ""
    told = pair.held_out_elsewhere + "{} generated, {} training, {} held-out rows".format(*counts)
    return [
        Score("fld", found.value, note=f"{copied}{told}; 0 is as far as training images are from each other"),
        Score("fld_gap", found.gap, note=f"{told}; below 0: nearer to training than to held-out images"),
    ]
