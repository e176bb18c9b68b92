"""State dict to the one architecture that claims it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

import torch

from ..diffusion.networks import DtypeFor
from ..errors import BadCheckpoint
from ..files.checkpoints import Checkpoint
from .base import Generator

Tensors = Mapping[str, torch.Tensor]


class Architecture(NamedTuple):
    """One kind of generator file.

    name: as messages show it. detect: whether a state dict is of it, told by names and shapes. load: builds it,
    strictly. typical: names of the tensors of a file of usual size, to say how far another file is from it.
    large: `load` also takes a DtypeFor, for networks that are worth half precision; all others are float32.
    """

    name: str
    detect: Callable[[Tensors], bool]
    load: Callable[..., Generator]
    typical: Callable[[], frozenset[str]]
    large: bool = False


class Registry:
    """Architectures in the order of their registration; of those that claim a file, exactly one must."""

    def __init__(self) -> None:
        self._architectures: dict[str, Architecture] = {}

    def register(self, *architectures: Architecture) -> None:
        """Add all of them, or none.

        Raises:
            ValueError: a name is taken.
        """
        names = [architecture.name for architecture in architectures]
        taken = next((name for name in names if name in self._architectures or names.count(name) > 1), None)
        if taken is not None:
            raise ValueError(f"an architecture named {taken!r} is registered already")
        self._architectures = {**self._architectures, **dict(zip(names, architectures, strict=True))}

    def names(self) -> list[str]:
        """All registered architectures."""
        return list(self._architectures)

    def load(self, checkpoint: Checkpoint, name: str, dtype_for: DtypeFor) -> Generator:
        """The generator that a checkpoint holds. `name` is the file's, for messages.

        Raises:
            BadCheckpoint: no architecture claims it (the message names the nearest), several do, or it does not fit.
        """
        tensors = checkpoint.tensors
        claims = [architecture for architecture in self._architectures.values() if architecture.detect(tensors)]
        if len(claims) == 1:
            return claims[0].load(checkpoint, dtype_for) if claims[0].large else claims[0].load(checkpoint)
        if claims:
            names = ", ".join(architecture.name for architecture in claims)
            raise BadCheckpoint(f"{name}: it could be any of {names}; report this file to the authors of the pack.")
        raise BadCheckpoint(self._unknown(tensors, name))

    def _unknown(self, tensors: Tensors, name: str) -> str:
        found = frozenset(tensors)
        first = _some(sorted(found))
        message = f"{name}: no generator architecture that the pack knows (its first tensors are {first})."
        typical = {architecture.name: architecture.typical() for architecture in self._architectures.values()}
        if not typical:
            return message
        nearest = max(typical, key=lambda name: len(found & typical[name]) / len(found | typical[name]))
        missing, unexpected = typical[nearest] - found, found - typical[nearest]
        if len(missing) == len(typical[nearest]):
            return f"{message} It shares no tensor with any of them."
        return (
            f"{message} Nearest is {nearest}: {len(missing)} of its tensors are missing ({_some(sorted(missing))}) and "
            f"{len(unexpected)} are unexpected ({_some(sorted(unexpected))})."
        )


def _some(names: list[str]) -> str:
    return ", ".join(names[:3]) + (", ..." if len(names) > 3 else "") if names else "none"


def load_strictly(module: torch.nn.Module, tensors: Tensors, architecture: str) -> None:
    """Fill a module with exactly these tensors, as float32.

    Raises:
        BadCheckpoint: a tensor is missing, unexpected, or of another shape; the first few are named.
    """
    expected = module.state_dict()
    missing = [name for name in expected if name not in tensors]
    unexpected = [name for name in tensors if name not in expected]
    shapes = [
        f"{name} {tuple(tensors[name].shape)} instead of {tuple(expected[name].shape)}"
        for name in expected
        if name in tensors and tensors[name].shape != expected[name].shape
    ]
    for problem, names in (("lacks", missing), ("has too much", unexpected), ("has other shapes", shapes)):
        if names:
            raise BadCheckpoint(
                f"generator: the file looks like {architecture}, but it {problem}: {_some(names)} ({len(names)} in "
                "all); download it again, or choose another file."
            )
    module.load_state_dict({name: value.to(expected[name].dtype) for name, value in tensors.items()})
    module.train(False).requires_grad_(False)
