"""SAM 2 in small: transformers' own folders beside transformers' own network, and files that do not fit."""

import json

import pytest
import torch
from safetensors.torch import load_file, save_file
from trilemma.models.errors import BadCheckpoint
from trilemma.models.random_weights import random_weights
from trilemma.models.segmentation import sam2
from trilemma.models.segmentation.loading import load_segmenter
from trilemma.models.segmentation.prompts import Point, Prompt
from trilemma.models.segmentation.sam2 import names
from trilemma.models.segmentation.sam2.architecture import PUBLISHED, build, from_config
from trilemma.tests.closeness import assert_close

pytestmark = pytest.mark.slow

BOXES = [{"x": 3, "y": 5, "width": 40, "height": 30}, {"x": 20, "y": 0, "width": 50, "height": 44}]
POINTS = (Point(30, 20, 1), Point(66.5, 40, 0))


def told(**changes):
    """A small configuration of transformers in which no two numbers that must not be mixed up are equal; `changes` of
    the mask decoder."""
    side = 192
    return {
        "vision_config": {
            "backbone_config": {
                "model_type": "sam2_hiera_det_model",
                "image_size": [side, side],
                "hidden_size": 8,
                "num_attention_heads": 1,
                "embed_dim_per_stage": [8, 16, 32, 64],
                "blocks_per_stage": [2, 1, 3, 2],
                "num_attention_heads_per_stage": [1, 2, 4, 8],
                "window_size_per_stage": [8, 4, 10, 6],
                "global_attention_blocks": [4, 5, 7],
                "window_positional_embedding_background_size": [5, 5],
                "mlp_ratio": 3.0,
            },
            "model_type": "sam2_vision_model",
            "backbone_channel_list": [64, 32, 16, 8],
            "backbone_feature_sizes": [[side // 4] * 2, [side // 8] * 2, [side // 16] * 2],
            "fpn_hidden_size": 48,
        },
        "prompt_encoder_config": {"hidden_size": 48, "image_size": side, "mask_input_channels": 12},
        "mask_decoder_config": {
            "hidden_size": 48,
            "mlp_dim": 36,
            "num_attention_heads": 3,
            "iou_head_depth": 4,
            "iou_head_hidden_dim": 20,
            **changes,
        },
    }


def pair(folder, **changes):
    """A random network of transformers, saved to a folder, and what the pack reads there."""
    from transformers import Sam2Config, Sam2Model

    network = Sam2Model(Sam2Config(**told(**changes))).eval()
    state = random_weights(network)
    state[names.POSITIONS_AGAIN] = state[names.POSITIONS]
    network.load_state_dict(state)
    network.save_pretrained(folder)
    return network, load_segmenter(folder)


@pytest.fixture(scope="module")
def images():
    coarse = torch.rand(2, 3, 5, 8, generator=torch.Generator().manual_seed(0))
    return torch.nn.functional.interpolate(coarse, (44, 70), mode="bilinear").permute(0, 2, 3, 1)


# With 0 the one mask is always stable, with 1.1 never.
@pytest.fixture(
    scope="module",
    params=[
        {"dynamic_multimask_stability_thresh": 0.0},
        {"dynamic_multimask_stability_thresh": 1.1},
        {"dynamic_multimask_via_stability": False},
    ],
    ids=["stable", "unstable", "static"],
)
def models(request, tmp_path_factory):
    return pair(tmp_path_factory.mktemp("sam2") / "model", **request.param)


@torch.no_grad()
def test_embedding_is_transformers(models, images):
    network, segmenter = models
    found = segmenter.encode(images)
    large, middle, small = network.get_image_embeddings(segmenter.preprocess(images))
    for ours, theirs in zip(found.features, (small, large, middle), strict=True):
        assert_close(ours, theirs)


@torch.no_grad()
@pytest.mark.parametrize("three", [False, True])
@pytest.mark.parametrize(("boxes", "points"), [(BOXES, ()), ([None], POINTS[:1]), ([None], POINTS), (BOXES, POINTS)])
def test_answers_are_transformers(models, images, boxes, points, three):
    network, segmenter = models
    embedding = segmenter.encode(images)
    scale = torch.tensor([192 / 70, 192 / 44])
    asked = {}
    if boxes[0]:
        corners = [[b["x"], b["y"], b["x"] + b["width"], b["y"] + b["height"]] for b in boxes]
        asked["input_boxes"] = torch.tensor([corners]).float() * scale.repeat(2)
    if points:
        asked["input_points"] = (torch.tensor([[p[:2] for p in points]]) * scale).expand(1, len(boxes), -1, -1)
        asked["input_labels"] = torch.tensor([[p.label for p in points]]).expand(1, len(boxes), -1)
    pixels = segmenter.preprocess(images[1:])
    expected = network(pixel_values=pixels, multimask_output=three, **asked)
    logits, ious = segmenter.decode(embedding, 1, [Prompt(1, box, points) for box in boxes], three)
    assert_close(logits, expected.pred_masks[0])
    assert_close(ious, expected.iou_scores[0])


@torch.no_grad()
def test_a_previous_mask_is_transformers(models, images):
    network, segmenter = models
    embedding = segmenter.encode(images)
    prompts = [Prompt(0, None, POINTS)]
    previous, _ = segmenter.decode(embedding, 0, prompts, three=False)
    points = torch.tensor([[p[:2] for p in POINTS]])[None] * torch.tensor([192 / 70, 192 / 44])
    expected = network(
        pixel_values=segmenter.preprocess(images[:1]),
        input_points=points,
        input_labels=torch.tensor([[[p.label for p in POINTS]]]),
        input_masks=previous,
        multimask_output=True,
    )
    logits, _ = segmenter.decode(embedding, 0, prompts, three=True, previous=previous)
    assert_close(logits, expected.pred_masks[0])


def test_names_for_videos_are_transformers():
    from transformers import Sam2Config, Sam2Model, Sam2VideoConfig, Sam2VideoModel

    with torch.device("meta"):
        video, image = Sam2VideoModel(Sam2VideoConfig()), Sam2Model(Sam2Config())
    assert video.state_dict().keys() - image.state_dict().keys() == names.TRANSFORMERS_VIDEO
    assert image.state_dict().keys() <= video.state_dict().keys()


@pytest.mark.parametrize("made", ["Sam2Config", "Sam2VideoConfig"])
def test_the_default_configuration_is_the_published_tiny(made):
    import transformers

    assert from_config(getattr(transformers, made)().to_dict(), "config") == PUBLISHED["tiny"]


def test_a_folder_for_videos_is_the_same_model(tmp_path):
    path = sam2.tiny(tmp_path)
    expected = load_segmenter(path).identity
    tensors = load_file(path / "model.safetensors")
    video = {name: torch.ones(1) for name in names.TRANSFORMERS_VIDEO}
    again = {names.POSITIONS_AGAIN: tensors[names.POSITIONS].clone()}
    save_file({**tensors, **video, **again}, path / "model.safetensors")
    config = json.loads((path / "config.json").read_text())
    (path / "config.json").write_text(json.dumps({**config, "model_type": "sam2_video"}))
    assert load_segmenter(path).identity == expected
    save_file({**tensors, names.POSITIONS_AGAIN: tensors[names.POSITIONS] + 1}, path / "model.safetensors")
    with pytest.raises(BadCheckpoint, match=r"shared_embedding\.positional_embedding is not shared_image_embedding"):
        load_segmenter(path)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda config: config.pop("vision_config"), r"config\.json has no 'vision_config'"),
        (lambda config: config["mask_decoder_config"].pop("mlp_dim"), r"config\.json has no 'mlp_dim'"),
        (
            lambda config: config["vision_config"]["backbone_config"].update(patch_stride=[8, 8]),
            r"config\.json says patch_stride \(8, 8\), the pack reads networks with \(4, 4\)",
        ),
        (lambda config: config["vision_config"]["backbone_config"].update(mlp_ratio=2.0), r"of another shape \("),
    ],
)
def test_a_configuration_that_does_not_fit(change, said, tmp_path):
    path = sam2.tiny(tmp_path)
    config = json.loads((path / "config.json").read_text())
    change(config)
    (path / "config.json").write_text(json.dumps(config))
    with pytest.raises(BadCheckpoint, match=f"model: tiny, SAM 2: .*{said}"):
        load_segmenter(path)


def test_weights_without_their_configuration(tmp_path):
    path = sam2.tiny(tmp_path)
    with pytest.raises(BadCheckpoint, match=r"model\.safetensors, SAM 2: .* choose the folder with both"):
        load_segmenter(path / "model.safetensors")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda state: None, r"widths \(8, 16, 32, 64\) and depths \(1, 2, 2, 1\), which is none of the published"),
        (lambda state: state.pop("image_encoder.trunk.blocks.1.norm2.weight"), r"blocks\.1\.norm2\.weight' is missing"),
    ],
)
def test_a_file_of_metas_layout_that_tells_too_little(change, said, tmp_path):
    state = {names.in_meta_layout(name): value for name, value in random_weights(build(sam2.TINY)).items()}
    change(state)
    torch.save({"model": state}, tmp_path / "own.pt")
    with pytest.raises(BadCheckpoint, match=f"own.pt, SAM 2: .*{said}"):
        load_segmenter(tmp_path / "own.pt")
