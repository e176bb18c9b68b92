"""The pack's version, for what results say of where they come from."""

from typing import Final

VERSION: Final = "0.2.0"
