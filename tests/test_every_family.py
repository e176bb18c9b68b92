"""What every family of every registry must pass; a new one is tested by being registered.

How a model of each kind is run stands in `families/kinds.py`.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from trilemma.models.errors import BadCheckpoint
from trilemma.models.families import Family
from trilemma.models.files.folders import read_model
from trilemma.models.files.paths import fingerprint
from trilemma.tests.families import checks
from trilemma.tests.families.kinds import KINDS, Kind

pytestmark = pytest.mark.slow

WEIGHTS = (".safetensors", ".pt", ".pth", ".bin")
CASES = [(kind, family) for kind in KINDS for family in kind.registry.families]
SLOW = ("Inception-v3 (FID)",)
"""Families whose smallest member is large."""
Tensors = dict[str, torch.Tensor]


class Tiny(NamedTuple):
    """The small model of a family as it was written, not to be changed: `copy` it."""

    kind: Kind
    family: Family[Any]
    path: Path

    def copy(self, folder: Path) -> Path:
        """The path to load in a folder that is made for it."""
        shutil.copytree(self.path.parent, folder)
        return folder / self.path.name

    def load(self, path: Path | None = None) -> Any:
        return self.kind.registry.load(path or self.path)


def cases() -> list[Any]:
    return [
        pytest.param(
            (kind, family),
            id=f"{kind.registry.kind}-{family.name}",
            marks=[pytest.mark.slow] if family.name in SLOW else [],
        )
        for kind, family in CASES
    ]


@pytest.fixture(scope="module", params=cases())
def tiny(request, tmp_path_factory) -> Tiny:
    kind, family = request.param
    folder = tmp_path_factory.mktemp("family")
    path = family.tiny(folder)
    # The folder is copied into its neighbours.
    assert path.parent == folder
    return Tiny(kind, family, path)


@pytest.fixture(scope="module")
def model(tiny) -> Any:
    return tiny.load()


def weights_of(family: Family[Any], path: Path) -> list[Path]:
    """The files of a model that hold tensors."""
    return [file for file in family.files(path) if file.suffix in WEIGHTS]


def read(file: Path) -> tuple[Tensors, dict[str, str] | None]:
    """The tensors of a file as they are named in it, and its metadata."""
    if file.suffix != ".safetensors":
        return torch.load(file, weights_only=True), None
    with safe_open(file, framework="pt") as opened:
        return {name: opened.get_tensor(name).clone() for name in opened.keys()}, opened.metadata()  # noqa: SIM118


def write(file: Path, tensors: Tensors, metadata: dict[str, str] | None) -> None:
    if file.suffix == ".safetensors":
        save_file(tensors, file, metadata)
    else:
        torch.save(tensors, file)


def change(file: Path, how: Callable[[Tensors], None]) -> None:
    """Write a file anew with other tensors."""
    tensors, metadata = read(file)
    how(tensors)
    file.unlink()
    write(file, tensors, metadata)


def spread(tensors: Tensors, count: int) -> list[str]:
    """So many names, from the first to the last."""
    names = list(tensors)
    return [names[round(place * (len(names) - 1) / (count - 1))] for place in range(count)]


def test_it_alone_claims_its_file(tiny):
    checkpoint = read_model(tiny.path)
    assert [family.name for family in tiny.kind.registry.families if family.detect(checkpoint)] == [tiny.family.name]
    for other in KINDS:
        if other is not tiny.kind and tiny.family.name not in tiny.kind.shared:
            assert not [family.name for family in other.registry.families if family.detect(checkpoint)]


def test_every_format_is_the_same_model(tiny, model, tmp_path):
    if tiny.path.is_dir():
        pytest.skip("a folder has one format")
    copied = tiny.copy(tmp_path / "copy")
    other = ".pth" if copied.suffix == ".safetensors" else ".safetensors"
    for file in weights_of(tiny.family, copied):
        write(file.with_suffix(other), read(file)[0], None)
        file.unlink()
    again = tiny.load(copied.with_suffix(other))
    assert again.identity == model.identity
    for ours, theirs in zip(again.modules, model.modules, strict=True):
        state = theirs.state_dict()
        for name, value in ours.state_dict().items():
            assert torch.equal(value, state[name]), name


def removed(name: str) -> Callable[[Tensors], Any]:
    return lambda tensors: tensors.pop(name)


def added(name: str) -> Callable[[Tensors], Any]:
    return lambda tensors: tensors.update({name: torch.zeros(1)})


def misshapen(name: str) -> Callable[[Tensors], Any]:
    return lambda tensors: tensors.update({name: torch.zeros([size + 1 for size in tensors[name].shape] or [2])})


def test_loading_is_strict(tiny, tmp_path):
    """Without a tensor, with one more, or with one of another shape it is no such file, or the error names the layer:
    the tensor itself, or where its shape says what its neighbours' should be, one of those."""
    for number, file in enumerate(weights_of(tiny.family, tiny.path)):
        tensors, _ = read(file)
        changes = [(name, removed(name)) for name in spread(tensors, 3)]
        changes += [(name, misshapen(name)) for name in spread(tensors, 3)]
        first = next(iter(tensors))
        changes += [(f"{first.rpartition('.')[0]}.more", added(f"{first.rpartition('.')[0]}.more"))]
        for index, (name, how) in enumerate(changes):
            copied = tiny.copy(tmp_path / f"{number}-{index}")
            change(copied.parent / file.relative_to(tiny.path.parent), how)
            with pytest.raises(BadCheckpoint) as raised:
                tiny.load(copied)
            said = str(raised.value)
            named = any(part in said for part in (name, name.rpartition(".")[0]) if part)
            assert named or "of another shape" in said or f"is no {tiny.kind.registry.kind}" in said, (name, said)


