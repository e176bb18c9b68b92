"""Nodes of the menu Trilemma/Score that give feature extractors: from files, and from the host's models."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from .. import host
from ..models.files import catalog
from ..models.scoring.extractors import photo_package
from ..models.scoring.extractors.base import Extractor
from ..models.scoring.extractors.description import describe
from ..models.scoring.extractors.loading import EXTRACTORS
from ..models.scoring.extractors.pixels import LARGEST, SMALLEST, PixelExtractor
from ..models.scoring.extractors.resizes import RESIZES
from .common import embedding, inputs, kinds, menus
from .common.loading import WEIGHT_FILES, ModelLoader, Source
from .common.showing import show_text

RESIZE_TOOLTIP = (
    "How pictures reach the network's size; part of every result. TF1: as FID was published (torch-fidelity). clean: "
    "antialiased bicubic (clean-fid). torchmetrics: its default, antialiased bilinear. pytorch-fid: bilinear, and its "
    "own scaling of values. bicubic: without antialiasing (CMMD). Pillow: its bicubic of 8-bit pictures (dgm-eval)."
)


class LoadFeatureExtractor(ModelLoader):
    REGISTRY = EXTRACTORS
    KIND = "extractor"
    # Files in folders stay in the list, which had them before it had folders.
    SOURCES = (Source("metrics", WEIGHT_FILES), Source("metrics", (), folders=True))
    DISPLAY_NAME = "Load Feature Extractor"
    CATEGORY = menus.SCORE
    DESCRIPTION = (
        "Loads the network whose features FID, KID and other scores compare: Inception-v3 of the literature or DINOv2 "
        "from models/metrics, EfficientNet-lite0 of a package for photographs, or the pack's small classifier, whose "
        "scores compare starter models among each other only."
    )
    SEARCH_ALIASES = [
        "inception",
        "inception v3",
        "fid",
        "fid inception",
        "feature extractor",
        "kid",
        "inception score",
        "dinov2",
        "fd dinov2",
    ]
    RETURN_TYPES = (kinds.EXTRACTOR, "STRING")
    RETURN_NAMES = ("extractor", "info")
    OUTPUT_TOOLTIPS = (
        "For Image Features, Folder Features and Benchmark Generator.",
        "Which network it is, and what it gives.",
    )
    HAS_INTERMEDIATE_OUTPUT = True

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        types = super().INPUT_TYPES()
        names, _ = types["required"]["model"]
        # The published file is in the list before it is on disk: the error then says where to get it.
        published = catalog.PUBLISHED[cls.KIND][0].name
        listed = [*catalog.starter_names(cls.KIND), published, *names, photo_package.NAME]
        tooltip = (
            "The starter comes with the pack and knows 32 emoji; Inception-v3 and other files are yours. The last is "
            f"for photographs and needs the package {photo_package.PACKAGE}."
        )
        types["required"]["model"] = inputs.choice(dict.fromkeys(listed), tooltip)
        types["required"]["resize"] = inputs.choice(RESIZES, RESIZE_TOOLTIP)
        return types

    @classmethod
    def path(cls, model: str) -> Path:
        if model != photo_package.NAME:
            return super().path(model)
        installed = photo_package.installed_file()
        if installed is None:
            raise photo_package.missing_package()
        return installed

    @classmethod
    def handled(cls, loaded: Extractor, resize: str) -> Extractor:
        return loaded.with_resize(resize)

    @classmethod
    def info(cls, bound: Extractor) -> str:
        return describe(bound)


class ExtractorFromCLIPVision:
    DISPLAY_NAME = "Extractor from CLIP Vision"
    CATEGORY = menus.SCORE
    DESCRIPTION = (
        "Makes a vision model that ComfyUI has loaded (CLIP, DINOv2) a feature extractor: FID, KID, precision and "
        "recall of its embeddings follow what people see more closely than Inception's."
    )
    SEARCH_ALIASES = ["clip vision", "dinov2", "fd dinov2", "cmmd", "clip fid", "image embeddings", "kid"]
    RETURN_TYPES = (kinds.EXTRACTOR, "STRING")
    RETURN_NAMES = ("extractor", "info")
    OUTPUT_TOOLTIPS = LoadFeatureExtractor.OUTPUT_TOOLTIPS
    FUNCTION = "run"
    HAS_INTERMEDIATE_OUTPUT = True

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {
            "required": {
                "clip_vision": inputs.link("CLIP_VISION", "From Load CLIP Vision: a CLIP or a DINOv2."),
                "resize": inputs.choice(RESIZES, RESIZE_TOOLTIP, default=embedding.RESIZE),
            },
        }

    def run(self, clip_vision: Any, resize: str) -> dict[str, Any]:
        made = embedding.of_clip_vision(clip_vision, resize)
        info = describe(made.model)
        return show_text(info, made, info)


class ExtractorOfPixels:
    DISPLAY_NAME = "Extractor of Pixels"
    CATEGORY = menus.SCORE
    DESCRIPTION = (
        "Takes the pixels of small grey pictures as features, without any network: for data made by a rule, such as "
        "Known Triangles, where networks look past what counts. Of photographs it tells nothing that people see."
    )
    SEARCH_ALIASES = ["pixel space", "raw pixels", "identity extractor", "toy data", "no network"]
    RETURN_TYPES = (kinds.EXTRACTOR, "STRING")
    RETURN_NAMES = ("extractor", "info")
    OUTPUT_TOOLTIPS = LoadFeatureExtractor.OUTPUT_TOOLTIPS
    FUNCTION = "run"
    HAS_INTERMEDIATE_OUTPUT = True

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {
            "required": {
                "side": inputs.integer(28, SMALLEST, LARGEST, "Pictures are brought to side x side pixels."),
                "resize": inputs.choice(RESIZES, RESIZE_TOOLTIP, default="torchmetrics"),
            },
        }

    def run(self, side: int, resize: str) -> dict[str, Any]:
        extractor = PixelExtractor(side).with_resize(resize)
        info = describe(extractor)
        return show_text(info, host.Handle(extractor, ()), info)


NODES = {
    "TrilemmaLoadFeatureExtractor": LoadFeatureExtractor,
    "TrilemmaExtractorFromCLIPVision": ExtractorFromCLIPVision,
    "TrilemmaExtractorOfPixels": ExtractorOfPixels,
}
