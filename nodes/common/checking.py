"""Menus checked where a node runs: by a wire or by another program, a value comes past the host's own check."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Mapping
from typing import Any, TypeVar

from ...models.errors import BadInput

N = TypeVar("N", bound=type)


def with_checked_menus(node: N) -> N:
    """The node class, whose function first raises BadInput for a value that its menu does not have.

    Left out, as ComfyUI leaves them out, are inputs that VALIDATE_INPUTS asks for.
    """
    run = getattr(node, node.FUNCTION)
    places = list(inspect.signature(run).parameters)

    @functools.wraps(run)
    def checked(*arguments: Any, **named: Any) -> Any:
        # Not strictly: too many arguments are for the function itself to refuse.
        _check(node, {**dict(zip(places, arguments, strict=False)), **named})
        return run(*arguments, **named)

    setattr(node, node.FUNCTION, checked)
    return node


def _check(node: type, given: Mapping[str, Any]) -> None:
    inputs: dict[str, dict[str, Any]] = getattr(node, "INPUT_TYPES")()  # noqa: B009 (node classes have no common base)
    declared = {**inputs.get("required", {}), **inputs.get("optional", {})}
    own = inspect.signature(node.VALIDATE_INPUTS).parameters if hasattr(node, "VALIDATE_INPUTS") else {}
    for name, (choices, *_) in declared.items():
        if not isinstance(choices, list) or name in own or name not in given:
            continue
        value = given[name]
        for each in value if isinstance(value, list) else [value]:
            if each not in choices:
                raise BadInput(f"{name}: {each!r} is not in its list; choose one of: {', '.join(map(str, choices))}.")
