"""Weights to a segmenter: hyper-parameters from shapes, strict keys, errors that say what the file is."""

import numpy as np
import pytest
import torch
from trilemma.models.errors import BadCheckpoint
from trilemma.models.files import catalog
from trilemma.models.segmentation.loading import SEGMENTERS, load_segmenter
from trilemma.models.segmentation.sam.architecture import SamConfig
from trilemma.tests.closeness import assert_close
from trilemma.tests.segmentation import tiny

pytestmark = pytest.mark.slow


def test_shapes_tell_the_hyper_parameters(segmenter):
    assert segmenter.config == SamConfig(
        image_size=64,
        patch_size=8,
        embed_dim=48,
        depth=3,
        num_heads=3,
        mlp_ratio=3.0,
        global_blocks=(1,),
        window_size=5,
        prompt_dim=32,
        mask_in_chans=8,
        decoder_depth=2,
        decoder_mlp_dim=24,
        decoder_num_heads=2,
        decoder_downsample=2,
        num_multimasks=3,
        iou_head_depth=2,
        iou_head_dim=40,
    )


@pytest.mark.parametrize("family", SEGMENTERS.families, ids=lambda family: family.name)
def test_only_the_encoder_takes_the_compute_dtype(family, images, tmp_path):
    counted = []

    def advice(params):
        counted.append(params)
        return torch.bfloat16

    path = family.tiny(tmp_path)
    halved, whole = load_segmenter(path, advice), load_segmenter(path)
    encoder, *rest = halved.modules
    assert counted == [sum(p.numel() for p in encoder.parameters())]
    assert {p.dtype for p in encoder.parameters()} == {torch.bfloat16}
    assert {p.dtype for part in rest for p in part.parameters()} == {torch.float32}
    assert halved.identity == whole.identity
    for found, expected in zip(halved.encode(images).features, whole.encode(images).features, strict=True):
        assert found.dtype == torch.float32
        assert_close(found, expected, relative=0.05)


def test_half_precision_file(network, images, tmp_path):
    from segment_anything import SamPredictor

    halved = tiny.build()
    path = tiny.save(halved.half(), tmp_path)
    loaded = load_segmenter(path)
    assert next(loaded.image_encoder.parameters()).dtype == torch.float32
    exact = SamPredictor(network)
    exact.set_image((images[0] * 255).byte().numpy())
    found = loaded.encode(images[:1]).features[0]
    assert (found - exact.features).abs().max() < 0.02 * exact.features.abs().max()


@pytest.mark.parametrize(
    ("names", "what"),
    [
        (["transformer.decoder.norm.weight", "feat_map.weight"], r"holds a Grounding DINO detector; .* the pack reads"),
        (["Mixed_5b.branch1x1.conv.weight"], r"holds an Inception-v3 network; .* the pack reads"),
        (["body.0.weight"], r"is no segmenter that the pack knows \(its first tensors are body\.0\.weight\)"),
    ],
)
def test_another_architecture(names, what, tmp_path):
    torch.save({name: torch.zeros(1) for name in names}, tmp_path / "other.pth")
    with pytest.raises(BadCheckpoint, match=rf"other\.pth {what}"):
        load_segmenter(tmp_path / "other.pth")


def test_a_tensor_that_the_shapes_are_read_from_is_missing(network, tmp_path):
    tensors = dict(network.state_dict())
    del tensors["image_encoder.pos_embed"]
    torch.save(tensors, tmp_path / "sam.pth")
    with pytest.raises(BadCheckpoint, match=r"sam\.pth, SAM: its tensor 'image_encoder\.pos_embed' is missing"):
        load_segmenter(tmp_path / "sam.pth")


def test_starter_answers_a_box():
    path = catalog.starter_folder("segmenter", "starter emoji segmenter")
    segmenter = load_segmenter(path)
    assert segmenter.config.image_size == 210
    picture = torch.from_numpy(np.full((1, 128, 128, 3), 200, dtype=np.uint8)) / 255
    assert segmenter.encode(picture).features[0].shape == (1, segmenter.config.prompt_dim, 35, 35)
