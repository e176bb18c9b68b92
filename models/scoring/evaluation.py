"""All scores of a generated set of features against a reference set, with what they came from."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import torch

from ..version import VERSION
from .comparison.influences import of_pair
from .features.digest import digest_of
from .features.feature_set import Features
from .metric import METRICS
from .metrics.frechet import Gaussian
from .protocols import PROTOCOLS, check_scores, check_sets, protocol_of
from .scores import Scores
from .set_pair import DEFAULTS, NO_PROTOCOL, SetPair, Settings
from .taken_by import KEY, of_sets


def score(
    generated: Features,
    reference: Features,
    settings: Settings = DEFAULTS,
    name: str = "",
    cost: Mapping[str, float] | None = None,
    provenance: Mapping[str, Any] | None = None,
    held_out: Features | None = None,
) -> Scores:
    """Every score that the two sets allow; of one that they do not, NaN, and its note says what is missing.

    Args:
        held_out: images that the generator has never seen; the reference is then what it was trained on, and whether
            it copies is asked too.
        name: of the model, as tables show it; empty takes the generated set's.
        cost, provenance: further entries of the report.

    Raises:
        BadInput: the sets were taken in different ways, or one has fewer than two samples; or something differs from
            the protocol in `settings`, which decides on all of them but the seed.
    """
    protocol = protocol_of(settings.protocol)
    if protocol is not None:
        check_sets(protocol, generated, reference)
        settings = protocol.settings_with(settings.subsets_seed)
        # None asks whether anything was copied; held-out images would only keep equal rows apart.
        held_out = None
    pair = SetPair(generated, reference, settings, held_out)
    takers = [
        metric.of_features
        for key, metric in METRICS.items()
        if metric.of_features and (protocol is None or key in protocol.metrics)
    ]
    found = tuple(score for take in takers if (score := take(pair)) is not None)
    if protocol is not None:
        check_scores(protocol, found)
    came_from = {**_provenance(pair), KEY: of_sets(pair), **(provenance or {})}
    return Scores(name or generated.name, found, cost or {}, came_from, partial(of_pair, pair))


def _provenance(pair: SetPair) -> dict[str, Any]:
    generated, reference, settings, held_out = pair.generated, pair.reference, pair.settings, pair.held_out
    source = generated.source
    return {
        "extractor": {"name": source.extractor, "identity": source.identity, "resize": source.resize},
        "reference": _told(reference),
        **({"protocol": _named(pair.settings.protocol)} if pair.settings.protocol != NO_PROTOCOL else {}),
        **({"held_out": _told(held_out)} if held_out else {}),
        **_counts(generated),
        "identity": digest_of(generated),
        "readers": {"generated": list(generated.readers), "reference": list(reference.readers)},
        "subsets": {
            "kid_subsets": settings.kid_subsets,
            "kid_subset_size": settings.kid_subset_size,
            "nearest_k": settings.nearest_k,
            "neighbourhood": settings.neighbourhood,
            "subsets_seed": settings.subsets_seed,
            "kid_kernel": settings.kid_kernel,
        },
        "versions": {"trilemma": VERSION, "torch": torch.__version__},
    }


def _named(name: str) -> dict[str, str]:
    protocol = PROTOCOLS[name]
    return {"name": name, "identity": protocol.identity, "source": protocol.source}


def _told(features: Features) -> dict[str, Any]:
    return {"name": features.name, "identity": digest_of(features), **_counts(features)}


def _counts(features: Features) -> dict[str, Any]:
    rows = features.rows
    return {
        "samples": features.count,
        "rows": len(rows.keys) if rows else 0,
        "rows_seed": rows.seed if rows else None,
        "statistics": "mu sigma" if isinstance(features.taps[0].statistics, Gaussian) else "sums",
    }
