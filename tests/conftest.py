"""Sees to it that `trilemma`, wherever it is imported from, is the checkout that these tests lie in."""

import gc
import os
from pathlib import Path

import pytest

if "PYTEST_XDIST_WORKER" in os.environ:
    # Workers share the cores among them; PyTorch and the commands that tests run read it when they start.
    os.environ.setdefault("OMP_NUM_THREADS", "1")

# Modules and collected tests are no garbage: to look through them again and again takes a tenth of `make check`.
gc.disable()

ROOT = Path(__file__).resolve().parents[1]
REMEDY = f"Run `make test`, or `pip install -e .` in {ROOT}."

try:
    import trilemma
except ModuleNotFoundError as error:
    if error.name != "trilemma":
        raise
    raise pytest.UsageError(f"The pack is not installed. {REMEDY}") from None

if not trilemma.__file__ or Path(trilemma.__file__).resolve().parent != ROOT:
    raise pytest.UsageError(f"`trilemma` is installed from {trilemma.__file__}, not from this checkout. {REMEDY}")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--write-baselines", action="store_true", help="store what the examples draw and say as it is now")


def pytest_collection_finish() -> None:
    gc.freeze()
    gc.enable()
