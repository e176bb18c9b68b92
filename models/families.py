"""The one door for model files of every kind: a family says what it is read from and claims a file; one must."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, cached_property
from itertools import groupby
from pathlib import Path
from threading import RLock
from types import MappingProxyType
from typing import Any, Generic, Protocol, TypeVar

from torch import nn

from .errors import BadCheckpoint
from .files import groups, signatures
from .files.checkpoints import Checkpoint
from .files.folders import CONFIG, read_model, understood, weight_limits
from .files.hashes import model_files
from .files.unpickling import PROGRAM
from .weights import DtypeFor, bounded, full_precision, some


class Model(Protocol):
    """What all loaded models have, whatever they do.

    modules: the networks that a host places on a device, all together. identity: tells the weights from all others.
    files: what it was read from; empty for a model that comes from no file. notes: what the reader chose of the file.
    """

    files: tuple[Path, ...]
    notes: tuple[str, ...]

    @property
    def modules(self) -> tuple[nn.Module, ...]: ...

    @property
    def identity(self) -> str: ...


LOADING = RLock()
"""Held while a model is loaded. diffusers and transformers import their parts when they are first asked for, and do not
bear to be asked by two threads at once."""
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

    kind: of the models, as messages say it ("detector"). gather: imports and gives the families, each with a name of
    its own; called when they are first asked for, since a host that starts should wait for no architecture. check:
    raises BadCheckpoint for a loaded model that the pack has no use for, given also the file as messages begin.
    """

    def __init__(
        self, kind: str, gather: Callable[[], tuple[Family[M], ...]], check: Callable[[M, str], None] | None = None
    ) -> None:
        self.kind = kind
        self._gather = gather
        self._check = check

    @cached_property
    def families(self) -> tuple[Family[M], ...]:
        """All of them.

        Raises:
            ValueError: two have one name.
        """
        families = self._gather()
        names = [family.name for family in families]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise ValueError(f"two {self.kind} families are named {twice!r}")
        return families

    def names(self) -> list[str]:
        """Names of all families."""
        return [family.name for family in self.families]

    def files(self, path: Path) -> tuple[Path, ...]:
        """Every file that any family would read for this path, without reading one of them."""
        ways = dict.fromkeys(family.files for family in self.families)
        return tuple(dict.fromkeys(file for files in ways for file in files(path)))

    def load(
        self, path: Path, dtype_for: DtypeFor = full_precision, told: Mapping[str, str] = MappingProxyType({})
    ) -> M:
        """The model of a file or a folder, on the CPU.

        told: what the user says of it, added to the checkpoint's metadata.

        Raises:
            MissingFile: there is none, or a file of its folder is missing.
            BadCheckpoint: broken; of no family (the message says of what it is, or names the nearest family); claimed
                by several; or its tensors do not fit exactly.
        """
        with LOADING:
            return self._load(path, dtype_for, told)

    def _load(self, path: Path, dtype_for: DtypeFor, told: Mapping[str, str]) -> M:
        family, checkpoint = self.claiming(read_model(path), path.name)
        checkpoint = checkpoint._replace(metadata={**checkpoint.metadata, **told})
        files = family.files(path)
        what = f"{checkpoint.name}, {family.name}"
        place = CONFIG if (path / CONFIG).is_file() else "its content"
        with understood(f"{what}: {place}"), bounded(*weight_limits(files, checkpoint.tensors), checkpoint.name):
            try:
                model = family.load(checkpoint, dtype_for)
            except KeyError as error:
                # Sizes are read from the shapes of tensors that only a whole file is sure to have.
                raise BadCheckpoint(f"{what}: it lacks {error}; download it again, or choose another.") from error
        if self._check is not None:
            self._check(model, checkpoint.name)
        model.files = files
        model.notes = checkpoint.notes
        return model

    def claiming(self, checkpoint: Checkpoint, name: str) -> tuple[Family[M], Checkpoint]:
        """The one family that claims a checkpoint, and the network in it as this family knows it. `name` is the
        file's, for messages.

        Of several networks in a file the likeliest that is claimed is taken; with prefixes, and without what stands
        beside it (see `files.groups.views`).

        Raises:
            BadCheckpoint: none is claimed, one by several families, or several that are equally likely.
        """
        found = [checkpoint, *checkpoint.others]
        for _, equal in groupby(found, key=lambda each: each.rank):
            claimed = [one for each in equal if (one := self._claimed(each, name)) is not None]
            if len(claimed) > 1:
                places = ", ".join(f"{view.place} ({family.name})" for family, view in claimed)
                raise BadCheckpoint(
                    f"model: {name} holds several networks to draw with, {places}, and no name tells which of them is "
                    "meant; save that one alone."
                )
            if claimed:
                return claimed[0]
        raise BadCheckpoint(f"model: {name} {self._unknown(found)}")

    def _claimed(self, checkpoint: Checkpoint, name: str) -> tuple[Family[M], Checkpoint] | None:
        for view in groups.views(checkpoint.tensors):
            seen = checkpoint._replace(tensors=view.tensors, notes=(*checkpoint.notes, *view.notes))
            claims = [family for family in self.families if family.detect(seen)]
            if len(claims) > 1:
                raise BadCheckpoint(
                    f"model: {name} could be any of {', '.join(family.name for family in claims)}; report this file to "
                    "the authors of the pack."
                )
            if claims:
                foreign = None if seen.config else signatures.recognise(view.tensors)
                if foreign is not None and self.kind not in foreign.readers:
                    raise BadCheckpoint(f"model: {name} {self._foreign(foreign)}")
                return claims[0], seen
        return None

    def _foreign(self, found: signatures.Signature) -> str:
        return f"holds {found.what}; {found.where}. Here {self._known()}."

    def _known(self) -> str:
        return f"the pack reads these {self.kind}s: {', '.join(self.names())}"

    def _unknown(self, checkpoints: Sequence[Checkpoint]) -> str:
        first = checkpoints[0]
        if first.config:
            return f"is a folder of {_told(first.config)}. Here {self._known()}."
        for each in checkpoints:
            for view in groups.views(each.tensors):
                found = signatures.recognise(view.tensors)
                if found is not None and self.kind in found.readers:
                    return f"looks like {found.what}, but {self._nearest(each)}"
                if found is not None:
                    return self._foreign(found)
        if first.is_program:
            return f"is no {self.kind} that the pack knows: {PROGRAM}"
        return self._nearest(max(checkpoints, key=self._nearness)) + _several(checkpoints)

    def _nearness(self, checkpoint: Checkpoint) -> float:
        names = frozenset(checkpoint.tensors)
        return max((_shared(names, typical) for typical in self._typical().values()), default=0)

    def _nearest(self, checkpoint: Checkpoint) -> str:
        found = frozenset(checkpoint.tensors)
        first = f"is no {self.kind} that the pack knows (its first tensors are {some(sorted(found))})"
        typical = self._typical()
        nearest = max(typical, key=lambda name: _shared(found, typical[name]), default="")
        if not nearest or not _shared(found, typical[nearest]):
            return f"{first}; it shares no tensor with any of them; {self._known()}."
        missing, unexpected = typical[nearest] - found, found - typical[nearest]
        return (
            f"{first}. Nearest is {nearest}: {len(missing)} of its tensors are missing ({some(sorted(missing))}) and "
            f"{len(unexpected)} are unexpected ({some(sorted(unexpected))})."
        )

    def _typical(self) -> dict[str, frozenset[str]]:
        return {family.name: names for family in self.families if (names := _typical(family.typical))}


def _shared(found: frozenset[str], typical: frozenset[str]) -> float:
    """The share of names that are in both."""
    return len(found & typical) / len(found | typical)


def _several(checkpoints: Sequence[Checkpoint]) -> str:
    if len(checkpoints) == 1:
        return ""
    return f" The file holds {len(checkpoints)} networks: {', '.join(each.place for each in checkpoints)}."


@cache
def _typical(names: Callable[[], frozenset[str]]) -> frozenset[str]:
    """Building a network of usual size for its names takes a while."""
    return names()


def _told(config: Mapping[str, Any]) -> str:
    """What a folder's configuration says that it holds, and where that belongs."""
    told = config.get("_class_name") or config.get("model_type")
    if not told:
        return "a model that its config.json does not name"
    where = signatures.MODEL_TYPES.get(told) if isinstance(told, str) else None
    return f"the model {told!r}; {where or 'the pack does not read such'}"
