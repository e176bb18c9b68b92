"""Small sound files of every format that the reader takes, and a hostile one of each that can hold a call."""

from __future__ import annotations

import argparse
import collections
import io
import json
import pickle
import sys
import types
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import torch
from safetensors.torch import save
from torch import nn
from trilemma.models.scoring.features import feature_files
from trilemma.tests.files import python2
from trilemma.tests.generators.gan import tensorflow_pickles
from trilemma.tests.scoring.toy import features

CANARY: Final = "canary"
"""What the calls in hostile files would leave in the folder that they are opened in."""


class Seed(NamedTuple):
    """files: by their names; one, or those of a folder. sealed: whether checksums bind all that is read of it.

    numbers: bytes that stand for the numbers of a tensor, of which some lie in the files as they are.
    """

    name: str
    files: dict[str, bytes]
    sealed: bool = False
    numbers: tuple[bytes, ...] = ()
    hostile: bool = False


class Call:
    """Pickles as the call of a function that leaves the canary."""

    def __reduce__(self) -> Any:
        return exec, (f"open({CANARY!r}, 'w').close()",)


def _numbers(seed: int, *shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def _weights() -> dict[str, torch.Tensor]:
    """Six tensors of several types: views of one storage, a scalar, one without elements."""
    both = _numbers(0, 6, 4)
    return {
        "layers.0.weight": both[:3],
        "layers.0.bias": both[3:, 1],
        "layers.1.weight": _numbers(1, 4, 2, 3, 3).half(),
        "norm.running_var": _numbers(2, 5).abs().double().t(),
        "norm.num_batches_tracked": torch.tensor(7),
        "empty": torch.empty(0, 3),
    }


def _around(weights: dict[str, torch.Tensor]) -> dict[str, Any]:
    """As training scripts save them."""
    return {
        "state_dict": weights,
        "epoch": 3,
        "args": argparse.Namespace(latent_dim=4, betas=(0.5, 0.9), layer=nn.Linear, path=Path("a")),
        "optimizer": {"param_groups": [{"lr": 0.1}], "state": {0: torch.ones(2)}},
        "history": [np.float32(0.5), np.int64(3), collections.Counter("aab"), {1, 2}],
    }


def _raw(*tensors: torch.Tensor) -> tuple[bytes, ...]:
    return tuple(tensor.contiguous().numpy().tobytes() for tensor in tensors)


def _saved(value: Any, archive: bool) -> bytes:
    stream = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.save(value, stream, _use_new_zipfile_serialization=archive)
    return stream.getvalue()


def _of_torch(suffix: str, archive: bool) -> Iterator[Seed]:
    weights = _weights()
    some = _raw(weights["layers.1.weight"], weights["norm.running_var"])
    module = nn.Sequential(nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3))
    with torch.no_grad():
        module[0].weight.copy_(_numbers(5, 3, 2, 3, 3))
    sparse = {"sparse": torch.eye(4).to_sparse(), "turned": torch.complex(_numbers(3, 4), _numbers(4, 4)).conj()}
    contents = {
        "state dict": weights,
        "checkpoint": _around(weights),
        "module": module,
        "kinds": {**sparse, "parameter": nn.Parameter(_numbers(6, 2, 2)), "bfloat": _numbers(7, 4).bfloat16()},
    }
    for name, value in contents.items():
        kept = some if name in ("state dict", "checkpoint") else ()
        yield Seed(name, {f"x.{suffix}": _saved(value, archive)}, sealed=archive, numbers=kept)
    yield Seed("hostile", {f"x.{suffix}": _saved({"w": torch.ones(3), "more": Call()}, archive)}, hostile=True)


def archives() -> Iterator[Seed]:
    """Zip archives of PyTorch since 1.6; one of them without checksums."""
    yield from _of_torch("pth", archive=True)
    weights = _weights()
    torch.serialization.set_crc32_options(False)
    try:
        raw = _saved(weights, archive=True)
    finally:
        torch.serialization.set_crc32_options(True)
    yield Seed("without checksums", {"x.pth": raw}, numbers=_raw(weights["layers.1.weight"]))


