"""Detectors from files and folders of every layout, and what is said of those that do not fit."""

import json
import socket

import pytest
import torch
from safetensors.torch import save_file
from trilemma.models.detection import grounding_dino_published
from trilemma.models.detection.base import Detector
from trilemma.models.detection.captions import VOCABULARY
from trilemma.models.detection.loading import load_detector
from trilemma.models.detection.preprocessing import InputSize
from trilemma.models.errors import BadCheckpoint, MissingFile
from trilemma.tests import reference_kit
from trilemma.tests.closeness import assert_close
from trilemma.tests.detection import tiny

pytestmark = pytest.mark.slow

PIXELS = torch.linspace(-2, 2, 3 * 96 * 128).reshape(1, 3, 96, 128).sin()
IDS = torch.tensor([[101, 4937, 1012, 6556, 2491, 1012, 102]])


@pytest.fixture(autouse=True)
def no_network(monkeypatch):
    def refuse(*_):
        raise AssertionError("a detector must load without a network")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


def answers(model) -> tuple[torch.Tensor, torch.Tensor]:
    with torch.no_grad():
        output = model(pixel_values=PIXELS, input_ids=IDS)
    return output.logits[..., : IDS.shape[1]], output.pred_boxes


def assert_same_network(detector: Detector) -> None:
    for found, expected in zip(answers(detector.network), answers(tiny.network()), strict=True):
        assert_close(found, expected)


@pytest.mark.parametrize("wrapper", ["model", "state_dict", None])
def test_published_pth(tmp_path, wrapper):
    state = {f"module.{name}": tensor for name, tensor in tiny.published_tensors().items()}
    path = tmp_path / "published.pth"
    torch.save({wrapper: state} if wrapper else state, path)
    assert_same_network(load_detector(path))


def test_published_safetensors(tmp_path):
    save_file(tiny.published_tensors(), tmp_path / "published.safetensors")
    detector = load_detector(tmp_path / "published.safetensors")
    assert_same_network(detector)
    assert detector.input_size == InputSize(800, 1333)


def test_published_without_what_follows_from_sizes(tmp_path):
    """Files that were converted may lack the indices of Swin's windows, which hold no weights."""
    state = tiny.published_tensors()
    kept = {name: tensor for name, tensor in state.items() if tensor.is_floating_point()}
    assert len(kept) < len(state)
    save_file(kept, tmp_path / "published.safetensors")
    assert_same_network(load_detector(tmp_path / "published.safetensors"))


def test_transformers_folder(tmp_path):
    assert_same_network(load_detector(tiny.write_folder(tmp_path)))


def test_folder_without_indices_as_transformers_5_saves_it(tmp_path):
    tiny.network().save_pretrained(tmp_path)
    assert_same_network(load_detector(tmp_path))


def test_folder_with_pytorch_weights(tmp_path):
    tiny.write_folder(tmp_path)
    (tmp_path / "model.safetensors").unlink()
    torch.save(tiny.tensors(), tmp_path / "pytorch_model.bin")
    assert_same_network(load_detector(tmp_path))


def test_half_precision_files_compute_in_float32(tmp_path):
    state = {name: t.half() if t.is_floating_point() else t for name, t in tiny.tensors().items()}
    detector = load_detector(tiny.write_folder(tmp_path, state, torch_dtype="float16", dtype="float16"))
    assert {weight.dtype for weight in detector.network.parameters()} == {torch.float32}
    stored = state["model.text_projection.weight"].float()
    assert torch.equal(detector.network.model.text_projection.weight, stored)


def test_loaded_network_survives_its_file(tmp_path):
    folder = tiny.write_folder(tmp_path)
    detector = load_detector(folder)
    (folder / "model.safetensors").write_bytes(b"")
    assert_same_network(detector)


def test_folder_brings_its_vocabulary_and_input_size(tmp_path):
    words = VOCABULARY.read_text(encoding="utf-8").splitlines()
    words[words.index("[unused5]")] = "zyzzyva"
    tiny.write_folder(tmp_path)
    (tmp_path / "vocab.txt").write_text("\n".join(words), encoding="utf-8")
    (tmp_path / "preprocessor_config.json").write_text('{"size": {"height": 128, "width": 128}}')
    detector = load_detector(tmp_path)
    assert detector.tokenizer.encode("zyzzyva").tokens == ["[CLS]", "zyzzyva", "[SEP]"]
    assert detector.input_size == InputSize(128, 128)


