"""Memory estimates against the measured peak of activations, at three sizes each."""

import pytest
import torch
from trilemma.models.segmentation import decoding
from trilemma.models.segmentation.base import Embedding
from trilemma.models.segmentation.prompts import Prompt
from trilemma.models.segmentation.sam.architecture import SamConfig, build
from trilemma.models.segmentation.sam.segmenter import SamSegmenter
from trilemma.tests.peak_memory import peak_bytes

LOW, HIGH = 0.7, 1.5
SMALL = SamConfig(
    image_size=128,
    patch_size=8,
    embed_dim=96,
    depth=5,
    num_heads=4,
    mlp_ratio=3.0,
    global_blocks=(1, 4),
    window_size=8,
    prompt_dim=64,
    mask_in_chans=8,
    decoder_depth=2,
    decoder_mlp_dim=128,
    decoder_num_heads=4,
    decoder_downsample=2,
    num_multimasks=3,
    iou_head_depth=3,
    iou_head_dim=64,
)
"""The starter's configuration."""


def segmenter_of(**changes):
    config = SamConfig(**{**vars(SMALL), **changes})
    network = build(config).to_empty(device="cpu").eval().requires_grad_(False)
    for tensor in network.state_dict().values():
        tensor.normal_(std=0.05)
    return SamSegmenter(*network.values(), config, "random")


@pytest.mark.parametrize(
    ("changes", "batch_size"),
    [
        ({}, 3),
        ({"image_size": 256}, 2),
        # ViT-B's widths at half its input, in one windowed and one global block.
        (
            {"image_size": 512, "patch_size": 16, "embed_dim": 768, "num_heads": 12, "window_size": 14, "depth": 2},
            1,
        ),
    ],
)
def test_encoder(changes, batch_size):
    segmenter = segmenter_of(**changes)
    images = torch.rand(batch_size, 100, 120, 3)
    peak = peak_bytes(lambda: segmenter.encode(images, batch_size))
    assert LOW <= segmenter.encode_bytes(batch_size) / peak <= HIGH


@pytest.mark.parametrize(
    ("changes", "prompts", "height", "width"),
    [
        ({}, 40, 128, 128),
        ({"prompt_dim": 256, "decoder_num_heads": 8, "decoder_mlp_dim": 2048}, 6, 480, 640),
        ({}, 2, 2000, 1500),
    ],
)
def test_decoder(changes, prompts, height, width):
    segmenter = segmenter_of(**changes)
    config = segmenter.config
    features = torch.randn(1, config.prompt_dim, config.grid, config.grid)
    embedding = Embedding((features,), height, width, segmenter.identity)
    box = {"x": 10, "y": 10, "width": 50, "height": 50}
    peak = peak_bytes(lambda: decoding.segment(segmenter, embedding, [Prompt(0, box, ())] * prompts))
    at_once = min(prompts, decoding.prompts_per_chunk(segmenter))
    assert LOW <= segmenter.decode_bytes(at_once, height, width) / peak <= HIGH
