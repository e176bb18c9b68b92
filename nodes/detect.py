"""Nodes of the menu Trilemma/Detect."""

from __future__ import annotations

from typing import Any

import torch

from .. import host
from ..models.detection.dropping import read_numbers
from ..models.detection.loading import DETECTORS
from ..models.detection.mixed_precision import mixed
from ..models.detection.page import to_page
from ..models.detection.selection import SORT_BY, SortBy, select
from ..models.files.paths import path_inside
from ..models.pictures import drawing
from ..models.pictures.annotations import files as annotation_files
from ..models.pictures.images import check_images
from ..models.pictures.objects import boxes as boxes_of
from ..models.pictures.objects import report
from ..models.values import Detections, Objects
from .common import folders, inputs, kinds, menus
from .common.loading import WEIGHT_FILES, ModelLoader, Source
from .common.showing import previews, show_text

FLOAT32, MIXED = PRECISIONS = ("float32", "mixed bfloat16")
"""Public names, for ever."""


class LoadDetector(ModelLoader):
    REGISTRY = DETECTORS
    KIND = "detector"
    SOURCES = (Source("grounding-dino", WEIGHT_FILES, folders=True),)
    DISPLAY_NAME = "Load Detector (Grounding DINO)"
    CATEGORY = menus.DETECT
    DESCRIPTION = (
        "Loads a detector, which finds what a text names: the starter that comes with the pack, a published Grounding "
        "DINO, or a transformers folder of Grounding DINO, MM-Grounding-DINO, LLMDet, OWLv2, OmDet-Turbo, RT-DETR v2 "
        "or D-FINE, from models/grounding-dino."
    )
    SEARCH_ALIASES = [
        "grounding dino loader",
        "groundingdino",
        "mm grounding dino",
        "llmdet",
        "owlv2",
        "omdet turbo",
        "rt-detr",
        "d-fine",
        "object detection model",
        "open vocabulary detector",
    ]
    RETURN_TYPES = (kinds.DETECTOR,)
    RETURN_NAMES = ("detector",)
    OUTPUT_TOOLTIPS = ("For Detect by Text.",)

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        precision = inputs.choice(
            PRECISIONS,
            "How it computes. Mixed bfloat16 is for cards and processors that have bfloat16 products, and slower on "
            "others; boxes move by a fraction of a pixel.",
        )
        return {**super().INPUT_TYPES(), "optional": {"precision": inputs.advanced(precision)}}

    def run(self, model: str, precision: str = FLOAT32) -> tuple[Any, ...] | dict[str, Any]:
        return self.load(model, {}, precision=precision)

    @classmethod
    def handled(cls, loaded: Any, **settings: str) -> Any:
        return mixed(loaded) if settings["precision"] == MIXED else loaded


class DetectByText:
    DISPLAY_NAME = "Detect by Text"
    CATEGORY = menus.DETECT
    DESCRIPTION = (
        "Looks for what the prompt names in every image. The raw detections keep all candidates with their "
        "probabilities, so that Select Detections can move its thresholds without running the network again."
    )
    SEARCH_ALIASES = [
        "grounding dino",
        "object detection",
        "find objects",
        "text to box",
        "open vocabulary",
        "bbox",
        "yolo",
    ]
    RETURN_TYPES = (kinds.DETECTIONS,)
    RETURN_NAMES = ("detections",)
    OUTPUT_TOOLTIPS = ("All candidates of every image, for Select Detections.",)
    FUNCTION = "run"

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {
            "required": {
                "detector": inputs.link(kinds.DETECTOR, "From Load Detector (Grounding DINO)."),
                "image": inputs.images(),
                "prompt": inputs.multiline(
                    "a cat . a dog",
                    "What to look for: phrases separated by full stops, commas, semicolons or lines. a cat:2 keeps the "
                    "two best cats of an image, a cat@0.4 cats from a score of 0.4 on.",
                ),
            },
            "optional": {
                "batch_size": inputs.batch_size(
                    1, 64, "Images looked at together. A published model takes 1.5 GB for each."
                ),
            },
        }

    def run(self, detector: host.Handle, image: torch.Tensor, prompt: str, batch_size: int = 1) -> tuple[Detections]:
        frames, height, width = check_images(image, finite=False).shape[:3]
        batch_size = min(batch_size, frames)
        memory = detector.model.memory_bytes(batch_size, height, width)
        with host.placed(detector, memory=memory), host.progress(frames) as on_step:
            detections = host.halving(lambda size: detector.model.detect(image, prompt, size, on_step), batch_size)
        return (detections,)


