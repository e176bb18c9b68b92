"""The pack's own errors, as ComfyUI and tracebacks print them."""

import traceback
from collections.abc import Iterator

import pytest
from trilemma.host.problems import InvalidGraph
from trilemma.models.errors import (
    BadCheckpoint,
    BadInput,
    CannotDo,
    MissingFile,
    ScoreMissed,
    TrilemmaError,
    WorkerLost,
)


def kinds(error: type[TrilemmaError]) -> Iterator[type[TrilemmaError]]:
    yield error
    for below in error.__subclasses__():
        yield from kinds(below)


def full_type_name(error: type[Exception]) -> str:
    """As ComfyUI's execution.py names the class of an error, from 0.3.64 to 0.28.0."""
    module = error.__module__
    return error.__qualname__ if module == "builtins" else module + "." + error.__qualname__


@pytest.mark.parametrize("error", kinds(TrilemmaError), ids=lambda error: error.__name__)
def test_no_path_stands_before_the_sentence(error):
    assert full_type_name(error) == error.__name__


def test_all_kinds_are_known():
    known = {BadInput, BadCheckpoint, MissingFile, CannotDo, ScoreMissed, WorkerLost, InvalidGraph}
    assert known <= set(kinds(TrilemmaError))


def test_a_traceback_ends_in_the_class_and_the_sentence():
    assert traceback.format_exception_only(BadInput("steps: 0; take 1.")) == ["BadInput: steps: 0; take 1.\n"]
