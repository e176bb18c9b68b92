"""Every layout of the reference kit has exactly one reader or is refused by name, whatever wraps it.

No list says which layouts are read: what a reader claims and what the table of signatures says of it must agree. With
TRILEMMA_REFERENCE_KIT all of a kit elsewhere is asked, also what is newer than the fixtures.
"""

from __future__ import annotations

import importlib
import json
import os
import pkgutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
import trilemma.models
from trilemma.models.diffusion.adapters import lora_file
from trilemma.models.errors import BadCheckpoint
from trilemma.models.families import Registry
from trilemma.models.files import groups, signatures
from trilemma.models.files.checkpoints import Checkpoint
from trilemma.models.files.folders import read_model
from trilemma.models.generators.gan.text_to_image.text_encoder import encoder_of
from trilemma.models.generators.loading import GENERATORS
from trilemma.models.weights import empty_weights
from trilemma.tests.reference_kit import KIT

pytestmark = pytest.mark.slow

ELSEWHERE = os.environ.get("TRILEMMA_REFERENCE_KIT")
MANIFESTS = sorted(Path(ELSEWHERE or KIT).glob("*/manifest*.json"))
FOLDER = "which is read as a folder"
DTYPES = {"float32": "F32", "float16": "F16", "int64": "I64"}
"""As manifests write them, and safetensors."""
SHORT = 32 * 1024
"""Bytes of manifests whose layouts are wrapped, beside the shortest of each system: others would take minutes more."""
TOGETHER = "not part of a real file"
"""What a manifest says that lists several small files at once, for numbers alone."""
Tensors = dict[str, torch.Tensor]


def content_of(path: Path) -> dict[str, Any]:
    """meta, and entries with torch's names of dtypes."""
    found = json.loads(path.read_text())
    short = {name: long for long, name in DTYPES.items()}
    found["entries"] = [(name, shape, short.get(dtype, dtype)) for name, shape, dtype in found["entries"]]
    return found


def tensors_of(path: Path) -> Tensors:
    """Of the published shapes, each of one number that stands for all."""
    listed = content_of(path)["entries"]
    return {name: torch.zeros((), dtype=getattr(torch, dtype)).expand(shape) for name, shape, dtype in listed}


def registries() -> list[Registry[Any]]:
    """All that the pack has."""
    names = [module.name for module in pkgutil.walk_packages(trilemma.models.__path__, "trilemma.models.")]
    values = [value for name in names for value in vars(importlib.import_module(name)).values()]
    return list({id(value): value for value in values if isinstance(value, Registry)}.values())


REGISTRIES = registries()


def asked(checkpoint: Checkpoint, kinds: frozenset[str] | None = None) -> tuple[dict[str, str], dict[str, str]]:
    """Of each kind of model, of all or of these, the family that claims it; of the others, the refusal."""
    claimed, refused = {}, {}
    for registry in REGISTRIES:
        if kinds is None or registry.kind in kinds:
            try:
                claimed[registry.kind] = registry.claiming(checkpoint, "x.pth")[0].name
            except BadCheckpoint as error:
                refused[registry.kind] = str(error)
    return claimed, refused


def is_lora(checkpoint: Checkpoint, folder: Path) -> bool:
    torch.save(dict(checkpoint.tensors), folder / "lora.pth")
    try:
        return bool(lora_file.read(folder / "lora.pth").modules)
    except BadCheckpoint:
        return False


def is_text_encoder(checkpoint: Checkpoint, folder: Path) -> bool:
    """Of the GANs that draw by text."""
    try:
        with empty_weights():
            wanted = encoder_of(checkpoint.tensors).state_dict()
    except KeyError:
        return False
    return {name: value.shape for name, value in wanted.items()} == {
        name: value.shape for name, value in checkpoint.tensors.items()
    }


COMPANIONS: dict[str, Callable[[Checkpoint, Path], bool]] = {"LoRA": is_lora, "text encoder": is_text_encoder}
"""What reads files without a registry of families."""


def signature_of(checkpoint: Checkpoint) -> signatures.Signature:
    found = signatures.recognise(next(iter(groups.views(checkpoint.tensors))).tensors)
    assert found is not None
    return found


def checkpoint_of(path: Path) -> Checkpoint:
    return Checkpoint(groups.stripped(tensors_of(path)), {}, path=Path("x.pth"))


def idents(paths: Sequence[Path]) -> list[str]:
    return [f"{path.parent.name}-{path.stem}" for path in paths]


