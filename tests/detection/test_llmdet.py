"""LLMDet's folders, of both layouts, against transformers' MM-Grounding-DINO, live, with random weights.

What its authors changed in transformers' Grounding DINO (LLMDet, hf_model/modeling_grounding_dino.py) is what
MM-Grounding-DINO has: scores divided by the root of the number of channels, a bias, and copies of heads.
"""

import json

import pytest
import torch
from safetensors.torch import load_file, save_file
from trilemma.models.detection import llmdet
from trilemma.models.detection.caption_folders import PREPROCESSOR, TINY, random_network, save
from trilemma.models.detection.loading import DETECTORS, load_detector
from trilemma.models.detection.preprocessing import strides
from trilemma.models.errors import BadCheckpoint, CannotDo
from trilemma.models.files.folders import read_model
from trilemma.tests import reference_kit
from trilemma.tests.closeness import assert_close
from trilemma.tests.detection import berts, tiny
from trilemma.tests.peak_memory import peak_bytes

pytestmark = pytest.mark.slow

OWN = {"decoder_bbox_embed_share": False, "decoder_cls_embed_share": False}
CAPTION = "a cat. remote control. dog."
HEIGHT, WIDTH = 128, 160
MEAN, STD = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])


@pytest.fixture(autouse=True)
def where_it_exists(tmp_path):
    import transformers

    if not hasattr(transformers, llmdet.KIND.network):
        folder = tiny.write_folder(tmp_path / "old")
        save_file({**tiny.tensors(), "class_embed.0.bias": torch.zeros(1)}, folder / "model.safetensors")
        with pytest.raises(CannotDo, match=r"MMGroundingDinoForObjectDetection is in transformers from 4\.55 on"):
            load_detector(folder)
        pytest.skip(f"not in transformers {transformers.__version__}; the error says where it is")


def picture() -> torch.Tensor:
    return torch.from_numpy(reference_kit.block_image(5, HEIGHT, WIDTH))[None] / 255


@torch.no_grad()
def expected(network, picture):
    asked = berts.tokenizer()(CAPTION, return_tensors="pt")
    answer = network(pixel_values=((picture - MEAN) / STD).permute(0, 3, 1, 2), **asked)
    return answer.pred_boxes, answer.logits.sigmoid()[..., : asked["input_ids"].shape[1]]


def assert_same(detector, network):
    found = detector.detect(picture(), CAPTION, 1)
    boxes, probabilities = expected(network, picture())
    print("boxes", (found.boxes - boxes).abs().max().item(), "of the picture")
    assert_close(found.boxes, boxes)
    assert_close(found.token_probs, probabilities)


def test_answers_are_transformers(tmp_path):
    folder = llmdet.write_tiny_folder(tmp_path)
    assert read_model(folder).tensors["class_embed.1.bias"].shape == (1,)
    (folder / PREPROCESSOR).write_text(json.dumps({"size": {"shortest_edge": HEIGHT, "longest_edge": 192}}))
    detector = load_detector(folder)
    assert detector.architecture == "LLMDet"
    assert_same(detector, random_network(llmdet.KIND, **OWN))


def test_folders_for_transformers_4_55_are_mm_grounding_dinos(tmp_path):
    """As iSEE-Laboratory/llmdet_tiny: nothing of them is shared, and their indices are saved."""
    network = random_network(llmdet.KIND, **OWN, two_stage=True, tie_word_embeddings=False)
    folder = save(network, tmp_path)
    state = load_file(folder / "model.safetensors")
    tables = [name for name in state if name.endswith("relative_position_bias_table")]
    indices = {name.replace("bias_table", "index"): torch.zeros(16, 16, dtype=torch.long) for name in tables}
    save_file({**state, **indices}, folder / "model.safetensors")
    (folder / PREPROCESSOR).write_text(json.dumps({"size": {"shortest_edge": HEIGHT, "longest_edge": 192}}))
    assert_same(load_detector(folder), network)


def test_its_large_network_has_a_fifth_level_at_a_stride_of_four(tmp_path):
    backbone = {**TINY["backbone_config"], "out_indices": [1, 2, 3, 4]}
    network = random_network(llmdet.KIND, **OWN, backbone_config=backbone, num_feature_levels=5)
    assert strides(network.config) == (4, 8, 16, 32, 64)
    folder = save(network, tmp_path)
    (folder / PREPROCESSOR).write_text(json.dumps({"size": {"shortest_edge": HEIGHT, "longest_edge": 192}}))
    detector = load_detector(folder)
    assert_same(detector, network)
    peak = peak_bytes(lambda: detector.detect(picture(), CAPTION, 1))
    assert 0.7 < detector.memory_bytes(1, HEIGHT, WIDTH) / peak < 1.5


def test_grounding_dinos_are_told_from_it(tmp_path):
    plain = read_model(tiny.write_folder(tmp_path / "plain"))
    ours = read_model(llmdet.write_tiny_folder(tmp_path / "llmdet"))
    names = [[family.name for family in DETECTORS.families if family.detect(each)] for each in (plain, ours)]
    assert names == [["Grounding DINO in transformers' layout"], ["LLMDet in its authors' layout"]]


def test_a_head_that_is_missing_is_named(tmp_path):
    folder = llmdet.write_tiny_folder(tmp_path)
    state = load_file(folder / "model.safetensors")
    (lost,) = [name for name in state if name.endswith("bbox_embed.1.layers.2.bias")]
    del state[lost]
    save_file(state, folder / "model.safetensors")
    with pytest.raises(BadCheckpoint, match=r"bbox_embed\.1\.layers\.2\.bias"):
        load_detector(folder)