class SelectDetections:
    DISPLAY_NAME = "Select Detections"
    CATEGORY = menus.DETECT
    DESCRIPTION = (
        "Turns raw detections into boxes: thresholds, overlap removal, names, sizes and order. When nothing is left of "
        "an image, the report says what came nearest, and which threshold would have kept it."
    )
    SEARCH_ALIASES = ["box threshold", "text threshold", "nms", "filter boxes", "sort boxes", "detection threshold"]
    RETURN_TYPES = ("BOUNDING_BOX", "STRING")
    RETURN_NAMES = ("boxes", "report")
    OUTPUT_TOOLTIPS = (
        "One list of boxes per image, pixels, with label and score; an image without any has an empty list.",
        "What was found in each image, or why nothing was.",
    )
    FUNCTION = "run"
    HAS_INTERMEDIATE_OUTPUT = True

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {
            "required": {
                "detections": inputs.link(kinds.DETECTIONS, "From Detect by Text."),
                "box_threshold": inputs.share(0.35, "A box is kept when its score is higher."),
                "text_threshold": inputs.share(
                    0.25,
                    "A box is kept when a word that only its own phrase has is likelier than this. It matters for "
                    "phrases that share words, such as red car and blue car.",
                ),
            },
            "optional": {
                "nms_threshold": inputs.share(
                    0.6, "Of boxes with the same label that overlap by more than this IoU, the best stays; 1 keeps all."
                ),
                "top_k": inputs.integer(0, 0, 1000, "At most so many boxes per image; 0 keeps all."),
                "sort_by": inputs.choice(SORT_BY, "Best first, largest first, or by the left edge."),
                "labels": inputs.text("", "Phrases of the prompt to keep, separated by commas; empty keeps all."),
                "min_area": inputs.share(0.0, "Smallest box to keep, as a fraction of the image.", step=0.001),
                "max_area": inputs.share(1.0, "Largest box to keep, as a fraction of the image.", step=0.001),
                "image": inputs.link("IMAGE", "The same images, for the page: shows the boxes on them on the node."),
                "dropped": inputs.advanced(
                    inputs.text("[]", "Boxes to leave out, by their numbers: a click on a box of the node writes them.")
                ),
            },
        }

    def run(
        self,
        detections: Detections,
        box_threshold: float,
        text_threshold: float,
        nms_threshold: float = 0.6,
        top_k: int = 0,
        sort_by: SortBy = "score",
        labels: str = "",
        min_area: float = 0.0,
        max_area: float = 1.0,
        image: torch.Tensor | None = None,
        dropped: str = "[]",
    ) -> dict[str, Any]:
        selection = select(
            detections,
            box_threshold=box_threshold,
            text_threshold=text_threshold,
            nms_threshold=nms_threshold,
            top_k=top_k,
            sort_by=sort_by,
            labels=labels,
            min_area=min_area,
            max_area=max_area,
            dropped=read_numbers(dropped, detections),
        )
        panels: dict[str, Any] = {"found": selection.boxes} if host.has_page() else {}
        if image is not None and host.has_page():
            panels["boxes"] = {**to_page(detections, selection, box_threshold), "pictures": previews(image)}
        return show_text(selection.report, selection.boxes, selection.report, **panels)


class DrawDetections:
    DISPLAY_NAME = "Draw Detections"
    CATEGORY = menus.DETECT
    DESCRIPTION = (
        "Draws boxes with their labels, and masks where objects are connected, in colours that people with any colour "
        "vision tell apart, readable on any background."
    )
    SEARCH_ALIASES = ["draw boxes", "bounding box preview", "annotate", "visualize detections", "show labels"]
    RETURN_TYPES = ("IMAGE",)
    RETURN_NAMES = ("image",)
    OUTPUT_TOOLTIPS = ("The images with boxes, labels and masks on them; an alpha channel stays as it was.",)
    FUNCTION = "run"

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {
            "required": {
                "image": inputs.link("IMAGE", "The images that the boxes belong to."),
            },
            "optional": {
                "boxes": inputs.wired("BOUNDING_BOX", "One list of boxes per image, or one for all; pixels."),
                "objects": inputs.link(kinds.OBJECTS, "Segmented objects of the same images, drawn as masks."),
                "show_scores": inputs.boolean(True, "Write the score behind the label."),
                "line_width": inputs.integer(0, 0, 64, "In pixels; 0 follows the size of the image."),
                "mask_opacity": inputs.share(0.4, "How much masks cover.", step=0.05),
            },
        }

    def run(
        self,
        image: torch.Tensor,
        boxes: Any = None,
        objects: Objects | None = None,
        show_scores: bool = True,
        line_width: int = 0,
        mask_opacity: float = 0.4,
    ) -> tuple[torch.Tensor]:
        drawn = drawing.draw(image, [] if boxes is None else boxes, objects, line_width, mask_opacity, show_scores)
        return (host.intermediate(drawn),)


