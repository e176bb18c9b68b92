"""Imports the pack as `trilemma`, whatever its folder is called.

The pack's root stays off sys.path: `nodes`, `models` and `host` are names of ComfyUI's own modules too.
"""

import importlib.util
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

spec = importlib.util.spec_from_file_location("trilemma", ROOT / "__init__.py", submodule_search_locations=[str(ROOT)])
pack = importlib.util.module_from_spec(spec)
sys.modules["trilemma"] = pack
spec.loader.exec_module(pack)
