"""OmDet-Turbo against transformers, live, with random weights: its own processor, network and post-processing."""

import importlib.util
import json
import socket

import pytest
import torch
from trilemma.models.detection import omdet_turbo
from trilemma.models.detection.caption_folders import PREPROCESSOR
from trilemma.models.detection.loading import load_detector
from trilemma.models.detection.selection import select
from trilemma.models.diffusion.single_file import TOKENIZER
from trilemma.models.errors import BadInput, CannotDo
from trilemma.tests import reference_kit
from trilemma.tests.closeness import assert_close

pytestmark = pytest.mark.slow

PHRASES = ["a cat", "remote control", "dog"]
SIDE = omdet_turbo.TINY["image_size"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """As published: CLIP's vocabulary, and statistics of 8 bits."""
    made = tmp_path_factory.mktemp("omdet")
    omdet_turbo.random_network(49408).save_pretrained(made)
    for name in ("vocab.json", "merges.txt"):
        (made / name).write_bytes((TOKENIZER / name).read_bytes())
    end = "<|endoftext|>"
    names = {"bos_token": "<|startoftext|>", "eos_token": end, "pad_token": end, "unk_token": end}
    told = {"tokenizer_class": "CLIPTokenizer", "model_max_length": 77, **names}
    (made / "tokenizer_config.json").write_text(json.dumps(told))
    seen = {"do_rescale": False, "image_mean": [123.675, 116.28, 103.53], "image_std": [58.395, 57.12, 57.375]}
    (made / PREPROCESSOR).write_text(json.dumps({"size": {"height": SIDE, "width": SIDE}, **seen}))
    return made


@pytest.fixture(scope="module")
def detector(folder):
    return load_detector(folder)


@pytest.fixture(scope="module")
def theirs(folder):
    from transformers import CLIPTokenizerFast, DetrImageProcessor, OmDetTurboForObjectDetection, OmDetTurboProcessor

    told = {**json.loads((folder / PREPROCESSOR).read_text()), "do_pad": False}
    processor = OmDetTurboProcessor(DetrImageProcessor(**told), CLIPTokenizerFast.from_pretrained(folder))
    return processor, OmDetTurboForObjectDetection.from_pretrained(folder).train(False)


def block(height: int, width: int):
    return reference_kit.block_image(5, height, width)


def ours(image) -> torch.Tensor:
    return torch.from_numpy(image)[None] / 255


@torch.no_grad()
def test_answers_are_transformers(detector, theirs):
    processor, network = theirs
    image = block(SIDE, SIDE)
    asked = processor(images=image, text=PHRASES, return_tensors="pt", input_data_format="channels_last")
    output = network(**asked)
    found = detector.detect(ours(image), " . ".join(PHRASES), 1)
    scores = output.decoder_class_logits.sigmoid()[..., : len(PHRASES)]
    print("boxes", (found.boxes - output.decoder_coord_logits).abs().max().item(), "of the picture")
    assert_close(found.boxes, output.decoder_coord_logits)
    assert_close(found.token_probs, scores)
    # Its rows are the best of queries by classes, at threshold 0 and without suppression.
    (expected,) = processor.post_process_grounded_object_detection(
        output, target_sizes=[(SIDE, SIDE)], threshold=0.0, nms_threshold=1.0
    )
    queries, classes = found.token_probs.shape[1:]
    best, places = found.token_probs[0].flatten().topk(queries)
    order = expected["scores"].argsort(descending=True)
    assert_close(best, expected["scores"][order])
    centre, extent = found.boxes[0, places // classes].split(2, dim=1)
    corners = (torch.cat([centre - extent / 2, centre + extent / 2], dim=1) * SIDE).clamp(0, SIDE)
    assert_close(corners, expected["boxes"][order], 1e-4)


@torch.no_grad()
def test_one_phrase_alone_gives_its_post_processed_rows(detector, theirs):
    processor, network = theirs
    image = block(SIDE, SIDE)
    asked = processor(images=image, text=["a cat"], return_tensors="pt", input_data_format="channels_last")
    (expected,) = processor.post_process_grounded_object_detection(
        network(**asked), target_sizes=[(SIDE, SIDE)], threshold=0.4, nms_threshold=0.5
    )
    raw = detector.detect(ours(image), "a cat", 1)
    kept = select(raw, box_threshold=0.4, text_threshold=0.4, nms_threshold=0.5).boxes[0]
    order = expected["scores"].argsort(descending=True)
    assert len(kept) > 0
    assert_close(torch.tensor([box["score"] for box in kept]), expected["scores"][order])
    mine = torch.tensor([[box["x"], box["y"], box["x"] + box["width"], box["y"] + box["height"]] for box in kept])
    assert_close(mine, expected["boxes"][order], 1e-4)


@torch.no_grad()
def test_long_tasks_are_cut_off_as_transformers_does(detector, theirs):
    processor, network = theirs
    image, phrases = block(SIDE, SIDE), [f"thing number {n}" for n in range(40)]
    asked = processor(images=image, text=phrases, return_tensors="pt", input_data_format="channels_last")
    output = network(**asked)
    found = detector.detect(ours(image), ", ".join(phrases), 1)
    assert_close(found.token_probs, output.decoder_class_logits.sigmoid())


def test_the_network_keeps_nothing_of_a_run(detector):
    detector.detect(ours(block(SIDE, SIDE)), ", ".join(f"thing {n}" for n in range(120)), 1)
    for cache in (detector.network.language_cache_class, detector.network.language_cache_prompt):
        assert not cache.cache


def test_phrase_longer_than_it_reads(detector):
    with pytest.raises(BadInput, match=r"is 83 tokens .* OmDet-Turbo reads at most 77"):
        detector.detect(ours(block(SIDE, SIDE)), "very " * 80 + "dog", 1)


def test_a_backbone_of_timm_needs_timm(folder, tmp_path, monkeypatch):
    """As omlab/omdet-turbo-swin-tiny-hf has it."""
    for file in folder.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    config = json.loads((folder / "config.json").read_text())
    named = {"backbone": "swin_tiny_patch4_window7_224", "backbone_config": None, "use_timm_backbone": True}
    (tmp_path / "config.json").write_text(json.dumps({**config, **named}))
    found = importlib.util.find_spec
    monkeypatch.setattr(omdet_turbo, "find_spec", lambda name: None if name == "timm" else found(name))
    with pytest.raises(CannotDo, match=r"its backbone \(swin_tiny_patch4_window7_224\) is one of the package timm"):
        load_detector(tmp_path)


@torch.no_grad()
def test_the_published_backbone_is_built_without_a_network(tmp_path, monkeypatch):
    """Where timm is installed: the configuration of omlab/omdet-turbo-swin-tiny-hf, in smaller."""
    pytest.importorskip("timm")
    from transformers import OmDetTurboConfig, OmDetTurboForObjectDetection

    def refuse(*_):
        raise AssertionError("a detector must load without a network")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    own = ("backbone", "backbone_config", "use_timm_backbone", "apply_layernorm_after_vision_backbone")
    small = {name: value for name, value in omdet_turbo.TINY.items() if name not in own}
    text = {**small["text_config"], "vocab_size": 49408}
    config = {**small, "text_config": text, "encoder_in_channels": [192, 384, 768], "image_size": 224}
    network = OmDetTurboForObjectDetection(OmDetTurboConfig.from_dict(json.loads(json.dumps(config)))).train(False)
    network.save_pretrained(tmp_path)
    named = {"backbone": "swin_tiny_patch4_window7_224", "backbone_config": None, "use_timm_backbone": True}
    kwargs = {"always_partition": True, "img_size": 224, "out_indices": [1, 2, 3]}
    told = {**config, **named, "model_type": "omdet-turbo", "backbone_kwargs": kwargs, "use_pretrained_backbone": True}
    (tmp_path / "config.json").write_text(json.dumps(told))
    (tmp_path / PREPROCESSOR).write_text(json.dumps({"size": {"height": 224, "width": 224}}))
    detector = load_detector(tmp_path)
    found = detector.detect(ours(block(224, 224)), "cat", 1)
    look, pixels = detector.ask(["cat"]), detector.pixels(ours(block(224, 224)))
    detector.network = network
    boxes, scores = look(pixels)
    assert_close(found.boxes, boxes)
    assert_close(found.token_probs, scores)
