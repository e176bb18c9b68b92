"""Checks of a loaded model, for the common tests and for variants of a family that its `tiny` is not."""

from __future__ import annotations

from typing import Any

import torch
from trilemma.models.steps import quiet
from trilemma.tests.closeness import are_distinct, assert_close
from trilemma.tests.families.kinds import Kind
from trilemma.tests.peak_memory import peak_bytes

COUNT = 8
BATCHES = (1, 3, 8)


def no_answer_depends_on_the_batch(kind: Kind, model: Any) -> None:
    """What networks gave is close, what none took part in equal, in batches of every size; and inputs do count."""
    runs = [kind.run(model, COUNT, size, quiet) for size in BATCHES]
    assert are_distinct(runs[0])
    for other in runs[1:]:
        assert_close(other, runs[0])
    expected, *others = (kind.more(model, COUNT, size) for size in BATCHES)
    for name, values in expected.items():
        for other in others:
            if name.startswith("exact"):
                assert torch.equal(other[name], values), name
            else:
                assert_close(other[name], values)


def memory_is_foreseen(kind: Kind, model: Any, name: str = "") -> None:
    """The estimate lies within 0.7 to 1.5 times of the tensors alive at the peak of a run."""
    for size in BATCHES:
        peak = peak_bytes(lambda size=size: kind.run(model, size, size, quiet))
        ratio = kind.memory(model, size) / peak
        print(f"{name}, batch of {size}: {ratio:.2f}")
        assert 0.7 <= ratio <= 1.5
