"""SAM from every layout that it is published in: the authors' `.pth` and `.pt`, and transformers' folders, beside
transformers' own network."""

import pytest
import torch
from safetensors.torch import load_file, save_file
from trilemma.models.errors import BadCheckpoint
from trilemma.models.random_weights import random_weights
from trilemma.models.segmentation import sam
from trilemma.models.segmentation.loading import load_segmenter
from trilemma.models.segmentation.prompts import Point, Prompt
from trilemma.models.segmentation.sam import names
from trilemma.models.segmentation.sam.architecture import build, read_config
from trilemma.models.weights import check_fit
from trilemma.tests.closeness import assert_close

pytestmark = pytest.mark.slow

BOXES = [{"x": 3, "y": 5, "width": 40, "height": 30}, {"x": 20, "y": 0, "width": 50, "height": 44}]
POINTS = (Point(30, 20, 1), Point(66.5, 40, 0))
SIDE = 128


def configuration():
    """A small one of transformers, in which no two numbers that must not be mixed up are equal."""
    from transformers import SamConfig

    return SamConfig(
        vision_config={
            "image_size": SIDE,
            "patch_size": 16,
            "hidden_size": 36,
            "num_hidden_layers": 3,
            "num_attention_heads": 3,
            "mlp_dim": 60,
            "mlp_ratio": 60 / 36,
            "global_attn_indexes": [1],
            "window_size": 3,
            "output_channels": 48,
            "num_pos_feats": 24,
        },
        prompt_encoder_config={"hidden_size": 48, "image_size": SIDE, "patch_size": 16, "mask_input_channels": 12},
        mask_decoder_config={
            "hidden_size": 48,
            "mlp_dim": 40,
            "num_attention_heads": 4,
            "iou_head_depth": 4,
            "iou_head_hidden_dim": 20,
            # The authors' networks have 1e-5, as PyTorch has: transformers' default is another.
            "layer_norm_eps": 1e-5,
        },
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("sam") / "sam-vit-small"


@pytest.fixture(scope="module")
def network(folder):
    """A random network of transformers, saved to the folder."""
    from transformers import SamModel

    network = SamModel(configuration()).eval()
    state = random_weights(network)
    for name in state:
        if name.endswith("positional_embedding"):
            state[name] = state["shared_image_embedding.positional_embedding"]
    network.load_state_dict(state)
    network.save_pretrained(folder)
    return network


@pytest.fixture(scope="module")
def segmenter(network, folder):
    return load_segmenter(folder)


@pytest.fixture(scope="module")
def images():
    coarse = torch.rand(2, 3, 5, 8, generator=torch.Generator().manual_seed(0))
    return torch.nn.functional.interpolate(coarse, (44, 70), mode="bilinear").permute(0, 2, 3, 1)


@torch.no_grad()
def test_embedding_is_transformers(network, segmenter, images):
    assert segmenter.architecture == "SAM"
    expected = network.get_image_embeddings(segmenter.preprocess(images))
    assert_close(segmenter.encode(images).features[0], expected)


@torch.no_grad()
@pytest.mark.parametrize("three", [False, True])
@pytest.mark.parametrize(("boxes", "points"), [(BOXES, ()), ([None], POINTS), ([None], POINTS[:1] * 20)])
def test_answers_are_transformers(network, segmenter, images, boxes, points, three):
    """Of many points too, whose projections are not folded into the image's."""
    scale = torch.tensor([SIDE / 70, round(44 * SIDE / 70) / 44])
    asked = {}
    if boxes[0]:
        corners = [[b["x"], b["y"], b["x"] + b["width"], b["y"] + b["height"]] for b in boxes]
        asked["input_boxes"] = torch.tensor([corners]).float() * scale.repeat(2)
    if points:
        asked["input_points"] = (torch.tensor([[p[:2] for p in points]]) * scale).expand(1, len(boxes), -1, -1)
        asked["input_labels"] = torch.tensor([[p.label for p in points]]).expand(1, len(boxes), -1)
    expected = network(pixel_values=segmenter.preprocess(images[1:]), multimask_output=three, **asked)
    embedding = segmenter.encode(images)
    logits, ious = segmenter.decode(embedding, 1, [Prompt(1, box, points) for box in boxes], three)
    assert_close(logits, expected.pred_masks[0], 2e-5)
    assert_close(ious, expected.iou_scores[0], 2e-5)


def test_all_published_names_are_known():
    """Those of facebook/sam-vit-base, as transformers writes them, become those of sam_vit_b_01ec64.pth."""
    from transformers import SamConfig, SamModel

    with torch.device("meta"):
        state = SamModel(SamConfig()).state_dict()
    found = names.of_transformers({name: value for name, value in state.items() if "shared_emb" not in name}, "x")
    config = read_config(found, {})
    assert config == sam.VIT_B
    check_fit({name: value.shape for name, value in build(config).state_dict().items()}, found, "sam-vit-base")


def test_the_weights_alone_are_the_same_model(segmenter, folder):
    """Their shapes tell all but the decoder's heads, which are 8 in published files."""
    assert load_segmenter(folder / "model.safetensors").identity == segmenter.identity


def test_positions_may_be_there_twice(segmenter, folder, tmp_path):
    state = load_file(folder / "model.safetensors")
    own = next(name for name in state if name.endswith("positional_embedding"))
    both = ("shared_image_embedding.positional_embedding", "prompt_encoder.shared_embedding.positional_embedding")
    save_file({**state, **{name: state[own].clone() for name in both}}, tmp_path / "twice.safetensors")
    assert load_segmenter(tmp_path / "twice.safetensors").identity == segmenter.identity
    save_file({**state, both[0]: state[own], both[1]: state[own] + 1}, tmp_path / "twice.safetensors")
    with pytest.raises(BadCheckpoint, match=r"twice\.safetensors, SAM: .*positional_embedding is not what"):
        load_segmenter(tmp_path / "twice.safetensors")


def test_a_pt_file_of_the_authors_layout(tmp_path):
    path = sam.tiny(tmp_path)
    torch.save(load_file(path), tmp_path / "sam.pt")
    assert load_segmenter(tmp_path / "sam.pt").identity == load_segmenter(path).identity
