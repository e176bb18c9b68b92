"""The result of a node that shows a text."""

from __future__ import annotations

from typing import Any


def show_text(text: str, *outputs: Any) -> dict[str, Any]:
    """The node's outputs, and a text that the page shows on it."""
    return {"ui": {"text": [text]}, "result": outputs}


def show_note(text: str, *outputs: Any) -> dict[str, Any] | tuple[Any, ...]:
    """The same of a node that only now and then has something to say: the outputs alone where the text is empty."""
    return show_text(text, *outputs) if text else outputs
