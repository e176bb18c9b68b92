"""Every starter and a published layout of each kind: as on the processor, in both precisions, within its memory."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from trilemma.models.detection.base import Detector
from trilemma.models.detection.mixed_precision import mixed
from trilemma.models.weights import full_precision
from trilemma.tests.device import accelerator, figures
from trilemma.tests.device.cases import CASES, HALF, SINGLE, Case

COMPARED = 4 if accelerator.REAL else 2
"""Pictures that the processor computes too."""
HALF_A_PIXEL = 0.5 / 384
"""Of the scenes."""


@pytest.fixture(scope="module", params=CASES, ids=lambda case: case.name)
def case(request):
    return request.param


@pytest.fixture(scope="module")
def path(case, tmp_path_factory):
    return case.write(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def expected(case, path):
    return case.run(case.load(path, full_precision), COMPARED)


def on_device(model: Any) -> Any:
    for module in model.modules:
        module.to(accelerator.DEVICE)
    return model


def off(actual: torch.Tensor, expected: torch.Tensor, agreement: float) -> float:
    """The greatest difference as a share of the largest value, of the share of pictures that agree best."""
    each = (actual - expected).flatten(1).abs().amax(dim=1) / expected.abs().max()
    return float(each.sort().values[: max(1, round(agreement * len(each)))].max())


def agree(case: Case, dtype: str, actual: torch.Tensor, expected: torch.Tensor, allowed: float) -> None:
    assert actual.shape == expected.shape
    assert actual.dtype == torch.float32
    found = off(actual, expected, case.agreement)
    figures.DIFFERENCES.append((case.name, dtype, found, allowed))
    assert found <= allowed


def test_results_are_those_of_the_processor(case, path, expected):
    model = on_device(case.load(path, full_precision))
    agree(case, "float32", case.run(model, COMPARED), expected, SINGLE)


def test_half_precision_is_near(case, path, expected):
    if not case.half:
        pytest.skip(f"{case.name} computes in float32 everywhere")
    model = on_device(case.load(path, lambda parameters: torch.float16))
    agree(case, "float16", case.run(model, COMPARED), expected, HALF)


def test_mixed_precision_moves_boxes_by_little(case, path, expected):
    """Half of them by less than half a pixel: nearly equal candidates may change places."""
    model = case.load(path, full_precision)
    if not (isinstance(model, Detector) and "starter" in case.name):
        pytest.skip("of detectors only; under random weights all candidates are nearly equal")
    found = case.run(on_device(mixed(model)), COMPARED)
    off = (expected[:, :, None, :4] - found[:, None, :, :4]).abs().amax(-1).amin(-1)
    figures.DIFFERENCES.append((case.name, "bfloat16, median of boxes", float(off.median()), HALF_A_PIXEL))
    assert 0 < off.median() < HALF_A_PIXEL


@accelerator.needs_memory
def test_memory_is_what_was_estimated(case, path):
    model = on_device(case.load(path, full_precision))
    case.run(model, 1)  # libraries keep workspaces from their first call on
    ratios = []
    for number in case.numbers:
        estimated, measured = (
            case.memory(model, number),
            accelerator.peak(lambda number=number: case.run(model, number)),
        )
        figures.MEMORY.append((case.name, f"{number} pictures", estimated, measured))
        ratios.append(estimated / measured)
    assert all(0.7 <= ratio <= 1.5 for ratio in ratios), ratios
