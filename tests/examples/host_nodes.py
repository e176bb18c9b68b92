"""ComfyUI's own nodes in examples that only ComfyUI can run, as its 0.28.0 describes them (GET /object_info)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

FILE = Path(__file__).resolve().parents[1] / "fixtures" / "comfyui_object_info.json"
"""Entries of the answer, without their longest lists: of samplers the first few, of checkpoints none."""
OBJECT_INFO: dict[str, dict[str, Any]] = json.loads(FILE.read_text())


def _stand_in(name: str, info: dict[str, Any]) -> type:
    inputs = {category: {key: tuple(spec) for key, spec in found.items()} for category, found in info["input"].items()}
    described = {
        "INPUT_TYPES": classmethod(lambda cls: inputs),
        "RETURN_TYPES": tuple(info["output"]),
        "RETURN_NAMES": tuple(info["output_name"]),
        "FUNCTION": "run",
        "CATEGORY": info["category"],
    }
    return type(name, (), described)


CLASSES = {name: _stand_in(name, info) for name, info in OBJECT_INFO.items()}
"""Classes that say of their inputs and outputs what ComfyUI's do, and run nothing."""
TITLES = {name: info["display_name"] for name, info in OBJECT_INFO.items()}