def test_identity_moves_with_any_weight(tiny, model, tmp_path):
    """Each a last number of a tensor, the last tensor's too."""
    identities = {model.identity}
    changed = 0
    for number, file in enumerate(weights_of(tiny.family, tiny.path)):
        for name in spread(read(file)[0], 4):

            def flip(tensors: Tensors, name: str = name) -> None:
                flat = tensors[name].view(-1)
                flat[-1] = -flat[-1] if flat[-1] else 1

            copied = tiny.copy(tmp_path / f"{number}-{name}")
            change(copied.parent / file.relative_to(tiny.path.parent), flip)
            identities.add(tiny.load(copied).identity)
            changed += 1
    assert len(identities) == 1 + changed


def test_no_answer_depends_on_the_batch(tiny, model):
    checks.no_answer_depends_on_the_batch(tiny.kind, model)


def test_memory_is_foreseen(tiny, model):
    checks.memory_is_foreseen(tiny.kind, model, tiny.family.name)


def test_steps_are_told_and_stop_the_run(tiny, model):
    told: list[int] = []

    def on_step(done: int, preview: torch.Tensor | None = None) -> None:
        told.append(done)
        assert preview is None or (
            preview.ndim == 3 and preview.shape[2] == 3 and 0 <= preview.min() <= preview.max() <= 1
        )

    tiny.kind.run(model, 3, 2, on_step)
    assert told == sorted(told)
    assert told[-1] == tiny.kind.steps(model, 3)
    told.clear()

    def stop(done: int, preview: torch.Tensor | None = None) -> None:
        told.append(done)
        raise InterruptedError

    with pytest.raises(InterruptedError):
        tiny.kind.run(model, 3, 1, stop)
    assert len(told) == 1


def test_every_file_counts(tiny, model, tmp_path):
    """Whatever file a model is read from: another in its place is noticed without reading it."""
    assert model.files == tiny.family.files(tiny.path)
    copied = tiny.copy(tmp_path / "copy")
    files = tiny.family.files(copied)
    assert [file.name for file in files] == [file.name for file in model.files]
    known = {fingerprint(*tiny.kind.registry.files(copied))}
    for file in files:
        content = file.read_bytes()
        file.unlink()
        file.write_bytes(content + b" ")
        known.add(fingerprint(*tiny.kind.registry.files(copied)))
    assert len(known) == 1 + len(files)
