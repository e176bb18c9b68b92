"""Encoders of words and pictures, and networks that compare pictures; the particular before the general."""

from __future__ import annotations

from typing import Final

from .signature import DINOV2, EXTRACTOR, OWN_CODE, TEXT_ENCODER, VISION, Signature

SIGNATURES: Final = (
    Signature("a CLIP with both encoders", VISION, (), (r"text_model\.embeddings\.", r"vision_model\.embeddings\.")),
    Signature("a CLIP text encoder", TEXT_ENCODER, (), (r"text_model\.embeddings\.token_embedding\.weight",)),
    Signature(
        "a T5 text encoder",
        TEXT_ENCODER,
        (),
        (r"encoder\.block\.0\.layer\.0\.SelfAttention\.q\.weight",),
    ),
    Signature(
        "a CLIP vision model, which Load CLIP Vision loads", VISION, (), (r"vision_model\.embeddings\.class_embedding",)
    ),
    Signature(
        "a DINOv2 vision model in transformers' layout",
        DINOV2,
        ("extractor",),
        (r"embeddings\.cls_token", r"encoder\.layer\.0\.layer_scale1\.lambda1"),
    ),
    Signature(
        "a DINOv2 vision model in Meta's layout",
        EXTRACTOR,
        ("extractor",),
        (r"cls_token$", r"pos_embed$", r"blocks\.0\.ls1\.gamma", r"patch_embed\.proj\.weight"),
    ),
    Signature(
        "a CLIP of OpenAI or OpenCLIP", VISION, (), (r"visual\.(transformer\.resblocks|layer1)\.", r"token_embedding")
    ),
    Signature(
        "a VGG-16 of torchvision, or its kin",
        "it belongs into models/metrics, for Score Pairs and, if it is VGG-16, for Load Feature Extractor",
        ("extractor",),
        (r"features\.10\.weight", r"features\.(2|5|7)\.weight", r"classifier\.[036]\.weight"),
    ),
    Signature(
        "a VGG-16 of NVIDIA's metrics",
        "what it is fed stands in its program, which is not run; Load Feature Extractor reads torchvision's "
        "vgg16-397923af.pth",
        (),
        (r"layers\.conv1\.", r"layers\.conv10\.", r"layers\.fc2\."),
    ),
    Signature(
        "an AlexNet or VGG, which LPIPS uses",
        "it belongs into models/metrics, for Score Pairs",
        (),
        (r"features\.0\.weight", r"classifier\.6\.weight"),
    ),
    Signature(
        "the linear layers of LPIPS",
        "they belong into models/metrics, for Score Pairs",
        (),
        (r"lin0\.model\.1\.weight",),
    ),
    Signature(
        "an Inception-v3 of torchvision, trained for classes",
        "FID is defined by the Inception-v3 of 2015, pt_inception-2015-12-05-6726825d.pth, which belongs into "
        "models/metrics, for Load Feature Extractor",
        (),
        (r"Mixed_5b\.branch1x1\.conv\.weight", r"AuxLogits\."),
    ),
    Signature(
        "the weights of NVIDIA's Inception-v3 (inception-2015-12-05.pt)",
        EXTRACTOR,
        ("extractor",),
        (r"layers\.mixed_10[._]", r"output\."),
    ),
    Signature(
        "an Inception-v3 network",
        EXTRACTOR,
        ("extractor",),
        (r"Mixed_5b\.branch1x1\.conv\.weight",),
    ),
    Signature(
        "an EfficientNet-lite0 of ImageNet",
        EXTRACTOR,
        ("extractor",),
        (r"_blocks\.0\._depthwise_conv\.weight", r"_fc\.weight"),
    ),
    Signature(
        "a classifier of small pictures of the pack",
        EXTRACTOR,
        ("extractor",),
        (r"head\.bias", r"\A((blocks\.\d+\.\S+|head\.(weight|bias))\n?)+\Z"),
    ),
    Signature(
        "a LeNet, which classifies digits",
        EXTRACTOR,
        ("extractor",),
        (r"convnet\.c1\.weight", r"fc\.f7\.weight"),
    ),
    Signature(
        "a ResNet, which classifies pictures", OWN_CODE, (), (r"layer1\.0\.conv1\.weight", r"layer4\.0\.conv1\.weight")
    ),
)
