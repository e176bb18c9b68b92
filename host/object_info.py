"""Describes node classes in the form of ComfyUI's GET /object_info, for tools that read it."""

from collections.abc import Mapping
from typing import Any


def object_info(
    node_classes: Mapping[str, type], display_names: Mapping[str, str] | None = None
) -> dict[str, dict[str, Any]]:
    """Node id -> inputs, their order, outputs and flags, as ComfyUI's server tells them."""
    return {name: _describe(name, node, (display_names or {}).get(name, name)) for name, node in node_classes.items()}


def _describe(name: str, node: type, display_name: str) -> dict[str, Any]:
    if hasattr(node, "GET_NODE_INFO_V1"):  # ComfyUI's newer kind of class describes itself
        return node.GET_NODE_INFO_V1()
    inputs = node.INPUT_TYPES()
    return {
        "name": name,
        "display_name": display_name,
        "description": getattr(node, "DESCRIPTION", ""),
        "category": getattr(node, "CATEGORY", ""),
        "input": inputs,
        "input_order": {category: list(names) for category, names in inputs.items()},
        "is_input_list": getattr(node, "INPUT_IS_LIST", False),
        "output": list(node.RETURN_TYPES),
        "output_is_list": list(getattr(node, "OUTPUT_IS_LIST", [False] * len(node.RETURN_TYPES))),
        "output_name": list(getattr(node, "RETURN_NAMES", node.RETURN_TYPES)),
        "output_node": getattr(node, "OUTPUT_NODE", False),
    }
