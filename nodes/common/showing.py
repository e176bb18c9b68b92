"""The result of a node that shows a text."""

from __future__ import annotations

from typing import Any


def show_text(text: str, *outputs: Any) -> dict[str, Any]:
    """The node's outputs, and a text that the page shows on it.

    Unless it is an output node, its class says HAS_INTERMEDIATE_OUTPUT: of nodes that ComfyUI answers from its cache
    it shows the page only these two kinds.
    """
    return {"ui": {"text": [text]}, "result": outputs}


def show_note(text: str, *outputs: Any) -> dict[str, Any] | tuple[Any, ...]:
    """The same of a node that only now and then has something to say: the outputs alone where the text is empty."""
    return show_text(text, *outputs) if text else outputs
