"""Examples of every NamedTuple that the pack's nodes pass to each other, with tensors worth weighing."""

import inspect
import typing
from types import ModuleType
from typing import Any

import torch
from trilemma.models import values
from trilemma.models.segmentation.base import Embedding

SIDE = 500


def examples() -> dict[str, Any]:
    """Class name -> an instance with a tensor of 1 MB in every tensor field."""
    classes = [*_named_tuples(values), Embedding]
    return {cls.__name__: _example(cls) for cls in classes}


def tensor_bytes(value: Any) -> int:
    """Bytes of all tensors in nested tuples and lists."""
    if isinstance(value, torch.Tensor):
        return value.nbytes
    return sum(map(tensor_bytes, value)) if isinstance(value, tuple | list) else 0


def _named_tuples(module: ModuleType) -> list[type]:
    return [cls for _, cls in inspect.getmembers(module, inspect.isclass) if hasattr(cls, "_fields")]


def _example(annotation: Any) -> Any:
    if annotation is torch.Tensor:
        return torch.zeros(SIDE, SIDE)
    if hasattr(annotation, "_fields"):
        hints = typing.get_type_hints(annotation)
        return annotation(*(_example(hints[name]) for name in annotation._fields))
    if typing.get_origin(annotation) is tuple:
        return tuple(_example(part) for part in typing.get_args(annotation) if part is not Ellipsis)
    return annotation() if isinstance(annotation, type) else None