def test_vocabulary_must_fit_the_network(tmp_path):
    state = tiny.tensors()
    words = "model.text_backbone.embeddings.word_embeddings.weight"
    text = {**tiny.CONFIG["text_config"], "vocab_size": 4000}
    tiny.write_folder(tmp_path, {**state, words: state[words][:4000].contiguous()}, text_config=text)
    with pytest.raises(BadCheckpoint, match=r"has 30522 tokens, but the network embeds 4000"):
        load_detector(tmp_path)


def test_missing_file_in_folder(tmp_path):
    tiny.write_folder(tmp_path)
    (tmp_path / "model.safetensors").unlink()
    with pytest.raises(MissingFile, match=r"has no weights; put model\.safetensors or pytorch_model\.bin into"):
        load_detector(tmp_path)
    save_file(tiny.tensors(), tmp_path / "model.safetensors")
    (tmp_path / "config.json").unlink()
    with pytest.raises(BadCheckpoint, match=r"which is read as a folder with its config\.json"):
        load_detector(tmp_path)


@pytest.mark.parametrize("content", ["{", "[1]"])
def test_broken_configuration(tmp_path, content):
    tiny.write_folder(tmp_path)
    (tmp_path / "config.json").write_text(content)
    with pytest.raises(BadCheckpoint, match=r"config\.json"):
        load_detector(tmp_path)


def test_folder_of_another_model(tmp_path):
    tiny.write_folder(tmp_path, model_type="sam")
    with pytest.raises(
        BadCheckpoint, match=r"is a folder of the model 'sam'; .* Grounding DINO in transformers' layout"
    ):
        load_detector(tmp_path)


def test_backbone_that_would_have_to_be_fetched(tmp_path):
    tiny.write_folder(tmp_path, backbone_config=None, backbone="microsoft/swin-tiny-patch4-window7-224")
    with pytest.raises(BadCheckpoint, match="would have to be fetched"):
        load_detector(tmp_path)


def test_unknown_input_size(tmp_path):
    tiny.write_folder(tmp_path)
    (tmp_path / "preprocessor_config.json").write_text(json.dumps({"size": {"height": 100, "width": 200}}))
    with pytest.raises(BadCheckpoint, match="is not one that the detector knows"):
        load_detector(tmp_path)


@pytest.mark.parametrize(
    ("lost", "message"),
    [
        ("transformer.level_embed", r"without its tensor 'transformer\.level_embed'"),
        ("bert.encoder.layer.1.output.dense.bias", r"1 missing \(bert\.encoder\.layer\.1\.output\.dense\.bias\)"),
        ("bbox_embed.1.layers.2.weight", r"1 missing \(bbox_embed\.1\.layers\.2\.weight\)"),
    ],
)
def test_published_file_is_read_strictly(tmp_path, lost, message):
    state = tiny.published_tensors()
    del state[lost]
    torch.save({"model": state}, tmp_path / "damaged.pth")
    with pytest.raises(BadCheckpoint, match=message):
        load_detector(tmp_path / "damaged.pth")


def test_truncated_file(tmp_path):
    path = tmp_path / "cut.pth"
    torch.save({"model": tiny.published_tensors()}, path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(BadCheckpoint, match=r"cut\.pth: .* download it again"):
        load_detector(path)


def test_segmenter_given_for_a_detector(tmp_path):
    names = ["image_encoder.patch_embed.proj.weight", "mask_decoder.iou_token.weight"]
    torch.save({name: torch.zeros(1) for name in names}, tmp_path / "sam_vit_b_01ec64.pth")
    with pytest.raises(
        BadCheckpoint, match=r"holds a Segment Anything \(SAM\) segmenter; .* reads these detectors: Grounding DINO"
    ):
        load_detector(tmp_path / "sam_vit_b_01ec64.pth")


def test_loose_transformers_weights_are_told_their_folder(tmp_path):
    save_file(tiny.tensors(), tmp_path / "grounding-dino-tiny.safetensors")
    with pytest.raises(BadCheckpoint, match=r"weights of a Grounding DINO in transformers' layout, .* config\.json"):
        load_detector(tmp_path / "grounding-dino-tiny.safetensors")


def test_extras_are_the_published_files_own():
    """Everything left out is in the manifest, or in neither network (the label table and the position index)."""
    names = {entry.name for entry in reference_kit.manifest("groundingdino")}
    unknown = grounding_dino_published.EXTRAS - names
    assert unknown == {"label_enc.weight", "bert.embeddings.position_ids"}
