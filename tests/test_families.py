"""The front door: a file is claimed by exactly one family, filled strictly, and told from all others."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import nn
from trilemma.models import weights
from trilemma.models.errors import BadCheckpoint, MissingFile
from trilemma.models.families import Family, Registry
from trilemma.models.files.checkpoints import Checkpoint
from trilemma.models.files.folders import read_model


class Net:
    """A linear layer as a model."""

    def __init__(self, checkpoint: Checkpoint) -> None:
        self.network = nn.Linear(3, 2, device="meta")
        weights.fill(self.network, checkpoint.tensors, "a linear layer")
        self.modules: tuple[nn.Module, ...] = (self.network,)
        self.identity = weights.identity(checkpoint.tensors)
        self.files: tuple[Path, ...] = ()
        self.notes: tuple[str, ...] = ()


def tiny(folder: Path) -> Path:
    path = folder / "linear.safetensors"
    save_file({"weight": torch.randn(2, 3), "bias": torch.randn(2)}, path)
    return path


def family(name: str = "linear", **changes: Any) -> Family[Net]:
    return Family(
        **{
            "name": name,
            "detect": lambda checkpoint: checkpoint.tensors.keys() == {"weight", "bias"},
            "load": lambda checkpoint, dtype_for: Net(checkpoint),
            "tiny": tiny,
            "typical": lambda: frozenset({"weight", "bias"}),
            **changes,
        }
    )


def registry(*families: Family[Net]) -> Registry[Net]:
    return Registry("layer", lambda: families or (family(),))


def test_the_family_that_claims_a_file_loads_it(tmp_path):
    path = tiny(tmp_path)
    model = registry().load(path)
    assert model.files == (path,)
    assert torch.equal(model.network.weight, read_model(path).tensors["weight"])
    assert not model.network.weight.requires_grad


def test_two_claims_are_an_error(tmp_path):
    with pytest.raises(BadCheckpoint, match="any of linear, affine"):
        registry(family(), family("affine")).load(tiny(tmp_path))


def test_two_families_of_one_name_are_an_error():
    with pytest.raises(ValueError, match="two layer families are named 'linear'"):
        registry(family(), family("affine"), family()).names()


@pytest.mark.parametrize(
    ("tensors", "said"),
    [
        ({"weight": torch.ones(2, 3)}, r"Nearest is linear: 1 of its tensors are missing \(bias\)"),
        ({"other": torch.ones(1)}, "shares no tensor"),
        ({"double_blocks.0.img_attn.qkv.weight": torch.ones(1)}, "holds a Flux diffusion model"),
    ],
)
def test_an_unknown_file_is_named(tmp_path, tensors, said):
    path = tmp_path / "x.safetensors"
    save_file(tensors, path)
    with pytest.raises(BadCheckpoint, match=rf"x\.safetensors.*{said}"):
        registry().load(path)


def test_files_are_those_of_all_families(tmp_path):
    beside = tmp_path / "beside.safetensors"
    held = registry(family(), family("pair", files=lambda path: (path, beside)))
    assert held.files(tmp_path / "a") == (tmp_path / "a", beside)


def folder_of(tmp_path: Path, **files: dict[str, Any]) -> Path:
    folder = tmp_path / "model"
    folder.mkdir()
    for name, content in files.items():
        (folder / f"{name}.json").write_text(json.dumps(content))
    return folder


def test_a_folder_of_shards_is_one_state_dict(tmp_path):
    folder = folder_of(tmp_path, config={"model_type": "linear"})
    map_ = {"weight": "model-1.safetensors", "bias": "model-2.safetensors"}
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": map_}))
    save_file({"weight": torch.ones(2, 3)}, folder / "model-1.safetensors")
    with pytest.raises(MissingFile, match=r"model-2\.safetensors"):
        read_model(folder)
    save_file({"bias": torch.ones(2)}, folder / "model-2.safetensors")
    checkpoint = read_model(folder)
    assert checkpoint.tensors.keys() == {"weight", "bias"}
    assert checkpoint.config == {"model_type": "linear"}
    assert registry().load(folder).identity == weights.identity(checkpoint.tensors)


@pytest.mark.parametrize("name", ["../x.safetensors", "/x.safetensors", "a/x.safetensors"])
def test_shards_lie_in_their_folder(tmp_path, name):
    folder = folder_of(tmp_path)
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"a": name}}))
    with pytest.raises(BadCheckpoint, match="leads out of the folder"):
        read_model(folder)


@pytest.mark.parametrize("content", ["[1]", "{", '"text"'])
def test_a_broken_configuration_is_named(tmp_path, content):
    folder = folder_of(tmp_path)
    (folder / "config.json").write_text(content)
    with pytest.raises(BadCheckpoint, match=r"config\.json .*download it again"):
        read_model(folder)


@pytest.mark.parametrize("meta", [False, True])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, None])
def test_fill_copies_strictly(meta, dtype):
    with torch.device("meta" if meta else "cpu"):
        network = nn.BatchNorm1d(3)
    tensors = {name: torch.ones(3, dtype=torch.float16) for name in ("weight", "bias", "running_mean", "running_var")}
    tensors["num_batches_tracked"] = torch.tensor(5)
    weights.fill(network, tensors, "x.pth, norm", dtype)
    assert network.weight.dtype == (dtype or torch.float16)
    assert network.num_batches_tracked.dtype == torch.int64
    tensors["weight"].zero_()
    assert network.weight[0] == 1


@pytest.mark.parametrize(
    ("tensors", "said"),
    [
        ({"weight": torch.ones(2, 3)}, r"1 missing \(bias\)"),
        ({"weight": torch.ones(2, 3), "bias": torch.ones(2), "more": torch.ones(1)}, r"1 unexpected \(more\)"),
        ({"weight": torch.ones(3, 2), "bias": torch.ones(2)}, r"weight \(3, 2\) instead of \(2, 3\)"),
    ],
)
def test_fill_names_what_does_not_fit(tensors, said):
    with pytest.raises(BadCheckpoint, match=f"x.pth, layer: .*{said}"):
        weights.fill(nn.Linear(3, 2), tensors, "x.pth, layer")


def test_identity_moves_with_every_weight_and_name():
    tensors = {"a": torch.zeros(100, 100), "b": torch.zeros(3)}
    digests = {weights.identity(tensors)}
    for name in tensors:
        for place in (0, -1):
            changed = {key: value.clone() for key, value in tensors.items()}
            changed[name].view(-1)[place] = 1e-30
            digests.add(weights.identity(changed))
    digests.add(weights.identity({"a": tensors["a"], "c": tensors["b"]}))
    assert len(digests) == 6


def test_identity_is_of_values_not_of_formats():
    tensors = {"b": torch.arange(6.0).reshape(2, 3).half(), "a": torch.ones(2)}
    other = {"a": torch.ones(2).bfloat16(), "b": torch.arange(6.0).reshape(2, 3).t().contiguous().t()}
    assert weights.identity(tensors) == weights.identity(other)


def test_layers_are_counted_without_gaps():
    names = {"blocks.0.weight", "blocks.1.weight", "blocks.3.weight"}
    assert weights.count_layers(names, "blocks.{}.weight") == 2