def streams() -> Iterator[Seed]:
    """PyTorch's format before 1.6."""
    yield from _of_torch("pt", archive=False)


def _arrays() -> dict[str, np.ndarray]:
    return {name: value.contiguous().numpy() for name, value in _weights().items()}


def pickles() -> Iterator[Seed]:
    """Plain pickles of every protocol, of arrays, and of tensors that hold a stream of their own."""
    arrays = _arrays()
    beside = {"scale": np.float64(0.5), "names": np.array(["a", "b"]), "order": np.arange(3, dtype=">i4")}
    for protocol in range(6):
        raw = pickle.dumps({"ema": arrays, **beside}, protocol)
        yield Seed(f"protocol {protocol}", {"x.pkl": raw}, numbers=_raw(_weights()["layers.1.weight"]))
    yield Seed("tensors", {"x.pkl": pickle.dumps(_around(_weights()), 4)})
    for protocol in (0, 2, 4):
        yield Seed(f"hostile {protocol}", {"x.pkl": pickle.dumps({"w": arrays, "x": Call()}, protocol)}, hostile=True)


@contextmanager
def _modules(*names: str) -> Iterator[dict[str, types.ModuleType]]:
    kept = {name: sys.modules.get(name) for name in names}
    made = {name: types.ModuleType(name) for name in names}
    sys.modules |= made
    try:
        yield made
    finally:
        for name, module in kept.items():
            del sys.modules[name]
            if module is not None:
                sys.modules[name] = module


def snapshots() -> Iterator[Seed]:
    """NVIDIA's network pickles: objects that carry the source text of their classes (torch_utils.persistence)."""
    place = "torch_utils.persistence"
    with _modules("torch_utils", place) as made:

        def build(meta: dict[str, Any]) -> None:
            """Never called: the reader knows it by its name alone."""

        build.__module__, build.__qualname__ = place, "_reconstruct_persistent_obj"
        vars(made[place])["_reconstruct_persistent_obj"] = build

        class Persistent:
            def __init__(self, name: str, parts: dict[str, Any], children: dict[str, Any]) -> None:
                source = f"open({CANARY!r}, 'w').close()"
                state = {"_parameters": parts, "_buffers": {}, "_modules": children, "z_dim": 4}
                self.meta = {"type": "class", "version": 6, "module_src": source, "class_name": name, "state": state}

            def __reduce__(self) -> Any:
                return build, (self.meta,)

        inner = Persistent("Synthesis", {"weight": _numbers(1, 4, 3), "const": _numbers(2, 2, 2)}, {})
        outer = {name: Persistent("Generator", {"w": _numbers(3, 3)}, {"synthesis": inner}) for name in ("G", "G_ema")}
        content = {**outer, "D": Persistent("Discriminator", {"w": torch.ones(2)}, {}), "training_set_kwargs": None}
        for protocol in (2, 4):
            yield Seed(f"protocol {protocol}", {"x.pkl": pickle.dumps(content, protocol)})


def python2_pickles() -> Iterator[Seed]:
    """Pickles of Python 2, whose bytes and texts are one."""
    arrays = {name: value for name, value in _arrays().items() if value.size}
    for protocol in range(3):
        raw = python2.dumps({"state_dict": arrays, "name": b"a model", "size": 2**40}, protocol)
        yield Seed(f"protocol {protocol}", {"x.pkl": raw}, numbers=_raw(_weights()["layers.1.weight"]))


def tensorflow() -> Iterator[Seed]:
    """StyleGAN's snapshots of TensorFlow."""
    names = ("lod", "w_avg", "mapping/Dense0/weight", "synthesis/4x4/Const/const", "synthesis/ToRGB_lod0/bias")
    variables = {name: _numbers(number, 2, 3).numpy() for number, name in enumerate(names)}
    raw = tensorflow_pickles.snapshot(variables, names[:2], "mapping/", {"resolution": 4, "num_channels": 3})
    yield Seed("networks", {"x.pkl": raw})


