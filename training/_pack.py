"""Importing this module imports the pack as `trilemma`, as the tests do, whatever its folder is called."""

import importlib.util
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

if "trilemma" not in sys.modules:
    _spec = importlib.util.spec_from_file_location(
        "trilemma", ROOT / "__init__.py", submodule_search_locations=[str(ROOT)]
    )
    sys.modules["trilemma"] = importlib.util.module_from_spec(_spec)
    _spec.loader.exec_module(sys.modules["trilemma"])
