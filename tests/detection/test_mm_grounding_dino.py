"""MM-Grounding-DINO against transformers, live, with random weights: shared heads, and heads of each layer."""

import json
import re
from collections.abc import Iterator

import pytest
import torch
from safetensors.torch import load_file, save_file
from trilemma.models.detection import pretrained
from trilemma.models.detection.caption_folders import PREPROCESSOR, random_network, save
from trilemma.models.detection.loading import load_detector
from trilemma.models.detection.mm_grounding_dino import KIND
from trilemma.models.detection.selection import select
from trilemma.models.errors import BadCheckpoint, CannotDo
from trilemma.tests import reference_kit
from trilemma.tests.closeness import assert_close
from trilemma.tests.detection import berts

pytestmark = pytest.mark.slow

SHARED = {"decoder_bbox_embed_share": True, "decoder_cls_embed_share": True}
OWN = {"decoder_bbox_embed_share": False, "decoder_cls_embed_share": False}
HEADS = [SHARED, OWN, {**SHARED, "decoder_bbox_embed_share": False}, {**SHARED, "decoder_cls_embed_share": False}]
CAPTION = "a cat. remote control. dog."
HEIGHT, WIDTH = 128, 160
"""A size that is not resampled, so that both sides see the same pixels."""


@pytest.fixture(scope="module", params=HEADS, ids=lambda heads: "-".join(map(str, heads.values())))
def pair(request, tmp_path_factory) -> Iterator[tuple]:
    """transformers' network, and the detector that reads what it saves."""
    folder = tmp_path_factory.mktemp("mm")
    network = random_network(KIND, **request.param)
    (folder / PREPROCESSOR).write_text(json.dumps({"size": {"shortest_edge": HEIGHT, "longest_edge": 192}}))
    return network, load_detector(save(network, folder))


def picture() -> torch.Tensor:
    return torch.from_numpy(reference_kit.block_image(5, HEIGHT, WIDTH))[None] / 255


@torch.no_grad()
def test_answers_are_transformers(pair):
    network, detector = pair
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    asked = berts.tokenizer()(CAPTION, return_tensors="pt")
    pixels = ((picture() - mean) / std).permute(0, 3, 1, 2)
    expected = network(pixel_values=pixels, **asked)
    found = detector.detect(picture(), CAPTION, 1)
    assert_close(found.boxes, expected.pred_boxes)
    assert_close(found.token_probs, expected.logits.sigmoid()[..., : asked["input_ids"].shape[1]])


@torch.no_grad()
def test_boxes_are_those_of_transformers_own_processor(pair):
    from transformers import GroundingDinoImageProcessor, GroundingDinoProcessor

    network, detector = pair
    size = {"shortest_edge": HEIGHT, "longest_edge": 192}
    processor = GroundingDinoProcessor(GroundingDinoImageProcessor(size=size), berts.tokenizer())
    asked = processor(
        images=reference_kit.block_image(5, HEIGHT, WIDTH),
        text=CAPTION,
        return_tensors="pt",
        input_data_format="channels_last",
    )
    answer = network(**asked)
    (expected,) = processor.post_process_grounded_object_detection(
        answer, asked["input_ids"], threshold=0.0, text_threshold=0.0, target_sizes=[(HEIGHT, WIDTH)]
    )
    found = detector.detect(picture(), CAPTION, 1)
    # Before thresholds, its score is the likeliest token's, of full stops and the start too; ours is a phrase's.
    scores = found.token_probs[0].amax(dim=1)
    centre, extent = found.boxes[0].split(2, dim=1)
    corners = torch.cat([centre - extent / 2, centre + extent / 2], dim=1) * torch.tensor([WIDTH, HEIGHT] * 2)
    assert_close(scores, expected["scores"])
    assert_close(corners, expected["boxes"])
    boxes = select(found, box_threshold=0, text_threshold=0, nms_threshold=1).boxes[0]
    assert {box["label"] for box in boxes} <= {"a cat", "remote control", "dog"}


@torch.no_grad()
@pytest.mark.parametrize("owner", ["", "model.decoder."])
def test_own_heads_are_read_where_the_configuration_calls_them_shared(tmp_path, owner):
    """As transformers 4 saves them: it has heads for each layer, whatever the configuration says."""
    network = random_network(KIND, **OWN)
    folder = save(network, tmp_path)
    state = load_file(folder / "model.safetensors")
    for name in [name for name in state if re.match(r"(model\.decoder\.)?(bbox|class)_embed\.1\.", name)]:
        state[owner + name.removeprefix("model.decoder.")] = state.pop(name)
    save_file(state, folder / "model.safetensors")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, **SHARED}))
    (folder / PREPROCESSOR).write_text(json.dumps({"size": {"shortest_edge": HEIGHT, "longest_edge": 192}}))
    found = load_detector(folder).detect(picture(), CAPTION, 1)
    (folder / "config.json").write_text(json.dumps(config))
    expected = load_detector(folder).detect(picture(), CAPTION, 1)
    assert_close(found.boxes, expected.boxes)
    assert_close(found.token_probs, expected.token_probs)


@pytest.mark.parametrize("part", ["bbox_embed.1.layers.2.bias", "class_embed.1.bias"])
@pytest.mark.parametrize("owner", ["", "model.decoder."])
def test_a_layers_own_heads_are_read(tmp_path, part, owner):
    """Under either name: transformers 4 saves the decoder's, transformers 5 the other."""
    network = random_network(KIND, **OWN)
    folder = save(network, tmp_path)
    saved = load_file(folder / "model.safetensors")
    (name,) = {part, f"model.decoder.{part}"} & saved.keys()
    identity = load_detector(folder).identity
    value = saved.pop(name)
    save_file({**saved, owner + part: value}, folder / "model.safetensors")
    renamed = load_detector(folder)
    assert renamed.identity == identity
    for own, expected in zip(renamed.modules[0].state_dict().values(), network.state_dict().values(), strict=True):
        assert torch.equal(own, expected)
    save_file({**saved, owner + part: value + 1}, folder / "model.safetensors")
    assert load_detector(folder).identity != identity
    save_file(saved, folder / "model.safetensors")
    with pytest.raises(BadCheckpoint, match=part):
        load_detector(folder)


def test_shared_heads_may_stand_once_or_for_each_layer(tmp_path):
    folder = save(random_network(KIND), tmp_path)
    state = load_file(folder / "model.safetensors")
    state = {name: tensor for name, tensor in state.items() if not re.match(r".*(bbox|class)_embed\.1\.", name)}
    heads = {name: tensor for name, tensor in state.items() if re.match(r"(bbox|class)_embed\.0\.", name)}
    save_file(state, folder / "model.safetensors")
    once = load_detector(folder)
    for name, tensor in heads.items():
        for copy in (name.replace(".0.", ".1.", 1), f"model.decoder.{name}"):
            state[copy] = tensor.clone()
    save_file(state, folder / "model.safetensors")
    repeated = load_detector(folder)
    assert once.identity == repeated.identity
    for first, second in zip(
        once.modules[0].state_dict().values(), repeated.modules[0].state_dict().values(), strict=True
    ):
        assert torch.equal(first, second)


def test_an_older_transformers_is_told_what_it_lacks():
    with pytest.raises(CannotDo, match=r"is in transformers from 9\.9 on, and here is \d+\.\d+.*; update"):
        pretrained.network_class("NextGroundingDinoForObjectDetection", "9.9")