@pytest.mark.parametrize("path", MANIFESTS, ids=idents(MANIFESTS))
def test_it_has_one_reader_or_a_name(path: Path, tmp_path: Path):
    """A layout that several kinds of model read is one family's, and its signature names all of them."""
    checkpoint = checkpoint_of(path)
    signature = signature_of(checkpoint)
    claimed, refused = asked(checkpoint)
    companions = {name for name, reads in COMPANIONS.items() if reads(checkpoint, tmp_path)}
    assert len(set(claimed.values()) | companions) <= 1
    if signatures.LORA in signature.readers:
        assert companions == {"LoRA"} or TOGETHER in content_of(path)["meta"]["layout_of"]
    elif claimed or FOLDER not in signature.what:
        assert claimed.keys() == set(signature.readers)
    for kind, said in refused.items():
        looks = kind in signature.readers
        assert f"model: x.pth {f'looks like {signature.what}' if looks else f'holds {signature.what}; '}" in said
        assert looks or f"; {signature.where}." in said


OPTIMISER = {
    "state": {0: {"step": torch.tensor(3.0), "exp_avg": torch.zeros(2, 2)}},
    "param_groups": [{"lr": 1e-3, "params": [0]}],
}


def named(prefix: str, tensors: Tensors) -> Tensors:
    return {prefix + name: value for name, value in tensors.items()}


WRAPPERS: dict[str, Callable[[Tensors], Any]] = {
    "DataParallel, compiled": lambda tensors: named("module._orig_mod.", tensors),
    "Lightning": lambda tensors: {
        "epoch": 3,
        "pytorch-lightning_version": "1.9.5",
        "state_dict": named("model.module.", tensors),
        "optimizer_states": [OPTIMISER],
        "hyper_parameters": {"lr": 1e-3},
    },
    "EMA": lambda tensors: {"model": tensors, "ema": dict(tensors), "optimizer": OPTIMISER, "step": 3},
}


def short() -> list[Path]:
    sizes = {path: path.stat().st_size for path in MANIFESTS}
    systems = {path.parent: path for path in sorted(MANIFESTS, key=sizes.__getitem__, reverse=True)}
    return [path for path in MANIFESTS if sizes[path] <= SHORT or path in systems.values()]


def write_holes(path: Path, prefix: str, file: Path) -> None:
    """A safetensors file of zeros that takes no room."""
    header, end = {}, 0
    for name, shape, dtype in content_of(path)["entries"]:
        size = torch.Size(shape).numel() * getattr(torch, dtype).itemsize
        header[prefix + name] = {"dtype": DTYPES[dtype], "shape": shape, "data_offsets": [end, end + size]}
        end += size
    text = json.dumps(header).encode()
    with file.open("wb") as opened:
        opened.write(len(text).to_bytes(8, "little") + text)
        opened.truncate(8 + len(text) + end)


@pytest.mark.parametrize("path", short(), ids=idents(short()))
def test_whatever_wraps_it(path: Path, tmp_path: Path):
    """In PyTorch's files and in safetensors, the same family claims it, or it is refused by the same name."""
    tensors = tensors_of(path)
    checkpoint = checkpoint_of(path)
    what, (expected, _) = signature_of(checkpoint).what, asked(checkpoint)
    kinds = frozenset(expected) or frozenset({GENERATORS.kind})
    files = {}
    for wrapper, wrap in WRAPPERS.items():
        files[wrapper] = tmp_path / f"{wrapper}.ckpt"
        torch.save(wrap(tensors), files[wrapper])
    for prefix in ("", "model."):
        files[f"safetensors, {prefix}"] = tmp_path / f"{prefix}x.safetensors"
        write_holes(path, prefix, files[f"safetensors, {prefix}"])
    for wrapper, file in files.items():
        claimed, refused = asked(read_model(file), kinds)
        assert claimed == expected, wrapper
        assert all(what in said for said in refused.values()), wrapper


@pytest.mark.skipif(ELSEWHERE is None, reason="TRILEMMA_REFERENCE_KIT names no kit")
def test_the_fixtures_hold_every_layout_of_the_kit():
    """So that the matrix is asked where there is no kit, too."""
    for path in MANIFESTS:
        ours = KIT / path.parent.name / path.name
        assert ours.is_file(), ours
        assert json.loads(ours.read_text())["entries"] == json.loads(path.read_text())["entries"], ours
