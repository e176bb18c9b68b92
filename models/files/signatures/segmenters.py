"""Segmenters; the particular before the general."""

from __future__ import annotations

from typing import Final

from .signature import PUBLISHED_SAM, SEGMENTER, SEGMENTER_FOLDER, Signature

SIGNATURES: Final = (
    Signature(
        "an HQ-SAM segmenter",
        SEGMENTER,
        ("segmenter",),
        (r"mask_decoder\.h[fq]_token\.weight", r"mask_decoder\.iou_token\.weight"),
    ),
    Signature(
        "a MobileSAM segmenter",
        SEGMENTER,
        ("segmenter",),
        (r"image_encoder\.patch_embed\.seq\.0\.c\.weight", r"mask_decoder\.iou_token\.weight"),
    ),
    Signature(
        "an EfficientSAM",
        PUBLISHED_SAM,
        (),
        (r"image_encoder\.patch_embed\.proj\.weight", r"mask_decoder\.iou_token\.", r"image_encoder\.neck\.0\.1\."),
    ),
    Signature(
        "a Segment Anything (SAM) segmenter",
        SEGMENTER,
        ("segmenter",),
        (r"image_encoder\.patch_embed\.proj\.weight", r"mask_decoder\.iou_token\.weight"),
    ),
    Signature(
        "a SAM 2 segmenter",
        SEGMENTER,
        ("segmenter",),
        (r"image_encoder\.trunk\.patch_embed\.proj\.weight", r"sam_mask_decoder\.iou_token\.weight"),
    ),
    Signature(
        "the weights of a SAM 2 in transformers' layout, which is read as a folder with its config.json",
        SEGMENTER_FOLDER,
        ("segmenter",),
        (r"vision_encoder\.backbone\.pos_embed_window", r"mask_decoder\.conv_s0\.weight"),
    ),
    Signature(
        "a SAM segmenter in transformers' layout",
        SEGMENTER,
        ("segmenter",),
        (r"vision_encoder\.(patch_embed|layers\.0)", r"mask_decoder\.iou_token\.weight"),
    ),
    Signature(
        "a YOLO detector or segmenter",
        "packs for Ultralytics load it, from models/ultralytics",
        (),
        (r"(model\.)?(model\.)?0\.conv\.weight", r"(model\.)?(model\.)?\d+\.(dfl|cv2|m\.0)\."),
    ),
)
