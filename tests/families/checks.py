"""Checks of a loaded model, for the common tests and for variants of a family that its `tiny` is not."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
import torch
from trilemma.models.steps import quiet
from trilemma.tests.closeness import are_distinct, assert_close
from trilemma.tests.families.kinds import SIDES, Kind, all_pictures
from trilemma.tests.peak_memory import peak_bytes


def no_answer_depends_on_the_batch(kind: Kind, model: Any) -> None:
    """What networks gave is close, what none took part in equal, in batches of every size; and inputs do count."""
    most = max(kind.batches)
    for run in kind.runs:
        answers = [run.answers(model, most, size, quiet) for size in kind.batches]
        assert are_distinct(answers[0])
        for other in answers[1:]:
            assert_close(other, answers[0])
    expected, *others = (kind.more(model, most, size) for size in kind.batches)
    for name, values in expected.items():
        for other in others:
            if name.startswith("exact"):
                assert torch.equal(other[name], values), name
            else:
                assert_close(other[name], values)


def memory_is_foreseen(kind: Kind, model: Any, name: str = "", sizes: Sequence[int] = (1, 3, 8)) -> None:
    """The estimate lies within 0.7 to 1.5 times of the tensors alive at the peak, for batches of these sizes."""
    for side in SIDES:
        all_pictures(side)
    for run in kind.runs:
        for size in sizes:
            peak = peak_bytes(lambda run=run, size=size: run.answers(model, size, size, quiet))
            ratio = run.memory(model, size) / peak
            print(f"{name}, {run.answers.__name__} of {size}: {ratio:.2f}")
            assert 0.7 <= ratio <= 1.5


def steps_are_told_and_stop_the_run(kind: Kind, model: Any) -> None:
    """Up to what was foreseen, with pictures now and then; and what is raised in a step stops the run there."""
    for run in kind.runs:
        told: list[int] = []

        def on_step(done: int, preview: torch.Tensor | None = None, told: list[int] = told) -> None:
            told.append(done)
            if preview is not None:
                assert preview.ndim == 3 and preview.shape[2] == 3
                assert 0 <= preview.min() <= preview.max() <= 1

        run.answers(model, 2, 1, on_step)
        assert told == sorted(told)
        assert told[-1] == run.steps(model, 2)
        told.clear()

        def stop(done: int, preview: torch.Tensor | None = None, told: list[int] = told) -> None:
            told.append(done)
            raise InterruptedError

        with pytest.raises(InterruptedError):
            run.answers(model, 2, 1, stop)
        assert len(told) == 1
