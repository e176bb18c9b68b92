"""Load Feature Extractor: what the list offers, and what an absent file says."""

import pytest
import torch
from safetensors.torch import load_file, safe_open, save_file
from trilemma import host
from trilemma.host import standalone
from trilemma.models.errors import BadCheckpoint, CannotDo
from trilemma.models.files import catalog
from trilemma.models.scoring.extractors import photo_package
from trilemma.models.scoring.extractors.resizes import RESIZES
from trilemma.nodes import NODE_CLASS_MAPPINGS

Load = NODE_CLASS_MAPPINGS["TrilemmaLoadFeatureExtractor"]
FromVision = NODE_CLASS_MAPPINGS["TrilemmaExtractorFromCLIPVision"]
STARTER = "starter emoji classifier"
INCEPTION = "pt_inception-2015-12-05-6726825d.pth"


@pytest.fixture
def metrics(tmp_path, monkeypatch):
    monkeypatch.setitem(standalone._places, "models", tmp_path)
    (tmp_path / "metrics").mkdir()
    return tmp_path / "metrics"


def choices():
    return Load.INPUT_TYPES()["required"]["model"][0]


def test_inception_is_offered_before_it_is_there(metrics):
    assert choices() == [STARTER, INCEPTION, photo_package.NAME]
    (metrics / "mine.safetensors").write_bytes(b"")
    (metrics / INCEPTION).write_bytes(b"")
    (metrics / "notes.txt").write_bytes(b"")
    assert choices() == [STARTER, INCEPTION, "mine.safetensors", photo_package.NAME]
    offered = Load.INPUT_TYPES()["required"]["resize"][0]
    assert offered == list(RESIZES) == ["TF1", "clean", "torchmetrics", "pytorch-fid", "bicubic", "Pillow"]


def test_a_missing_inception_says_what_to_do(metrics):
    message = Load.VALIDATE_INPUTS(INCEPTION)
    facts = (
        INCEPTION,
        "github.com/mseitzer/pytorch-fid/releases/tag/fid_weights",
        "95,628,359 bytes",
        "6726825d0af5f729",
    )
    for fact in (*facts, str(metrics)):
        assert fact in message
    with pytest.raises(FileNotFoundError, match="not on this machine"):
        Load().run(INCEPTION, resize="TF1")


def test_the_starter_and_its_info(metrics):
    shown = Load().run(STARTER, resize="clean")
    handle, info = shown["result"]
    assert shown["ui"]["text"] == [info]
    assert info.splitlines()[:5] == [
        STARTER,
        "resize: clean",
        "parameters: 282,304",
        "features: 128 (features)",
        "classes: 32",
    ]
    assert len(handle.patchers) == 1
    with torch.inference_mode(), host.placed(handle, memory=handle.model.memory_bytes(2)):
        prepared = handle.model.prepare(torch.zeros(2, 9, 7, 3, dtype=torch.uint8))
        assert handle.model.extract(prepared, ("features",)).taps[0].shape == (2, 128)


def test_a_copy_of_the_starter_is_the_same_network_by_another_name(metrics):
    starter = catalog.starter_folder("extractor", STARTER) / "model.safetensors"
    with safe_open(starter, framework="pt") as file:
        save_file(load_file(starter), metrics / "mine.safetensors", file.metadata())
    found, expected = (
        Load().run(name, resize="TF1")["result"][0].model.source for name in ("mine.safetensors", STARTER)
    )
    assert found.extractor == "classifier mine.safetensors"
    assert found.identity == expected.identity


@pytest.mark.slow
def test_folders_of_transformers_are_listed_beside_files(metrics):
    from trilemma.models.scoring.extractors.dinov2 import DINOV2

    folder = metrics / "dinov2-large"
    folder.mkdir()
    DINOV2.tiny(folder).rename(folder / "model.safetensors")
    (folder / "config.json").write_text("{}")
    assert choices() == [STARTER, INCEPTION, "dinov2-large/model.safetensors", "dinov2-large", photo_package.NAME]
    _, info = Load().run("dinov2-large", resize="Pillow")["result"]
    assert info.splitlines()[1:] == [
        "resize: Pillow",
        "parameters: 648,192",
        "features: 128 (class token)",
        "classes: none, so it gives no Inception score",
        "sFD: none",
        "Compound FD: none",
        info.splitlines()[-1],
    ]


@pytest.mark.slow
def test_another_file_under_the_name(metrics):
    file = metrics / "other.pth"
    torch.save({"a.weight": torch.zeros(1)}, file)
    before = Load.IS_CHANGED("other.pth", resize="TF1")
    with pytest.raises(BadCheckpoint, match=r"other.pth is no extractor that the pack knows"):
        Load().run("other.pth", resize="TF1")
    torch.save({"a.weight": torch.zeros(9), "b": torch.zeros(2)}, file)
    assert Load.IS_CHANGED("other.pth", resize="TF1") != before


def test_vision_models_need_comfyui():
    with pytest.raises(CannotDo, match="clip_vision: only ComfyUI"):
        FromVision().run(object(), "clean")
