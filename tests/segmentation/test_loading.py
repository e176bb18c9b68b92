"""Weights to a segmenter: hyper-parameters from shapes, strict keys, errors that say what the file is."""

import numpy as np
import pytest
import torch
from segment_anything import SamPredictor
from trilemma.models.errors import BadCheckpoint
from trilemma.models.files import catalog
from trilemma.models.segmentation.loading import load_segmenter
from trilemma.models.segmentation.sam.architecture import SamConfig
from trilemma.tests.closeness import assert_close
from trilemma.tests.segmentation import tiny


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


def test_every_tensor_arrives(network, segmenter):
    loaded = {
        f"{part}.{name}": tensor
        for part in ("image_encoder", "prompt_encoder", "mask_decoder")
        for name, tensor in getattr(segmenter, part).state_dict().items()
    }
    assert loaded.keys() == network.state_dict().keys()
    for name, tensor in network.state_dict().items():
        assert torch.equal(loaded[name], tensor), name


def test_folder_and_pth_give_the_same(network, segmenter, images, tmp_path):
    tiny.save(network, tmp_path)
    torch.save({"model": network.state_dict()}, tmp_path / "sam.pth")
    from_folder = load_segmenter(tmp_path).encode(images)
    from_pth = load_segmenter(tmp_path / "sam.pth").encode(images)
    expected = segmenter.encode(images)
    for found in (from_folder, from_pth):
        assert_close(found.features[0], expected.features[0])
        assert found.identity == expected.identity


def test_half_precision_file(network, images, tmp_path):
    halved = tiny.build()
    path = tiny.save(halved.half(), tmp_path)
    loaded = load_segmenter(path)
    assert next(loaded.image_encoder.parameters()).dtype == torch.float32
    exact = SamPredictor(network)
    exact.set_image((images[0] * 255).byte().numpy())
    found = loaded.encode(images[:1]).features[0]
    assert (found - exact.features).abs().max() < 0.02 * exact.features.abs().max()


def test_only_the_encoder_takes_the_compute_dtype(network, images, tmp_path):
    counted = []

    def advice(params):
        counted.append(params)
        return torch.bfloat16

    loaded = load_segmenter(tiny.save(network, tmp_path), advice)
    assert counted == [sum(p.numel() for p in network.image_encoder.parameters())]
    assert {p.dtype for p in loaded.image_encoder.parameters()} == {torch.bfloat16}
    assert {p.dtype for p in loaded.mask_decoder.parameters()} == {torch.float32}
    assert loaded.encode(images).features[0].dtype == torch.float32


def test_identity_tells_weights_apart(segmenter, tmp_path):
    other = load_segmenter(tiny.save(tiny.build(seed=1), tmp_path))
    assert other.identity != segmenter.identity


def test_truncated_file(network, tmp_path):
    path = tiny.save(network, tmp_path)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(BadCheckpoint, match=r"model\.safetensors: not a whole safetensors file"):
        load_segmenter(path)


@pytest.mark.parametrize(
    ("names", "what"),
    [
        (["transformer.decoder.norm.weight", "feat_map.weight"], "holds a Grounding DINO detector; the pack reads"),
        (["Mixed_5b.branch1x1.conv.weight"], "holds an Inception-v3 network; the pack reads"),
        (["body.0.weight"], r"is no segmenter that the pack knows \(its first tensors are body\.0\.weight\)"),
    ],
)
def test_another_architecture(names, what, tmp_path):
    torch.save({name: torch.zeros(1) for name in names}, tmp_path / "other.pth")
    with pytest.raises(BadCheckpoint, match=rf"other\.pth {what}"):
        load_segmenter(tmp_path / "other.pth")


def damaged(tensors, kind):
    tensors = dict(tensors)
    last = "mask_decoder.iou_prediction_head.layers.1.bias"
    if kind == "missing":
        del tensors[last]
    elif kind == "unexpected":
        tensors["mask_decoder.hf_token.weight"] = torch.zeros(1, 32)
    else:
        tensors[last] = torch.zeros(7)
    return tensors


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("missing", r"1 missing \(mask_decoder\.iou_prediction_head\.layers\.1\.bias\)"),
        ("unexpected", r"1 unexpected \(mask_decoder\.hf_token\.weight\)"),
        ("of another shape", r"1 of another shape \(.*layers\.1\.bias \(7,\) instead of \(4,\)\)"),
    ],
)
def test_tensors_that_do_not_fit(network, kind, message, tmp_path):
    torch.save(damaged(network.state_dict(), kind), tmp_path / "sam.pth")
    with pytest.raises(BadCheckpoint, match=message):
        load_segmenter(tmp_path / "sam.pth")


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
