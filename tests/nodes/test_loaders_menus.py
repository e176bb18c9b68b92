"""What the loaders list, their readers read: by content, under every ending that weights are published with."""

import shutil

import pytest
import torch
from trilemma import host
from trilemma.host import model_folders, standalone
from trilemma.models.files import checkpoints
from trilemma.nodes import NODE_CLASS_MAPPINGS
from trilemma.nodes.common.loading import WEIGHT_FILES, ModelLoader

LOADERS = [node for node in NODE_CLASS_MAPPINGS.values() if issubclass(node, ModelLoader)]


@pytest.fixture
def models(tmp_path, monkeypatch):
    monkeypatch.setattr(standalone, "_places", {**standalone._places, "models": tmp_path})
    return tmp_path


@pytest.mark.parametrize("loader", LOADERS, ids=lambda node: node.__name__)
def test_every_ending_is_listed(loader, models):
    key = loader.SOURCES[0].key
    (models / key).mkdir()
    names = {f"x{ending}" for ending in WEIGHT_FILES} | {"model_best.pth.tar"}
    for name in names:
        (models / key / name).touch()
    (models / key / "notes.md").touch()
    listed = set(loader.INPUT_TYPES()["required"]["model"][0])
    assert names <= listed
    assert "notes.md" not in listed
    for name in names:
        assert loader.VALIDATE_INPUTS(name) is True


def test_inpainters_without_words_are_found_where_other_packs_keep_them(models):
    """And one that is missing is told to go there, with its source, size and hash."""
    loader = NODE_CLASS_MAPPINGS["TrilemmaLoadInpainter"]
    for key, name in (("inpaint", "big-lama.pt"), ("upscale_models", "MAT.safetensors"), ("checkpoints", "other.pt")):
        (models / key).mkdir()
        (models / key / name).touch()
    (models / "inpaint" / "inpaint_v26.fooocus.patch").touch()
    listed = loader.INPUT_TYPES()["required"]["model"][0]
    assert listed[-3:] == ["other.pt", "big-lama.pt", "MAT.safetensors"]
    assert loader.path("big-lama.pt") == models / "inpaint" / "big-lama.pt"
    (models / "inpaint" / "big-lama.pt").unlink()
    said = loader.VALIDATE_INPUTS("big-lama.pt")
    assert "Sanster/models/releases/download/add_big_lama/big-lama.pt (205,669,692 bytes, SHA-256 344c77bb" in said
    assert said.endswith(f"put it into {models / 'inpaint'}.")


@pytest.mark.parametrize("key", model_folders.FOLDER_KEYS)
def test_the_host_lists_them_too(key):
    assert set(WEIGHT_FILES) <= set(model_folders.FOLDER_KEYS[key])


@pytest.mark.parametrize("ending", [ending for ending in WEIGHT_FILES if ending != ".safetensors"])
@pytest.mark.parametrize("new_format", [True, False])
def test_every_ending_is_read(ending, new_format, tmp_path):
    torch.save({"w": torch.ones(2)}, tmp_path / f"x{ending}", _use_new_zipfile_serialization=new_format)
    assert checkpoints.read(tmp_path / f"x{ending}").tensors.keys() == {"w"}


@pytest.mark.slow
@pytest.mark.parametrize("ending", [".bin", ".pth.tar", ".pt"])
def test_a_generator_of_every_ending_is_loaded(ending, models):
    loader = NODE_CLASS_MAPPINGS["TrilemmaLoadGenerator"]
    (family,) = (family for family in loader.REGISTRY.families if family.name == "MNIST VAE")
    made = family.tiny(models)
    (models / "generators").mkdir()
    tensors = checkpoints.read(made).tensors
    torch.save(tensors, models / "generators" / f"x{ending}")
    shutil.rmtree(made) if made.is_dir() else made.unlink()
    result = loader().run(f"x{ending}")
    handle = result["result"][0] if isinstance(result, dict) else result[0]
    assert isinstance(handle, host.Handle)
