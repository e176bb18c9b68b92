"""The families' known failures as numbers: collapsed posteriors, missing modes, near-duplicates, memorised pictures."""

from __future__ import annotations

import math
from typing import Final, NamedTuple

import torch

from ...errors import BadInput
from ...generators.base import Posterior
from ..metrics.neighbours import NEAREST, neighbours
from .relevance import Relevance

ACTIVE: Final = 0.01
"""Variance of a latent number's posterior mean over images from which it counts as active (Burda et al. 2016)."""
QUANTILE: Final = 0.05
"""Share of the reference's pictures that are nearer to another one than near-duplicates are."""
COPY: Final = 1 / 3
"""Ratio of distances below which a sample counts as memorised (Yoon et al. 2023 ask for it of the two nearest)."""


class Seen(NamedTuple):
    """What an extractor says of N pictures.

    features: float32 [N, D], of its main tap. classes: int64 [N], the likeliest; None where it has none.
    numbers: place of each in its run, by which it is drawn again. repeats: pictures left out, equal to an earlier one.
    """

    features: torch.Tensor
    classes: torch.Tensor | None
    numbers: tuple[int, ...]
    repeats: int = 0


class Activity(NamedTuple):
    """Of each of D latent numbers, over some images.

    divergence: float64 [D], mean divergence KL(q(z|x) || p(z)) in nats.
    variance: float64 [D], of the posterior's mean less the prior's.
    """

    images: int
    divergence: torch.Tensor
    variance: torch.Tensor

    @property
    def active(self) -> torch.Tensor:
        """Bool [D]: whether a number tells images apart."""
        return self.variance > ACTIVE


class ClassCounts(NamedTuple):
    """How many pictures fall into each of C classes: int64 [C] each."""

    generated: torch.Tensor
    reference: torch.Tensor


class Diagnosis(NamedTuple):
    """Of N samples against M reference pictures; distances are those of features.

    twins: int64 [n], of the first n = min(N, M) samples, the nearest other one of them; twin_distances [n]: to it.
    duplicate_distance: nearer ones are near-duplicates; a quantile of the distances from each of n reference pictures
        to the next.
    coverage: share of the reference with a sample in its neighbourhood (Naeem et al. 2020); expected_coverage: that of
        samples of the reference's own distribution. precision, recall: see neighbours.Neighbours.
    nearest: int64 [N], the reference picture next to each sample. ratios: float64 [N], the distance to it over that
        picture's distance to the next reference picture.
    classes: None where the extractor has none. activity: None where the model has no variational encoder. relevance:
        None there too, and where it has more than relevance.MOST latent numbers.
    """

    twins: torch.Tensor
    twin_distances: torch.Tensor
    duplicate_distance: float
    coverage: float
    expected_coverage: float
    precision: float
    recall: float
    nearest: torch.Tensor
    ratios: torch.Tensor
    classes: ClassCounts | None
    activity: Activity | None
    relevance: Relevance | None = None

    @property
    def duplicate_share(self) -> float:
        return float((self.twin_distances < self.duplicate_distance).double().mean())

    @property
    def memorised_share(self) -> float:
        return float((self.ratios < COPY).double().mean())

    @property
    def active_units(self) -> float:
        """NaN where the model has no variational encoder."""
        return float(self.activity.active.sum()) if self.activity else math.nan

    @property
    def relevant_dimensions(self) -> float:
        """NaN where they were not taken."""
        return float(self.relevance.count()) if self.relevance else math.nan


class ActivitySums:
    """Adds up the posteriors of batches of images to an Activity."""

    def __init__(self) -> None:
        self._count = 0
        self._sums: list[torch.Tensor] = []

    def add(self, posterior: Posterior) -> None:
        """Count the images of one batch."""
        mean, log_variance, prior_mean, prior_log_variance = (part.flatten(1).double() for part in posterior)
        away = mean - prior_mean
        excess = prior_log_variance - log_variance
        divergence = (excess + (log_variance.exp() + away.square()) / prior_log_variance.exp() - 1) / 2
        new = [away.sum(dim=0), away.square().sum(dim=0), divergence.sum(dim=0)]
        self._sums = [old + more for old, more in zip(self._sums, new, strict=True)] if self._sums else new
        self._count += len(mean)

    def activity(self) -> Activity | None:
        """None where nothing was added.

        Raises:
            BadInput: a single image, which has no variance.
        """
        if not self._sums:
            return None
        if self._count < 2:
            raise BadInput("images: one image tells nothing of active units; give at least 2.")
        total, squares, divergence = self._sums
        variance = (squares - total.square() / self._count) / (self._count - 1)
        return Activity(self._count, divergence / self._count, variance.clamp_min(0))


def diagnose(
    generated: Seen,
    reference: Seen,
    num_classes: int,
    activity: Activity | None,
    quantile: float = QUANTILE,
    relevance: Relevance | None = None,
) -> Diagnosis:
    """Compare samples with reference pictures.

    num_classes: of the extractor.

    Raises:
        BadInput: fewer than 6 of either, or features that are not finite.
    """
    ours, theirs = generated.features, reference.features
    # Distances to the next one shrink with the number of pictures, so both sets have as many.
    count = min(len(ours), len(theirs))
    alike = neighbours(ours[:count], theirs[:count], k=1)
    limit = float(alike.reference_radii.double().quantile(quantile))
    covering = neighbours(ours, theirs, NEAREST)
    next_to = neighbours(ours, theirs, k=1)
    own = next_to.reference_radii[next_to.nearest].double().clamp_min(torch.finfo(torch.float32).tiny)
    classes = None
    if generated.classes is not None and reference.classes is not None:
        counts = (torch.bincount(found, minlength=num_classes) for found in (generated.classes, reference.classes))
        classes = ClassCounts(*counts)
    return Diagnosis(
        twins=_twins(ours[:count]),
        twin_distances=alike.generated_radii.double(),
        duplicate_distance=limit,
        coverage=covering.coverage,
        expected_coverage=expected_coverage(len(ours), len(theirs)),
        precision=covering.precision,
        recall=covering.recall,
        nearest=next_to.nearest,
        ratios=next_to.distances.double() / own,
        classes=classes,
        activity=activity,
        relevance=relevance,
    )


def expected_coverage(generated: int, reference: int, k: int = NEAREST) -> float:
    """Coverage of two sets of one distribution, whatever it is (Naeem et al. 2020, section 3.3)."""
    missed = 1.0
    for i in range(1, k + 1):
        missed *= (reference - i) / (generated + reference - i)
    return 1 - missed


def entropy(counts: torch.Tensor) -> float:
    """Entropy of a histogram in nats."""
    shares = counts.double() / counts.sum()
    return float(-torch.xlogy(shares, shares).sum())


def _twins(features: torch.Tensor, block: int = 512) -> torch.Tensor:
    """The nearest other row of each: int64 [N]."""
    found = []
    for start in range(0, len(features), block):
        rows = features[start : start + block]
        distances = torch.cdist(rows, features)
        distances[torch.arange(len(rows)), torch.arange(start, start + len(rows))] = torch.inf
        found.append(distances.argmin(dim=1))
    return torch.cat(found)
