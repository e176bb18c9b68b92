"""Detectors; the particular before the general."""

from __future__ import annotations

from typing import Final

from .signature import DETECTOR, DETECTOR_FOLDER, Signature

SIGNATURES: Final = (
    Signature(
        "a Grounding DINO detector",
        DETECTOR,
        ("detector",),
        (r"transformer\.decoder\.norm\.weight", r"feat_map\.weight"),
    ),
    Signature(
        "a Grounding DINO of mmdetection",
        "Load Detector reads MM-Grounding-DINO as a folder of transformers, such as "
        "openmmlab-community/mm_grounding_dino_tiny_o365v1_goldg, in models/grounding-dino",
        (),
        (r"language_model\.language_backbone\.", r"(bbox_head\.|text_feat_map\.)"),
    ),
    Signature(
        "the weights of an MM-Grounding-DINO in transformers' layout, which is read as a folder with its config.json",
        DETECTOR_FOLDER,
        ("detector",),
        (r"model\.text_projection\.weight", r"model\.encoder_output_class_embed\.bias"),
    ),
    Signature(
        "the weights of a Grounding DINO in transformers' layout, which is read as a folder with its config.json",
        DETECTOR_FOLDER,
        ("detector",),
        (r"model\.text_projection\.weight", r"model\.(encoder|text_backbone)\."),
    ),
    Signature(
        "the weights of an OWLv2 in transformers' layout, which is read as a folder with its config.json",
        DETECTOR_FOLDER,
        ("detector",),
        (r"owlv2\.vision_model\.", r"class_head\.dense0\.weight"),
    ),
    Signature(
        "the weights of an RT-DETR or a D-FINE in transformers' layout, which is read as a folder with its config.json",
        DETECTOR_FOLDER,
        ("detector",),
        (r"model\.encoder_input_proj\.", r"model\.decoder\.(class|bbox)_embed\."),
    ),
    Signature(
        "the weights of an OmDet-Turbo in transformers' layout, which is read as a folder with its config.json",
        DETECTOR_FOLDER,
        ("detector",),
        (r"language_backbone\.text_projection", r"vision_backbone\.vision_backbone\."),
    ),
)
