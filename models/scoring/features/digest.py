"""What tells a set of features from all others."""

from __future__ import annotations

import hashlib

from ..metrics.frechet import Gaussian
from .feature_set import Features


def digest_of(features: Features) -> str:
    """SHA-256 of the samples and of how they were taken, hex, whatever the set is called and however it was added up.

    Of a set of mean and covariance, whose samples are unknown, of these numbers.
    """
    digest = hashlib.sha256("\n".join(features.source.key).encode())
    for name in sorted(tap.name for tap in features.taps):
        digest.update(f"\n{name}".encode())
    rows = features.rows
    digest.update(f"\n{rows.capacity} {rows.seed}\n".encode() if rows else b"\n\n")
    digest.update(features.keys.numpy().tobytes())
    for tap in features.taps:
        if isinstance(tap.statistics, Gaussian):
            digest.update(tap.statistics.mean.numpy().tobytes())
            digest.update(tap.statistics.covariance.contiguous().numpy().tobytes())
    return digest.hexdigest()