class _Traced(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Conv2d(3, 2, 3), nn.BatchNorm2d(2))
        self.register_buffer("scale", torch.tensor([2.0, 3.0]))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.layers(images) * self.scale.sum()


def programs() -> Iterator[Seed]:
    """TorchScript, of which the weights are read."""
    stream = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.save(torch.jit.trace(_Traced().train(False), torch.zeros(1, 3, 5, 5)), stream)
    yield Seed("traced", {"x.pt": stream.getvalue()}, sealed=True)


def _safe(weights: dict[str, torch.Tensor], metadata: dict[str, str] | None = None) -> bytes:
    return save({name: value.clone().contiguous() for name, value in weights.items()}, metadata)


def safetensors() -> Iterator[Seed]:
    weights = _weights()
    numbers = _raw(*weights.values())
    own = {"trilemma": json.dumps({"size": 4}), "trilemma_notes": json.dumps(["a note"]), "format": "pt"}
    yield Seed("weights", {"x.safetensors": _safe(weights)}, numbers=numbers)
    yield Seed("with metadata", {"x.safetensors": _safe(weights, own)}, numbers=numbers)


def folders() -> Iterator[Seed]:
    """Folders of transformers and diffusers: an index, several files, a configuration."""
    weights = _weights()
    parts = [dict(list(weights.items())[:3]), dict(list(weights.items())[3:])]
    config = json.dumps({"_class_name": "UNet2DModel", "sample_size": 8, "layers": [1, 2]}).encode()
    for ending in ("safetensors", "bin"):
        base = "diffusion_pytorch_model" if ending == "safetensors" else "pytorch_model"
        names = [f"{base}-{number:05}-of-00002.{ending}" for number in (1, 2)]
        written = [_safe(part) if ending == "safetensors" else _saved(part, archive=True) for part in parts]
        owners = {tensor: name for name, part in zip(names, parts, strict=True) for tensor in part}
        index = json.dumps({"metadata": {"total_size": 1}, "weight_map": owners}).encode()
        files = {"config.json": config, f"{base}.{ending}.index.json": index}
        yield Seed(f"several of {ending}", {**files, **dict(zip(names, written, strict=True))})
    yield Seed("one file", {"config.json": config, "model.safetensors": _safe(weights)})
    yield Seed("pipeline", {"model_index.json": json.dumps({"unet": ["diffusers", "UNet2DModel"]}).encode()})


def features_files(folder: Path) -> Iterator[Seed]:
    """The pack's files of features, and other packages' files of moments, compressed too."""
    feature_files.save(folder / "x.npz", features(0, 6, "set", 3), {"skipped": []})
    yield Seed("ours", {"x.npz": (folder / "x.npz").read_bytes()}, sealed=True)
    moments = {"mu": _numbers(0, 12).double().numpy(), "sigma": np.eye(12)}
    for write in (np.savez, np.savez_compressed):
        stream = io.BytesIO()
        write(stream, **moments)
        yield Seed(write.__name__, {"x.npz": stream.getvalue()}, sealed=True)


def arrays() -> Iterator[Seed]:
    """Single arrays of NumPy."""
    for name, array in {"floats": _numbers(0, 12, 16).numpy(), "columns": np.asfortranarray(np.eye(9)[:4])}.items():
        stream = io.BytesIO()
        np.save(stream, array)
        yield Seed(name, {"x.npy": stream.getvalue()}, numbers=(array.tobytes("A"),))


SEEDS: Final[dict[str, Callable[[Path], Iterator[Seed]]]] = {
    "archive": lambda folder: archives(),
    "stream": lambda folder: streams(),
    "pickle": lambda folder: pickles(),
    "snapshot": lambda folder: snapshots(),
    "python 2": lambda folder: python2_pickles(),
    "tensorflow": lambda folder: tensorflow(),
    "program": lambda folder: programs(),
    "safetensors": lambda folder: safetensors(),
    "folder": lambda folder: folders(),
    "features": features_files,
    "array": lambda folder: arrays(),
}
"""By format; the folder is for files that are made there."""
