"""Which files the process has mapped into its memory."""

from pathlib import Path

import pytest

MAPS = Path("/proc/self/maps")


def mapped_files() -> str:
    """The system's list of them; skips the test where it keeps none."""
    if not MAPS.exists():
        pytest.skip("the system does not tell what is mapped")
    return MAPS.read_text()
