"""Layers that replace transformers' own: the same numbers, in less time and memory."""

import copy

import pytest
import torch
from torch.nn import functional
from trilemma.models.detection import deformable_attention, faster, grounding_dino, kept_features, mm_grounding_dino
from trilemma.models.detection.caption_folders import random_network, save
from trilemma.models.detection.loading import load_detector
from trilemma.tests.closeness import assert_close

pytestmark = pytest.mark.slow

SHAPES = [(7, 9), (4, 5), (2, 3), (1, 1)]
CELLS = sum(height * width for height, width in SHAPES)
KINDS = pytest.mark.parametrize("kind", [grounding_dino.KIND, mm_grounding_dino.KIND], ids=lambda kind: kind.name)


def sampled(value, shapes, locations, weights):
    """The definition, as Deformable DETR's reference implementation computes it."""
    batch, _, heads, channels = value.shape
    total = 0
    for level, cells in enumerate(value.split([height * width for height, width in shapes], dim=1)):
        maps = cells.flatten(2).transpose(1, 2).reshape(batch * heads, channels, *shapes[level])
        grid = (2 * locations[:, :, :, level] - 1).transpose(1, 2).flatten(0, 1)
        share = weights[:, :, :, level].transpose(1, 2).flatten(0, 1)[:, None]
        total = total + (functional.grid_sample(maps, grid, align_corners=False) * share).sum(-1)
    return total.view(batch, heads * channels, -1).transpose(1, 2)


@pytest.mark.parametrize("queries", [1, 30, 2 * deformable_attention.QUERIES + 1])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_samples_are_those_of_the_definition(queries, dtype):
    random = torch.Generator().manual_seed(1)
    value = torch.randn(2, CELLS, 4, 8, generator=random, dtype=dtype)
    # Also on the edges, between the outermost centres and the edges, outside, and far away.
    locations = torch.rand(2, queries, 4, 4, 3, 2, generator=random, dtype=dtype) * 1.6 - 0.3
    locations[0, 0, 0, 0] = torch.tensor([[0.0, 1.0], [1e6, 0.5], [-1e6, -1e6]])
    weights = torch.rand(2, queries, 4, 4, 3, generator=random, dtype=dtype)
    found = deformable_attention.attend(value, SHAPES, locations, weights)
    assert_close(found, sampled(value, SHAPES, locations, weights))


def test_broken_numbers_stay_broken_and_touch_nothing_else():
    value = torch.ones(1, CELLS, 2, 4)
    locations = torch.full((1, 2, 2, 4, 3, 2), 0.5)
    locations[0, 0] = torch.nan
    weights = torch.full((1, 2, 2, 4, 3), 1 / 12)
    weights[0, 0] = torch.nan
    found = deformable_attention.attend(value, SHAPES, locations, weights)
    assert found[0, 0].isnan().all()
    assert_close(found[0, 1], torch.ones(8))


def parts(network, ending):
    return [module for module in network.modules() if type(module).__name__.endswith(ending)]


@KINDS
def test_every_layer_is_replaced_and_keeps_its_names(kind):
    network = random_network(kind)
    names = list(network.state_dict())
    quick = copy.deepcopy(network)
    faster.replace_layers(quick)
    assert list(quick.state_dict()) == names
    assert [len(parts(network, ending)) for ending in faster.REPLACED] == [4, 2, 1]
    assert not any(parts(quick, ending) for ending in faster.REPLACED)


@KINDS
@pytest.mark.parametrize("coordinates", [2, 4])
@torch.no_grad()
def test_deformable_attention_is_transformers(kind, coordinates):
    original = parts(random_network(kind), "MultiscaleDeformableAttention")[0]
    cells, queries = torch.randn(2, CELLS, 32), torch.randn(2, 11, 32)
    mask = torch.rand(2, CELLS) > 0.2
    shapes = torch.tensor(SHAPES)
    given = {
        "attention_mask": mask,
        "encoder_hidden_states": cells,
        "position_embeddings": torch.randn(2, 11, 32),
        "reference_points": torch.rand(2, 11, 4, coordinates),
        "spatial_shapes": shapes,
        "spatial_shapes_list": SHAPES,
        "level_start_index": torch.tensor([0, 63, 83, 89]),
    }
    expected = original(queries, **given)[0]
    assert_close(deformable_attention.DeformableAttention(original)(queries, **given)[0], expected)


@KINDS
@pytest.mark.parametrize("tokens", [1, 5, 60])
@torch.no_grad()
def test_fusion_attention_is_transformers(kind, tokens):
    original = parts(random_network(kind), "BiMultiHeadAttention")[0]
    cells, words = torch.randn(2, 50, 32), torch.randn(2, tokens, 32)
    padding, silence = torch.rand(2, 50) > 0.8, torch.rand(2, tokens) > 0.8
    silence[:, 0] = False
    for masks in ({}, {"vision_attention_mask": padding, "text_attention_mask": silence}):
        expected = original(cells, words, **masks)
        found = faster.FusionAttention(original)(cells, words, **masks)
        for ours, theirs in zip(found, expected, strict=True):
            assert_close(ours[0], theirs[0])


@KINDS
def test_another_prompt_looks_at_no_picture_again(kind, tmp_path, monkeypatch):
    folder = save(random_network(kind), tmp_path)
    detector = load_detector(folder)
    looked = []
    (backbone,) = [module for module in detector.network.modules() if isinstance(module, kept_features.KeptFeatures)]
    backbone.conv_encoder.register_forward_pre_hook(lambda *_: looked.append(1))
    pictures = torch.rand(3, 128, 160, 3, generator=torch.Generator().manual_seed(2))
    detector.detect(pictures, "cat", 2)
    assert len(looked) == 2
    found = detector.detect(pictures, "a dog, cheese", 2)
    assert len(looked) == 2
    fresh = load_detector(folder).detect(pictures, "a dog, cheese", 2)
    assert_close(found.boxes, fresh.boxes)
    assert_close(found.token_probs, fresh.token_probs)
    detector.detect(pictures.flip(0), "cat", 2)
    assert len(looked) == 4
    # Less room than one batch takes: nothing is kept, and all is as before.
    monkeypatch.setattr(kept_features, "LIMIT", 1000)
    for _ in range(2):
        again = detector.detect(1 - pictures, "cat", 3)
    assert len(looked) == 6
    assert_close(again.boxes, load_detector(folder).detect(1 - pictures, "cat", 3).boxes)
