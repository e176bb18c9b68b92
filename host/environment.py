"""The environment variables that the pack reads, here and nowhere else: the registry's scanner looks for them."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def folder(variable: str, default: Path) -> Path:
    """The folder that the variable names, else the default."""
    return Path(os.environ.get(variable, default))


HOME = folder("TRILEMMA_HOME", Path("."))
MODELS = folder("TRILEMMA_MODELS", HOME / "model_files")
_REPORTS = "RAY_USAGE_STATS_ENABLED"


@contextmanager
def without_reports() -> Iterator[None]:
    """For the block, Ray is told to send nobody how it is used."""
    before = os.environ.get(_REPORTS)
    os.environ[_REPORTS] = "0"
    try:
        yield
    finally:
        if before is None:
            del os.environ[_REPORTS]
        else:
            os.environ[_REPORTS] = before
