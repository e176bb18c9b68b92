"""The examples of published files: what GANs that draw by text show, and what is said where files are missing.

The files are the published ones by name and layout; here they are small and know other words.
"""

import json
import shutil
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from trilemma import headless
from trilemma.host import standalone
from trilemma.models.errors import MissingFile
from trilemma.models.generators.gan.text_to_image import families, words
from trilemma.nodes import NODE_CLASS_MAPPINGS

pytestmark = pytest.mark.slow

LoadGenerator = NODE_CLASS_MAPPINGS["TrilemmaLoadGenerator"]

EXAMPLE = Path(__file__).resolve().parents[2] / "example_workflows" / "api" / "text_to_image_gans.json"
PLACES = {"AttnGAN": "bird_AttnGAN/bird_AttnGAN2.pth", "DM-GAN": "bird_DMGAN/bird_DMGAN.pth"}
KNOWN = ("a", "small", "red", "bird", "with", "white", "wings", "this", "is", "yellow", "black", "crown", "red2")


@pytest.fixture
def models(tmp_path):
    """A folder of models with the two generators, text encoders and dictionaries."""
    for family in families.FAMILIES:
        if family.name in PLACES:
            path = tmp_path / "models" / "generators" / PLACES[family.name]
            path.parent.mkdir(parents=True)
            written = family.tiny(path.parent)
            torch.save(load_file(written), path)
            written.unlink()
            encoder = load_file(path.parent / "text_encoder.safetensors")
            (path.parent / "text_encoder.safetensors").unlink()
            rows = encoder["encoder.weight"].repeat(2, 1)[: len(KNOWN)]
            torch.save({**encoder, "encoder.weight": rows.clone()}, path.parent / "text_encoder200.pth")
            words.write(path.parent / "captions.pickle", KNOWN[:-1], [(1, 4)])
    return tmp_path / "models"


def test_stages_words_and_both_models_are_shown(run, models):
    shown = run(EXAMPLE, "--models", str(models))
    report = shown["5"]["text"][0]
    assert "image 0: a small red bird with white wings; stages 64 x 64, 128 x 128" in report
    assert "map 2: red, 64 px" in report and "is not known" not in report
    assert shown.keys() >= {"5", "9", "10"}
    for node in ("9", "10"):
        (file,) = shown[node]["images"]
        assert min(Image.open(file).size) > 256
    assert "'a'" not in shown.get("3", {}).get("text", [""])[0]


def test_missing_files_are_named_with_their_publisher(models, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(standalone, "_places", dict(standalone._places))

    def message():
        arguments = [str(EXAMPLE), "--models", str(models), "--output", str(tmp_path / "output")]
        assert headless.main(arguments)
        return capsys.readouterr().err

    (models / "generators" / "bird_DMGAN" / "captions.pickle").unlink()
    said = message()
    assert "Load DM-GAN of birds" in said and "lacks the dictionary (captions.pickle" in said
    shutil.rmtree(models / "generators" / "bird_AttnGAN")
    said = message()
    assert "bird_AttnGAN2.pth is not on this machine. Fetch it from https://github.com/taoxugit/AttnGAN" in said
    assert str(models / "generators" / "bird_AttnGAN") in said


def test_vqgan_clip_names_the_vqgan_it_wants(tmp_path):
    """Its CLIP is loaded by ComfyUI, which says what its own folders lack."""
    graph = json.loads(EXAMPLE.with_name("vqgan_clip.json").read_text())
    (loader,) = (node["inputs"] for node in graph.values() if node["class_type"] == "TrilemmaLoadGenerator")
    standalone.use_folders(models=tmp_path)
    with pytest.raises(MissingFile, match="CompVis/taming-transformers") as refused:
        LoadGenerator.path(loader["model"])
    assert str(tmp_path / "generators" / "vqgan_imagenet_f16_16384") in str(refused.value)
