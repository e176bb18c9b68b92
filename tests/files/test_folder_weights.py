"""Which weights of a folder are read: in several files, in variants, by every naming of diffusers and transformers."""

import json

import pytest
import torch
from safetensors.torch import save_file
from trilemma.models.errors import BadCheckpoint, MissingFile
from trilemma.models.files.folder_weights import BASES, find_weights
from trilemma.models.files.folders import read_model, read_weights, weight_files

PARTS = ({"a": torch.ones(2), "b": torch.zeros(3)}, {"c": torch.full((4,), 2.0)})
WHOLE = PARTS[0] | PARTS[1]


def write(path, tensors):
    save_file(tensors, path) if path.suffix == ".safetensors" else torch.save(tensors, path)


def same(found, expected=WHOLE):
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], value) for name, value in expected.items())


@pytest.mark.parametrize("base", BASES)
@pytest.mark.parametrize("ending", ["safetensors", "bin"])
@pytest.mark.parametrize("variant", ["", ".fp16", ".bf16", ".ema", ".non_ema", ".own"])
@pytest.mark.parametrize("names", ["whole", "before", "behind"])
@pytest.mark.parametrize("index", [None, "{base}.{ending}.index{variant}.json", "{base}{variant}.{ending}.index.json"])
def test_weights_by_every_name(base, ending, variant, names, index, tmp_path):
    """Shards carry the variant before or behind their number, and have an index or none."""
    if names == "whole":
        files = [f"{base}{variant}.{ending}"]
        write(tmp_path / files[0], WHOLE)
    else:
        pattern = "{base}{variant}-{number}.{ending}" if names == "before" else "{base}-{number}{variant}.{ending}"
        files = [
            pattern.format(base=base, variant=variant, ending=ending, number=f"{number:05}-of-00002")
            for number in (1, 2)
        ]
        for file, part in zip(files, PARTS, strict=True):
            write(tmp_path / file, part)
        if index is not None:
            weight_map = {name: file for file, part in zip(files, PARTS, strict=True) for name in part}
            path = tmp_path / index.format(base=base, variant=variant, ending=ending)
            path.write_text(json.dumps({"metadata": {}, "weight_map": weight_map}))
    (tmp_path / "config.json").write_text('{"model_type": "x"}')
    checkpoint = read_model(tmp_path)
    same(checkpoint.tensors)
    assert checkpoint.notes == ((f"took the variant {variant[1:]} of the weights",) if variant else ())
    assert {file.name for file in weight_files(tmp_path)} >= set(files)


@pytest.mark.parametrize(
    ("names", "best"),
    [
        (("model.safetensors", "model.fp16.safetensors", "model.non_ema.safetensors"), "model.safetensors"),
        (("model.fp16.safetensors", "model.non_ema.safetensors"), "model.fp16.safetensors"),
        (("model.bf16.safetensors", "model.fp16.safetensors"), "model.fp16.safetensors"),
        (("model.ema.safetensors", "model.fp16.safetensors"), "model.ema.safetensors"),
        (("pytorch_model.bin", "model.fp16.safetensors"), "model.fp16.safetensors"),
        (("pytorch_model.bin", "pytorch_model.fp16.bin"), "pytorch_model.bin"),
        (("model.safetensors", "pytorch_model.bin", "model-00001-of-00002.safetensors"), "model.safetensors"),
        (("diffusion_pytorch_model.non_ema.bin", "optimizer.bin"), "diffusion_pytorch_model.non_ema.bin"),
    ],
)
def test_the_best_of_several_is_taken(names, best, tmp_path):
    for name in names:
        write(tmp_path / name, {"w": torch.ones(1)} if name == best else {"other": torch.ones(1)})
    assert [file.name for file in find_weights(tmp_path).files] == [best]
    same(read_weights(tmp_path).tensors, {"w": torch.ones(1)})


def test_a_missing_part_is_named(tmp_path):
    write(tmp_path / "model-00001-of-00003.safetensors", PARTS[0])
    write(tmp_path / "model-00003-of-00003.safetensors", PARTS[1])
    with pytest.raises(MissingFile, match=r"lacks model-00002-of-00003\.safetensors, one of the 3 files"):
        read_weights(tmp_path)


def test_a_tensor_in_two_parts_is_refused(tmp_path):
    for number in (1, 2):
        write(tmp_path / f"model-0000{number}-of-00002.safetensors", PARTS[0])
    with pytest.raises(BadCheckpoint, match=r"model-00002-of-00002\.safetensors holds \w, as another file does too"):
        read_weights(tmp_path)


def test_a_folder_without_weights_says_what_it_should_have(tmp_path):
    (tmp_path / "optimizer.bin").touch()
    assert find_weights(tmp_path) is None
    with pytest.raises(MissingFile, match=r"has no weights; put model\.safetensors or pytorch_model\.bin into"):
        read_weights(tmp_path)
