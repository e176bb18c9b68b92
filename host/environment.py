"""The environment variables that the pack reads, here and nowhere else: the registry's scanner looks for them."""

import os
from pathlib import Path


def folder(variable: str, default: Path) -> Path:
    """The folder that the variable names, else the default."""
    return Path(os.environ.get(variable, default))


HOME = folder("TRILEMMA_HOME", Path("."))
MODELS = folder("TRILEMMA_MODELS", HOME / "model_files")
