"""The one door for model files of every kind: a family says what it is read from and claims a file; one must."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Final, Generic, Protocol, TypeVar

from torch import nn

from .errors import BadCheckpoint
from .files import signatures
from .files.checkpoints import Checkpoint
from .files.folders import read_model
from .files.hashes import model_files
from .weights import DtypeFor, full_precision, some

NEAR: Final = 0.5
"""Share of tensors that an unknown file and a family have in common, from which on the file is called a spoilt one."""


class Model(Protocol):
    """What all loaded models have, whatever they do.

    modules: the networks that a host places on a device, all together. identity: tells the weights from all others.
    files: what it was read from; empty for a model that comes from no file.
    """

    files: tuple[Path, ...]

    @property
    def modules(self) -> tuple[nn.Module, ...]: ...

    @property
    def identity(self) -> str: ...


M = TypeVar("M", bound=Model)
Made = TypeVar("Made", bound=Model, covariant=True)


@dataclass(frozen=True)
class Family(Generic[Made]):
    """One kind of model file.

    name: as messages and reports show it ("Grounding DINO").
    detect: whether a checkpoint is of it, by the names and shapes of its tensors, its metadata, or a folder's `config`.
    load: builds it, strictly, on the CPU; the second argument chooses the dtype of networks worth half precision.
    tiny: writes a small model with random weights into a folder that exists, and gives the path to load: of a file or a
        folder in it; for tests.
    files: every file that a model at this path is read from, the path's own first; without reading any.
    typical: names of the tensors of a file of usual size, to say how far an unknown file is from it.
    """

    name: str
    detect: Callable[[Checkpoint], bool]
    load: Callable[[Checkpoint, DtypeFor], Made]
    tiny: Callable[[Path], Path]
    files: Callable[[Path], tuple[Path, ...]] = model_files
    typical: Callable[[], frozenset[str]] = field(default=frozenset)


class Registry(Generic[M]):
    """The families of one kind of model; of those that claim a file, exactly one must.

    kind: of the models, as messages say it ("detector").
    """

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self._families: dict[str, Family[M]] = {}

    def register(self, *families: Family[M]) -> None:
        """Add all of them, or none.

        Raises:
            ValueError: a name is taken.
        """
        names = [family.name for family in families]
        taken = next((name for name in names if name in self._families or names.count(name) > 1), None)
        if taken is not None:
            raise ValueError(f"a {self.kind} family named {taken!r} is registered already")
        self._families = {**self._families, **dict(zip(names, families, strict=True))}

    @property
    def families(self) -> tuple[Family[M], ...]:
        """All registered families, in the order of their registration."""
        return tuple(self._families.values())

    def names(self) -> list[str]:
        """Names of all registered families."""
        return list(self._families)

    def files(self, path: Path) -> tuple[Path, ...]:
        """Every file that any family would read for this path, without reading one of them."""
        ways = dict.fromkeys(family.files for family in self.families)
        return tuple(dict.fromkeys(file for files in ways for file in files(path)))

    def load(self, path: Path, dtype_for: DtypeFor = full_precision) -> M:
        """The model of a file or a folder, on the CPU.

        Raises:
            MissingFile: there is none, or a file of its folder is missing.
            BadCheckpoint: broken; of no family (the message says of what it is, or names the nearest family); claimed
                by several; or its tensors do not fit exactly.
        """
        checkpoint = read_model(path)
        family = self.claiming(checkpoint, path.name)
        try:
            model = family.load(checkpoint, dtype_for)
        except KeyError as error:
            # Sizes are read from the shapes of tensors that only a whole file is sure to have.
            raise BadCheckpoint(
                f"{checkpoint.name}, {family.name}: it lacks {error}; download it again, or choose another."
            ) from error
        model.files = family.files(path)
        return model

    def claiming(self, checkpoint: Checkpoint, name: str) -> Family[M]:
        """The one family that claims a checkpoint. `name` is the file's, for messages.

        Raises:
            BadCheckpoint: none does, or several do.
        """
        claims = [family for family in self.families if family.detect(checkpoint)]
        if len(claims) == 1:
            return claims[0]
        if claims:
            raise BadCheckpoint(
                f"model: {name} could be any of {', '.join(family.name for family in claims)}; report this file to the "
                "authors of the pack."
            )
        raise BadCheckpoint(f"model: {name} {self._unknown(checkpoint)}")

    def _unknown(self, checkpoint: Checkpoint) -> str:
        known = f"the pack reads these {self.kind}s: {', '.join(self.names())}"
        if checkpoint.config:
            return f"is a folder of {_told(checkpoint.config)}; {known}."
        found = frozenset(checkpoint.tensors)
        first = f"is no {self.kind} that the pack knows (its first tensors are {some(sorted(found))})"
        typical = {family.name: names for family in self.families if (names := _typical(family.typical))}
        shared = {name: len(found & names) / len(found | names) for name, names in typical.items()}
        nearest = max(shared, key=lambda name: shared[name], default="")
        foreign = signatures.recognise(found)
        if foreign is not None and shared.get(nearest, 0) < NEAR:
            return f"holds {foreign}; {known}."
        if not shared.get(nearest):
            return f"{first}; it shares no tensor with any of them; {known}."
        missing, unexpected = typical[nearest] - found, found - typical[nearest]
        return (
            f"{first}. Nearest is {nearest}: {len(missing)} of its tensors are missing ({some(sorted(missing))}) and "
            f"{len(unexpected)} are unexpected ({some(sorted(unexpected))})."
        )


@cache
def _typical(names: Callable[[], frozenset[str]]) -> frozenset[str]:
    """Building a network of usual size for its names takes a while."""
    return names()


def _told(config: Mapping[str, Any]) -> str:
    """What a folder's configuration says that it holds."""
    told = config.get("_class_name") or config.get("model_type")
    return f"the model {told!r}" if told else "a model that its config.json does not name"
