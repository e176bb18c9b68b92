"""Memory estimates against the measured peak of activations, at three sizes each."""

from dataclasses import replace

import pytest
import torch
from torch import nn
from trilemma.models.random_weights import random_weights
from trilemma.models.segmentation import decoding, hq_sam, mobile_sam, sam, sam2
from trilemma.models.segmentation.hq_sam.segmenter import HqSamSegmenter
from trilemma.models.segmentation.prompts import Prompt
from trilemma.models.segmentation.sam.architecture import Parts, SamConfig
from trilemma.models.segmentation.sam.segmenter import SamSegmenter
from trilemma.models.segmentation.sam2.architecture import Parts as Sam2Parts
from trilemma.models.segmentation.sam2.segmenter import Sam2Segmenter
from trilemma.tests.peak_memory import peak_bytes

pytestmark = pytest.mark.slow

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


def sam_of(**changes: object) -> SamSegmenter:
    config = replace(SMALL, **changes)
    return SamSegmenter(Parts(*random_parts(sam.architecture.build(config))), config, "random")


def mobile_sam_of(**changes: object) -> SamSegmenter:
    config = replace(mobile_sam.TINY, **changes)
    return SamSegmenter(Parts(*random_parts(sam.architecture.build(config))), config, "random")


def hq_sam_of(**changes: object) -> HqSamSegmenter:
    config = replace(SMALL, **changes)
    return HqSamSegmenter(Parts(*random_parts(hq_sam.build(config))), config, "random")


def sam2_of(size: str = "tiny", **changes: object) -> Sam2Segmenter:
    config = replace(sam2.architecture.PUBLISHED[size], **changes)
    return Sam2Segmenter(Sam2Parts(*random_parts(sam2.architecture.build(config))), config, "random")


def random_parts(network: nn.ModuleDict) -> list[nn.Module]:
    network.to_empty(device="cpu").train(False).requires_grad_(False).load_state_dict(random_weights(network))
    return list(network.values())


@pytest.mark.parametrize(
    ("segmenter", "batch_size"),
    [
        (lambda: sam_of(), 3),
        (lambda: sam_of(image_size=256), 2),
        # ViT-B's widths at half its input, in one windowed and one global block.
        (lambda: sam_of(image_size=512, patch_size=16, embed_dim=768, num_heads=12, window_size=14, depth=2), 1),
        # A published grid in a narrow network, where offsets take the most.
        (lambda: sam_of(image_size=1024, patch_size=16, embed_dim=48, num_heads=4, depth=2, global_blocks=(1,)), 1),
        (lambda: hq_sam_of(), 2),
        (lambda: mobile_sam_of(), 3),
        (lambda: mobile_sam_of(image_size=512, widths=(64, 128, 160, 320), heads=(4, 5, 10), hidden_first=256), 1),
        (lambda: sam2_of(image_size=128), 3),
        (lambda: sam2_of(image_size=512, depths=(1, 1, 1, 1)), 1),
        (lambda: sam2_of("base_plus", image_size=256, depths=(1, 1, 1, 1)), 2),
    ],
)
def test_encoder(segmenter, batch_size):
    segmenter = segmenter()
    images = torch.rand(batch_size, 100, 120, 3)
    peak = peak_bytes(lambda: segmenter.encode(images, batch_size))
    print(segmenter.encode_bytes(batch_size) / peak)
    assert LOW <= segmenter.encode_bytes(batch_size) / peak <= HIGH


@pytest.mark.parametrize(
    ("segmenter", "prompts", "height", "width"),
    [
        (lambda: sam_of(), 40, 128, 128),
        (lambda: sam_of(prompt_dim=256, decoder_num_heads=8, decoder_mlp_dim=2048), 6, 480, 640),
        (lambda: sam_of(), 2, 2000, 1500),
        (lambda: hq_sam_of(), 40, 128, 128),
        (lambda: hq_sam_of(prompt_dim=256, decoder_num_heads=8, decoder_mlp_dim=2048), 6, 480, 640),
        (lambda: hq_sam_of(), 1, 480, 640),
        (lambda: mobile_sam_of(image_size=512, prompt_dim=128), 1, 480, 640),
        (lambda: sam2_of(image_size=128, depths=(1, 1, 1, 1)), 40, 128, 128),
        (lambda: sam2_of(image_size=256, depths=(1, 1, 1, 1)), 1, 480, 640),
        (lambda: sam2_of(image_size=128, depths=(1, 1, 1, 1)), 2, 2000, 1500),
    ],
)
def test_decoder(segmenter, prompts, height, width):
    segmenter = segmenter()
    embedding = segmenter.encode(torch.rand(1, height, width, 3))
    box = {"x": 10, "y": 10, "width": 50, "height": 50}
    peak = peak_bytes(lambda: decoding.segment(segmenter, embedding, [Prompt(0, box, ())] * prompts))
    at_once = min(prompts, decoding.prompts_per_chunk(segmenter))
    print(segmenter.decode_bytes(at_once, height, width) / peak)
    assert LOW <= segmenter.decode_bytes(at_once, height, width) / peak <= HIGH
