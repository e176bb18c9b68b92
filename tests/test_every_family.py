"""What every family of every registry must pass; a new one is tested by being registered.

How a model of each kind is run stands in `families/kinds.py`.
"""

from __future__ import annotations

import gc
import importlib.util
import os
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
from trilemma.models.generators.loading import GENERATORS
from trilemma.models.inpainting.loading import INPAINTERS
from trilemma.tests.families import checks
from trilemma.tests.families.kinds import GENERATOR, KINDS, Kind
from trilemma.tests.faults.mapping import mapped_files

pytestmark = pytest.mark.slow

WEIGHTS = (".safetensors", ".pt", ".pth", ".bin")
CASES = [(kind, family) for kind in KINDS for family in kind.registry.families]
Tensors = dict[str, torch.Tensor]


LIBRARIES = {"LaMa": "spandrel", "MAT": "spandrel_extra_arches"}
"""Whose networks a family runs by, where that is no requirement of the pack."""


class Tiny(NamedTuple):
    """The small model of a family as it was written into a folder, not to be changed: `copy` it."""

    kind: Kind
    family: Family[Any]
    folder: Path
    path: Path

    def copy(self, folder: Path) -> Path:
        """The path to load in a folder that is made for it; files are to be replaced, not written into."""
        shutil.copytree(self.folder, folder, copy_function=os.link)
        return folder / self.path.relative_to(self.folder)

    def load(self, path: Path | None = None) -> Any:
        return self.kind.registry.load(path or self.path)


@pytest.fixture(scope="module", params=CASES, ids=[f"{kind.registry.kind}-{family.name}" for kind, family in CASES])
def tiny(request, tmp_path_factory) -> Tiny:
    kind, family = request.param
    library = LIBRARIES.get(family.name)
    if library is not None and importlib.util.find_spec(library) is None:
        pytest.skip(f"{library} is not installed: pip install {library.replace('_', '-')}")
    folder = tmp_path_factory.mktemp("family")
    return Tiny(kind, family, folder, family.tiny(folder))


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


def skip_where_proved(tiny: Tiny) -> None:
    """What two kinds of model read alike, as `test_shared_files_are_read_alike` shows, is broken for one of them."""
    if tiny.kind is GENERATOR and tiny.family.name in tiny.kind.shared:
        pytest.skip(f"an inpainter reads {tiny.family.name} alike")


def test_it_alone_claims_its_file(tiny):
    checkpoint = read_model(tiny.path)
    assert [family.name for family in tiny.kind.registry.families if family.detect(checkpoint)] == [tiny.family.name]
    for other in KINDS:
        if other is not tiny.kind and tiny.family.name not in tiny.kind.shared:
            assert not [family.name for family in other.registry.families if family.detect(checkpoint)]


@pytest.mark.parametrize("name", sorted(GENERATOR.shared))
def test_shared_files_are_read_alike(name, tmp_path):
    """What two kinds read has the same weights for both."""
    family = next(family for family in GENERATORS.families if family.name == name)
    path = family.tiny(tmp_path)
    assert GENERATORS.load(path).identity == INPAINTERS.load(path).identity


def test_every_format_is_the_same_model(tiny, model, tmp_path):
    skip_where_proved(tiny)
    if tiny.path.is_dir() or tiny.family.name in tiny.kind.with_metadata:
        pytest.skip("it has one format")
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
    the tensor itself, or where it says what its neighbours' should be, one of those."""
    skip_where_proved(tiny)
    files = weights_of(tiny.family, tiny.path)
    cases = []
    for file in files:
        tensors, _ = read(file)
        first, *middle, last = spread(tensors, 4 if len(files) == 1 else 2)
        cases += [(file, name, removed(name)) for name in (last, *middle[:1])]
        cases += [(file, name, misshapen(name)) for name in (first, *middle[1:])]
    more = f"{first.rpartition('.')[0]}.more"
    cases.append((file, more, added(more)))
    for number, (file, name, how) in enumerate(cases):
        copied = tiny.copy(tmp_path / str(number))
        change(tmp_path / str(number) / file.relative_to(tiny.folder), how)
        with pytest.raises(BadCheckpoint) as raised:
            tiny.load(copied)
        said = str(raised.value)
        layer = name.rpartition(".")[0] or name
        half = name.partition(".")[0]
        assert any(part in said for part in (layer, f"its {half} ", "of another shape", "is no ")), (name, said)


def test_identity_moves_with_any_weight(tiny, model, tmp_path):
    """Each a last number of a tensor, each file's last tensor's too."""
    skip_where_proved(tiny)
    identities = {model.identity}
    files = weights_of(tiny.family, tiny.path)
    cases = [(file, name) for file in files for name in spread(read(file)[0], 3)[1 if len(files) == 1 else 2 :]]
    for number, (file, name) in enumerate(cases):

        def flip(tensors: Tensors, name: str = name) -> None:
            flat = tensors[name].view(-1)
            flat[-1] = -flat[-1] if flat[-1] else 1

        copied = tiny.copy(tmp_path / str(number))
        change(tmp_path / str(number) / file.relative_to(tiny.folder), flip)
        identities.add(tiny.load(copied).identity)
    assert len(identities) == 1 + len(cases)


def test_no_answer_depends_on_the_batch(tiny, model):
    checks.no_answer_depends_on_the_batch(tiny.kind, model)


def test_memory_is_foreseen(tiny, model):
    checks.memory_is_foreseen(tiny.kind, model, tiny.family.name, (2,))


def test_steps_are_told_and_stop_the_run(tiny, model):
    checks.steps_are_told_and_stop_the_run(tiny.kind, model)


def test_nothing_of_it_lies_in_its_file(tiny, model):
    """Whoever writes over the file, as trainers and downloads do, would change it, or end the process."""
    gc.collect()  # what other tests have read of the file
    assert model is not None and str(tiny.folder) not in mapped_files()


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
