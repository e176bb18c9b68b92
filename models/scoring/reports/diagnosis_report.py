"""A diagnosis in words and as JSON."""

from __future__ import annotations

import json
import math
from typing import Any, Final

import torch

from ..diagnosis.failures import ACTIVE, COPY, Activity, ClassCounts, Diagnosis, Seen, entropy
from ..diagnosis.relevance import PERCENT, Relevance
from ..scores import finite_or_none

COLLAPSED: Final = 0.1
"""Share of active latent numbers below which a posterior is called collapsed; from 1 - COLLAPSED on it is not."""
SIGMAS: Final = 3.0
"""Standard errors above the expected share from which near-duplicates are called many."""
DROPPED: Final = 0.5
"""Share of the expected coverage, and recall, below both of which modes are called missing. Coverage alone is low too
where samples of all modes lie beside the reference, because they are blurred, for instance."""
MANY_COPIES: Final = 0.05
NAMED: Final = 20
"""How many latent numbers are listed."""


def describe(found: Diagnosis, generated: Seen, reference: Seen, name: str, quantile: float) -> str:
    """A line for each failure that was looked for: the verdict, and the numbers behind it."""
    repeats = f" ({reference.repeats} repeats left out)" if reference.repeats else ""
    lines = [f"{name}: {len(generated.features)} samples against {len(reference.features)} reference pictures{repeats}"]
    lines.append(_collapse(found.activity) if found.activity else "posterior collapse: no variational encoder")
    if found.relevance is not None:
        lines.append(_relevance(found.relevance))
    lines.append(_duplicates(found, quantile))
    lines.append(_coverage(found))
    lines.append(_classes(found.classes) if found.classes else "classes: the extractor has none")
    lines.append(_copies(found))
    return "\n".join(lines)


def to_json(found: Diagnosis, generated: Seen, reference: Seen, name: str, quantile: float) -> str:
    """All numbers; null where something could not be taken."""
    classes, activity = found.classes, found.activity
    value: dict[str, Any] = {
        "name": name,
        "samples": len(generated.features),
        "reference": len(reference.features),
        "reference_repeats": reference.repeats,
        "active_units": finite_or_none(found.active_units),
        "latent_numbers": len(activity.variance) if activity else None,
        "divergence": activity.divergence.tolist() if activity else None,
        "variance": activity.variance.tolist() if activity else None,
        "relevant_dimensions": finite_or_none(found.relevant_dimensions),
        "relevance": found.relevance.values.tolist() if found.relevance else None,
        "duplicate_share": found.duplicate_share,
        "duplicate_share_expected": quantile,
        "duplicate_distance": found.duplicate_distance,
        "coverage": found.coverage,
        "coverage_expected": found.expected_coverage,
        "precision": found.precision,
        "recall": found.recall,
        "class_entropy": entropy(classes.generated) if classes else None,
        "class_entropy_reference": entropy(classes.reference) if classes else None,
        "classes": classes.generated.tolist() if classes else None,
        "classes_reference": classes.reference.tolist() if classes else None,
        "memorised_share": found.memorised_share,
        "nearest": [
            {"sample": index, "reference": reference.numbers[place], "ratio": finite_or_none(ratio)}
            for index, place, ratio in zip(
                generated.numbers, found.nearest.tolist(), found.ratios.tolist(), strict=True
            )
        ],
    }
    return json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False)


def _collapse(activity: Activity) -> str:
    size, active = len(activity.active), int(activity.active.sum())
    verdict = "none"
    if active < (1 - COLLAPSED) * size:
        verdict = "PARTIAL" if active >= COLLAPSED * size else "COLLAPSED, the decoder learns next to nothing of z"
    return (
        f"posterior collapse: {verdict} ({active} of {size} latent numbers active, variance of the mean above "
        f"{ACTIVE:g}; divergence {float(activity.divergence.sum()):.4g} nats, over {activity.images} images)"
    )


def _relevance(relevance: Relevance) -> str:
    chosen = relevance.relevant()
    listed = ", ".join(map(str, chosen[:NAMED])) + (", ..." if len(chosen) > NAMED else "")
    return (
        f"relevant dimensions: {len(chosen)} of {len(relevance.moment)} latent numbers have {PERCENT:g} % of what "
        f"moves pictures (ARD-VAE's rule): {listed}"
    )


def _duplicates(found: Diagnosis, quantile: float) -> str:
    error = math.sqrt(quantile * (1 - quantile) / len(found.twins))
    many = found.duplicate_share > max(2 * quantile, quantile + SIGMAS * error)
    return (
        f"near-duplicates: {'MANY' if many else 'no more than usual'} ({found.duplicate_share:.1%} of "
        f"{len(found.twins)} samples; as many reference pictures have {quantile:.1%})"
    )


def _coverage(found: Diagnosis) -> str:
    verdict = "no collapse"
    if found.coverage < DROPPED * found.expected_coverage:
        verdict = "modes are MISSING" if found.recall < DROPPED else "no collapse, but samples lie BESIDE the reference"
    return (
        f"mode coverage: {verdict} (coverage {found.coverage:.3f}; samples as good as the reference have "
        f"{found.expected_coverage:.3f}; precision {found.precision:.3f}, recall {found.recall:.3f})"
    )


def _classes(classes: ClassCounts) -> str:
    ours, theirs = (math.exp(entropy(counts)) for counts in classes)
    absent = (classes.reference > 0) & (classes.generated == 0)
    names = torch.nonzero(absent).flatten().tolist()
    listed = ", ".join(map(str, names[:20])) + (", ..." if len(names) > 20 else "")
    missing = f"; missing: {listed}" if names else "; none of the reference's is missing"
    return (
        f"classes: entropy of {ours:.1f} equally frequent ones, the reference's {theirs:.1f}"
        f" ({entropy(classes.generated):.3f} and {entropy(classes.reference):.3f} nats){missing}"
    )


def _copies(found: Diagnosis) -> str:
    memorised = found.memorised_share > MANY_COPIES
    return (
        f"memorisation: {'samples are COPIES of reference pictures' if memorised else 'none seen'} "
        f"({found.memorised_share:.1%} of the samples are nearer to a reference picture than {COPY:.2f} of that one's "
        f"distance to the next; median ratio {float(found.ratios.median()):.2f})"
    )