class SaveDetections:
    DISPLAY_NAME = "Save Detections"
    CATEGORY = menus.DETECT
    DESCRIPTION = (
        "Writes objects with their boxes, masks, labels and scores as annotations: COCO JSON, YOLO texts, or LabelMe "
        "JSON, for training, for evaluation, or to correct them by hand and load them again."
    )
    SEARCH_ALIASES = ["coco json", "yolo txt", "labelme", "export annotations", "dataset", "rle", "ground truth"]
    RETURN_TYPES = ("STRING",)
    RETURN_NAMES = ("files",)
    OUTPUT_TOOLTIPS = ("Names of the saved files below the output folder, one to a line.",)
    FUNCTION = "run"
    OUTPUT_NODE = True

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {
            "required": {
                "objects": inputs.link(kinds.OBJECTS, "From Segment, Objects from Masks or Select Objects."),
                "filename_prefix": inputs.text(
                    "annotations/objects", "Beginning of the names below the output folder; runs are numbered on."
                ),
                "format": inputs.choice(
                    annotation_files.FORMATS,
                    "coco: one file, boxes and exact masks. yolo: a text of boxes for each image, and the classes. "
                    "labelme: a file for each image, exact masks.",
                ),
            },
            "optional": {
                "names": inputs.multiline(
                    "", "File names of the images, one to a line, as Load Images gives them; empty numbers them."
                ),
            },
        }

    def run(
        self, objects: Objects, filename_prefix: str, format: annotation_files.Format, names: str = ""
    ) -> dict[str, Any]:
        images = annotation_files.named(objects, names.splitlines())
        files = "\n".join(annotation_files.save(images, host.output_folder(), filename_prefix, format))
        return show_text(files, files)


class LoadDetections:
    DISPLAY_NAME = "Load Detections"
    CATEGORY = menus.DETECT
    DESCRIPTION = (
        "Reads annotations of COCO, YOLO or LabelMe as objects of the images: your own, or what Save Detections wrote."
    )
    SEARCH_ALIASES = ["coco json", "yolo txt", "labelme", "import annotations", "dataset", "ground truth", "polygons"]
    RETURN_TYPES = (kinds.OBJECTS, "BOUNDING_BOX", "STRING")
    RETURN_NAMES = ("objects", "boxes", "report")
    OUTPUT_TOOLTIPS = (
        "The objects of the images, for Select Objects, Crop Objects and Draw Detections.",
        "Their boxes with label and score, one list for each image.",
        "One line for each object, and the images without annotations.",
    )
    FUNCTION = "run"
    HAS_INTERMEDIATE_OUTPUT = True

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {
            "required": {
                "image": inputs.link("IMAGE", "The images that were annotated, at the size that they had then."),
                "location": folders.location("path"),
                "path": inputs.text(
                    "annotations.json", "A file, or a folder of a file for each image, relative to the location."
                ),
            },
            "optional": {
                "names": inputs.multiline(
                    "",
                    "File names of the images, one to a line, as Load Images gives them: each gets the annotations of "
                    "its name. Empty: the file has as many images, in the same order.",
                ),
            },
        }

    @classmethod
    def IS_CHANGED(cls, location: str, path: str, **settings: Any) -> str:
        return folders.state_of(lambda: path_inside(folders.root_of(location), path, "path"))

    def run(self, image: torch.Tensor, location: str, path: str, names: str = "") -> dict[str, Any]:
        frames, height, width = image.shape[:3]
        at = path_inside(folders.root_of(location), path, "path")
        loaded = annotation_files.load(at, (frames, height, width), names.splitlines())
        text = "\n".join([report(loaded.objects), *loaded.remarks])
        return show_text(text, loaded.objects, boxes_of(loaded.objects), text)


NODES = {
    "TrilemmaLoadDetector": LoadDetector,
    "TrilemmaDetectByText": DetectByText,
    "TrilemmaSelectDetections": SelectDetections,
    "TrilemmaDrawDetections": DrawDetections,
    "TrilemmaSaveDetections": SaveDetections,
    "TrilemmaLoadDetections": LoadDetections,
}
