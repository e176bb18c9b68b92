"""What lies in the model folders: recognised, refused with a reason, or part of another model."""

import json
import shutil

import pytest
from trilemma import headless
from trilemma.host import standalone
from trilemma.models.files import catalog
from trilemma.models.segmentation.loading import SEGMENTERS

VAE = catalog.starter_folder("generator", "starter emoji vae") / "model.safetensors"


@pytest.fixture(autouse=True)
def places(monkeypatch):
    monkeypatch.setattr(standalone, "_places", dict(standalone._places))


@pytest.fixture
def models(tmp_path):
    (tmp_path / "generators").mkdir()
    (tmp_path / "sams").mkdir()
    shutil.copy(VAE, tmp_path / "generators" / "mine.safetensors")
    return tmp_path


def doctor(models, capsys):
    code = headless.main(["doctor", "--json", "--models", str(models)])
    found = json.loads(capsys.readouterr().out)["doctor"]
    return code, {model["name"]: model for model in found["models"]}, found


@pytest.mark.slow
def test_a_model_is_told_with_its_loaders(models, capsys):
    code, items, found = doctor(models, capsys)
    assert code == headless.DONE
    assert items["mine.safetensors"]["families"] == {"Load Generator": "sigma-VAE"}
    assert items["mine.safetensors"]["bytes"] == VAE.stat().st_size
    assert found["packages"]["torch"] and found["folders"]["sams"] == str(models / "sams")


@pytest.mark.slow
def test_what_no_loader_reads_is_told_with_the_reason(models, capsys):
    shutil.copy(VAE, models / "sams" / "wrong.safetensors")
    (models / "generators" / "half.safetensors").write_bytes(VAE.read_bytes()[:1000])
    code, items, _ = doctor(models, capsys)
    assert code == headless.NODE_FAILED
    assert "belongs into models/generators" in items["wrong.safetensors"]["problem"]
    assert "not a whole safetensors file" in items["half.safetensors"]["problem"]
    assert not items["mine.safetensors"]["problem"]


@pytest.mark.slow
def test_what_belongs_to_another_model_is_no_problem(models, capsys):
    from trilemma.models.generators.loading import GENERATORS

    family = next(family for family in GENERATORS.families if family.name == "DF-GAN")
    folder = models / "generators" / "birds"
    folder.mkdir()
    family.tiny(folder)
    code, items, _ = doctor(models, capsys)
    encoder = next(item for name, item in items.items() if "text_encoder" in name)
    assert code == headless.DONE
    assert not encoder["families"] and not encoder["problem"] and encoder["part_of"]


@pytest.mark.slow
def test_published_files_are_absent_until_they_are_there(models, capsys):
    name = "mobile_sam.pt"
    _, _, found = doctor(models, capsys)
    (absent,) = [file for file in found["absent"] if file["name"] == name]
    assert absent["sha256"] and absent["source"] and absent["folder"] == str(models / "sams")
    tiny = next(family for family in SEGMENTERS.families if family.name == "MobileSAM").tiny(models / "sams")
    tiny.rename(models / "sams" / name)
    _, items, found = doctor(models, capsys)
    assert name in items and name not in [file["name"] for file in found["absent"]]


@pytest.mark.slow
def test_the_page_tells_the_same(models, capsys):
    (models / "generators" / "broken.pt").write_text("hi")
    assert headless.main(["doctor", "--models", str(models)]) == headless.NODE_FAILED
    text = capsys.readouterr().out
    assert "mine.safetensors: sigma-VAE, for Load Generator, 1 MB" in text
    assert "broken.pt: NOT READ. broken.pt: it is a text file" in text
    assert "sam_vit_b_01ec64.pth, 375 MB, from https://dl.fbaipublicfiles.com" in text
    assert f"it goes into {models / 'sams'}" in text


def test_both_kinds_of_folders_at_once_are_refused(tmp_path, capsys):
    assert headless.main(["doctor", "--comfyui", str(tmp_path), "--models", str(tmp_path)]) == headless.INVALID
    assert "--models is for running alone" in capsys.readouterr().out
