"""Inputs checked where a node runs: by a wire or by another program, a value comes past the host's own check."""

from __future__ import annotations

import functools
import inspect
import math
from collections.abc import Callable, Mapping
from numbers import Real
from typing import Any, Final, TypeVar, cast

from ...models.errors import BadInput, CannotDo, TrilemmaError, is_too_large, no_memory
from ...models.pictures.images import check_images, check_masks
from . import kinds

N = TypeVar("N", bound=type)
SHOWN: Final = 80
"""Characters of a value in a message."""
NEVER_WRITTEN: Final = frozenset(
    {"MODEL", "CLIP", "CLIP_VISION", "VAE", *(kind for name, kind in vars(kinds).items() if name.isupper())}
)
"""Kinds of links of which no value is what WRITTEN is."""
WRITTEN: Final = (str, int, float, bool, dict, list)
"""What a graph can hold in a link's place."""


def with_checked_inputs(node: N) -> N:
    """The node class, whose function first raises BadInput for a value that its inputs do not allow: of another kind,
    beyond a limit, not in its menu. Raises CannotDo where memory runs out: the system's words name no input.

    Menus that VALIDATE_INPUTS asks for are left out, as ComfyUI leaves them out.
    """
    run = getattr(node, node.FUNCTION)
    places = list(inspect.signature(run).parameters)

    @functools.wraps(run)
    def checked(*arguments: Any, **named: Any) -> Any:
        # Not strictly: too many arguments are for the function itself to refuse.
        _check(node, {**dict(zip(places, arguments, strict=False)), **named})
        try:
            return run(*arguments, **named)
        except (MemoryError, RuntimeError) as error:
            if isinstance(error, TrilemmaError) or not is_too_large(error):
                raise
            short = str(error)
        # After the except block, where the failed attempt's traceback is gone, and with it its tensors.
        raise CannotDo(no_memory(short))

    setattr(node, node.FUNCTION, checked)
    return node


def found(find: Callable[[str], object], name: Any, what: str) -> bool | str:
    """For VALIDATE_INPUTS of a name that `find` knows, or says by a FileNotFoundError why it does not. what: the input.

    True where there is none: the host says that it is missing, and one that comes by a wire is judged by the run.
    """
    if name is None:
        return True
    if not isinstance(name, str):
        return f"{what}: {shown(name)} is no name; choose one of the list."
    try:
        find(name)
    except FileNotFoundError as error:
        said = str(error)
        return said if said.startswith(f"{what}: ") else f"{what}: {said}"
    return True


def shown(value: Any) -> str:
    """A value as a message shows it: on one line, not too long, and of characters that can be written anywhere."""
    try:
        text = repr(value) if isinstance(value, str | Real | None | list | dict) else type(value).__name__
    except (ValueError, RecursionError):  # a number of more digits than Python writes; lists too deep in each other
        text = type(value).__name__
    text = text.encode("utf-8", "backslashreplace").decode()
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}..."


def _check(node: type, given: Mapping[str, Any]) -> None:
    inputs: dict[str, dict[str, Any]] = getattr(node, "INPUT_TYPES")()  # noqa: B009 (node classes have no common base)
    own = inspect.signature(node.VALIDATE_INPUTS).parameters if hasattr(node, "VALIDATE_INPUTS") else {}
    required, optional = inputs.get("required", {}), inputs.get("optional", {})
    told = {name: value for name, value in given.items() if name in required or value is not None}
    declared = {name: spec for name, spec in {**required, **optional}.items() if name in told}
    for name, (kind, *_) in declared.items():
        if isinstance(kind, list):
            _check_menu(name, told[name], None if name in own else kind)
    for name, (kind, *options) in declared.items():
        if not isinstance(kind, list):
            _check_value(name, told[name], kind, options[0] if options else {})


def _check_menu(name: str, value: Any, menu: list[str] | None) -> None:
    """menu: None where the node looks for the name itself."""
    for each in value if isinstance(value, list) and menu is not None else [value]:
        if menu is None and not isinstance(each, str):
            raise BadInput(f"{name}: {shown(each)} is no name; choose one of the list.")
        if menu is not None and each not in menu:
            raise BadInput(f"{name}: {shown(each)} is not in its list; choose one of: {', '.join(map(str, menu))}.")


def _check_value(name: str, value: Any, kind: str, options: Mapping[str, Any]) -> None:
    if kind in ("INT", "FLOAT"):
        _check_number(name, value, options)
    elif kind == "STRING":
        if not isinstance(value, str):
            raise BadInput(f"{name}: {shown(value)} is no text; write one, or wire one to it.")
    elif kind == "IMAGE":
        check_images(value, name, finite=False)
    elif kind == "MASK":
        check_masks(value, name)
    elif value is None or (kind in NEVER_WRITTEN and isinstance(value, WRITTEN)):
        raise BadInput(f"{name}: {shown(value)} is given in its place; wire a node to it that gives {kind}.")


def _check_number(name: str, value: Any, options: Mapping[str, Any]) -> None:
    # What only a wire brings was measured, and may have no value: the node says what becomes of that.
    if options.get("forceInput") and isinstance(value, float) and math.isnan(value):
        return
    # Compared, not asked of `math`: a whole number may be longer than a float can hold.
    if not isinstance(value, Real) or not -math.inf < cast(float, value) < math.inf:
        raise BadInput(f"{name}: {shown(value)} is no finite number; give one.")
    low, high = options.get("min", value), options.get("max", value)
    if not low <= value <= high:
        raise BadInput(f"{name}: {shown(value)} is outside its range, {low:g} to {high:g}.")
