"""SSIM and MS-SSIM of a pair of pictures, beside torchmetrics, both in float64."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import pytest
import torch
from trilemma.models.scoring.metrics import ssim
from trilemma.tests.benchmarks.timing import Comparison, Peaks, compare, compare_peaks

SIDE: Final = 512
FASTER_AT_LEAST: Final = 3.0
LESS_AT_LEAST: Final = 2.0
"""Of tensors; what the convolution itself unfolds, ten times as much, is not among them."""


def rows() -> tuple[list[tuple[str, Comparison, float]], list[tuple[str, Peaks, float]]]:
    """What is compared, the times, and the least ratio that is promised; and the same of peak memory."""
    from torchmetrics.functional import image as functional

    torch.manual_seed(0)
    reference = torch.rand(3, SIDE, SIDE)
    pair = (0.8 * reference + 0.2 * torch.rand(3, SIDE, SIDE)), reference
    batches = [each[None].double() for each in pair]
    measures: dict[str, tuple[Callable[..., Any], Callable[..., float]]] = {
        "SSIM": (functional.structural_similarity_index_measure, ssim.ssim),
        "MS-SSIM": (functional.multiscale_structural_similarity_index_measure, ssim.ms_ssim),
    }
    times, peaks = [], []
    for name, (theirs, own) in measures.items():
        what = f"{name} of a pair of {SIDE} px"

        def reference_call(measure: Callable[..., Any] = theirs) -> float:
            return float(measure(*batches, data_range=1.0))

        def our_call(measure: Callable[..., float] = own) -> float:
            return measure(reference, pair[0])

        assert our_call() == pytest.approx(reference_call(), abs=1e-8)
        times.append((what, compare(reference_call, our_call, 3), FASTER_AT_LEAST))
        peaks.append((what, compare_peaks(reference_call, our_call), LESS_AT_LEAST))
    return times, peaks
