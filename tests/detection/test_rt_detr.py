"""RT-DETR v2 and D-FINE against transformers, live, with random weights: processor, network and post-processing."""

import json

import pytest
import torch
from safetensors.torch import load_file, save_file
from trilemma.models.detection import rt_detr
from trilemma.models.detection.caption_folders import PREPROCESSOR
from trilemma.models.detection.loading import load_detector
from trilemma.models.detection.selection import select
from trilemma.models.detection.stretching import stretched
from trilemma.models.errors import BadCheckpoint, BadInput, CannotDo
from trilemma.tests import reference_kit
from trilemma.tests.closeness import assert_close

pytestmark = pytest.mark.slow

KINDS = (rt_detr.RT_DETR_V2, rt_detr.D_FINE)
SIDE = rt_detr.TINY_SIDE
NAMES = ("cat", "dog", "bird", "traffic light")


def made(kind, folder, **config):
    """transformers' network, and its folder; skipped where this release has no such class."""
    import transformers

    if not hasattr(transformers, kind.network):
        with pytest.raises(CannotDo, match=rf"{kind.network} is in transformers from {kind.since} on"):
            rt_detr.random_network(kind)
        pytest.skip(f"{kind.network} is not in transformers {transformers.__version__}; the error says where it is")
    network = rt_detr.random_network(kind, **config)
    network.save_pretrained(folder)
    (folder / PREPROCESSOR).write_text(json.dumps({"size": {"height": SIDE, "width": SIDE}}))
    return network


@pytest.fixture(scope="module", params=KINDS, ids=[kind.name for kind in KINDS])
def kind(request):
    return request.param


@pytest.fixture(scope="module")
def pair(kind, tmp_path_factory):
    folder = tmp_path_factory.mktemp("closed")
    return made(kind, folder), load_detector(folder)


def picture(height: int, width: int):
    return reference_kit.block_image(5, height, width)


def ours(image) -> torch.Tensor:
    return torch.from_numpy(image)[None] / 255


@torch.no_grad()
@pytest.mark.parametrize(("height", "width"), [(SIDE, SIDE), (100, 80), (30, 200)])
def test_answers_are_transformers(pair, height, width):
    """All of its rows, which are the best of queries by classes, so that a query may have several.

    Its processor's pixels are taken where it does not resample, with roundings to 8 bits, which move near ties; how
    near ours are tells `test_stretching`.
    """
    from transformers import RTDetrImageProcessor

    network, detector = pair
    processor = RTDetrImageProcessor(size={"height": SIDE, "width": SIDE})
    image = picture(height, width)
    asked = processor(images=image, return_tensors="pt", input_data_format="channels_last")
    if (height, width) != (SIDE, SIDE):
        asked["pixel_values"] = stretched(ours(image), detector.seen)
    output = network(pixel_values=asked["pixel_values"])
    (expected,) = processor.post_process_object_detection(output, threshold=0.0, target_sizes=[(height, width)])
    found = detector.detect(ours(image), ", ".join(NAMES), 1)
    assert_close(found.token_probs, output.logits.sigmoid())
    assert_close(found.boxes, output.pred_boxes)
    queries, classes = found.token_probs.shape[1:]
    scores, places = found.token_probs[0].flatten().topk(queries)
    assert_close(scores, expected["scores"])
    # Nearly equal scores may change places from processor to processor.
    apart = (scores[:-1] - scores[1:]) > 1e-4
    sure = torch.cat([apart, apart[-1:]]) & torch.cat([apart[:1], apart])
    assert bool(sure.any())
    assert torch.equal((places % classes)[sure], expected["labels"][sure])
    centre, extent = found.boxes[0, places // classes].split(2, dim=1)
    corners = torch.cat([centre - extent / 2, centre + extent / 2], dim=1) * torch.tensor([width, height] * 2)
    assert_close(corners, expected["boxes"])
    # One phrase alone: its rows, each query once.
    of_cat = expected["labels"] == 0
    kept = select(detector.detect(ours(image), "cat", 1), box_threshold=0, text_threshold=0, nms_threshold=1).boxes[0]
    assert_close(torch.tensor([box["score"] for box in kept[: int(of_cat.sum())]]), expected["scores"][of_cat])


def test_names_are_its_own(pair):
    _, detector = pair
    image = ours(picture(SIDE, SIDE))
    assert detector.class_names == NAMES
    expected = detector.detect(image, "traffic light . cat", 1)
    for prompt in ("a Traffic Light, the cats", "traffic lights, A CAT", "traffic_light, cat"):
        if "_" in prompt:
            with pytest.raises(BadInput, match="nearest: traffic light"):
                detector.detect(image, prompt, 1)
        else:
            found = detector.detect(image, prompt, 1)
            assert_close(found.token_probs, expected.token_probs)
            assert found.phrases == tuple(part.strip() for part in prompt.split(","))
            assert "none of" not in select(found).report


@pytest.mark.parametrize(
    ("phrase", "nearest"), [("a catt", "cat"), ("traffic sign", "traffic light"), ("red dog", "dog")]
)
def test_other_phrases_are_refused_with_the_nearest_names(pair, phrase, nearest):
    _, detector = pair
    message = (
        rf"prompt: '{phrase}' is none of the 4 names that this {detector.architecture} knows; nearest: {nearest}, "
    )
    with pytest.raises(BadInput, match=message):
        detector.detect(ours(picture(SIDE, SIDE)), f"cat . {phrase}", 1)


@torch.no_grad()
def test_layers_keep_heads_of_their_own_in_files_of_transformers_4(kind, tmp_path):
    """Those have the decoder's names alone, and a configuration that does not call them tied."""
    network = made(kind, tmp_path)
    state = load_file(tmp_path / "model.safetensors")
    both = load_detector(tmp_path)
    state = {name: value for name, value in state.items() if not name.startswith(("bbox_embed.", "class_embed."))}
    save_file(state, tmp_path / "model.safetensors")
    config = json.loads((tmp_path / "config.json").read_text())
    config.pop("tie_word_embeddings", None)
    (tmp_path / "config.json").write_text(json.dumps(config))
    detector = load_detector(tmp_path)
    assert detector.identity == both.identity
    image = ours(picture(SIDE, SIDE))
    expected = network(pixel_values=image.permute(0, 3, 1, 2))
    found = detector.detect(image, ", ".join(NAMES), 1)
    assert_close(found.boxes, expected.pred_boxes)
    assert_close(found.token_probs, expected.logits.sigmoid())
    state.pop("model.decoder.class_embed.1.weight")
    save_file(state, tmp_path / "model.safetensors")
    with pytest.raises(BadCheckpoint, match=r"class_embed\.1\.weight"):
        load_detector(tmp_path)


@torch.no_grad()
def test_classes_that_compete(kind, tmp_path):
    network = made(kind, tmp_path, use_focal_loss=False)
    image = ours(picture(SIDE, SIDE))
    found = load_detector(tmp_path).detect(image, "cat, bird", 1)
    logits = network(pixel_values=image.permute(0, 3, 1, 2)).logits
    assert_close(found.token_probs, logits.softmax(dim=-1)[..., [0, 2]])


def test_backbone_that_would_have_to_be_fetched(kind, tmp_path):
    made(kind, tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**config, "backbone_config": None, "backbone": "resnet50"}))
    with pytest.raises(BadCheckpoint, match="would have to be fetched"):
        load_detector(tmp_path)
