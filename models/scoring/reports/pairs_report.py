"""Images against references, in words and as JSON."""

from __future__ import annotations

import json
import math
from typing import Any

from ..metric import METRICS
from ..metrics.pairs import Comparison
from ..scores import finite_or_none


def to_json(comparison: Comparison) -> str:
    """Per-image values and means as JSON; null where a value could not be taken, or is infinite (`identical`)."""
    count = len(comparison.identical)
    images = [
        {
            "image": index,
            "identical": comparison.identical[index],
            **{metric: finite_or_none(values[index]) for metric, values in comparison.values.items()},
        }
        for index in range(count)
    ]
    content: dict[str, Any] = {
        "width": comparison.width,
        "height": comparison.height,
        "images": images,
        "mean": {metric: finite_or_none(comparison.mean(metric)) for metric in comparison.values},
        "left_out": dict(comparison.reasons),
    }
    return json.dumps(content, indent=2, allow_nan=False)


def describe(comparison: Comparison) -> str:
    """One line per pair, the means, and what was left out and why."""
    taken = [metric for metric in comparison.values if metric not in comparison.reasons]
    lines = [
        f"image {index}: " + ", ".join(_shown(metric, comparison.values[metric][index]) for metric in taken)
        for index in range(len(comparison.identical))
    ]
    if len(lines) > 1:
        lines.append("mean: " + ", ".join(_shown(metric, comparison.mean(metric)) for metric in taken))
    lines += [f"{METRICS[metric].label} left out: {reason}" for metric, reason in comparison.reasons.items()]
    return "\n".join(lines)


def _shown(metric: str, value: float) -> str:
    label = METRICS[metric].label
    if metric == "psnr":
        return "PSNR infinite (identical)" if math.isinf(value) else f"PSNR {value:.2f} dB"
    return f"{label} {value:.4f}"
