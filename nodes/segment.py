"""Nodes of the menu Trilemma/Segment."""

from typing import Any

import torch

from .. import host
from ..models.pictures import objects
from ..models.pictures.boxes import Box
from ..models.pictures.images import check_images
from ..models.pictures.small_copies import small_copy
from ..models.segmentation.base import Embedding, MaskLogits
from ..models.segmentation.decoding import MASK_CHOICES, MaskChoice, memory_bytes, prompts_per_chunk, refine
from ..models.segmentation.everything import segment_everything
from ..models.segmentation.hq_sam.segmenter import finer_alone
from ..models.segmentation.loading import SEGMENTERS
from ..models.segmentation.prompts import read_boxes, read_prompts
from ..models.values import Objects
from .common import inputs, kinds, menus
from .common.loading import WEIGHT_FILES, ModelLoader, Source

ENCODED_INPUTS = {
    "segmenter": inputs.link(kinds.SEGMENTER, "The same that Encode Image used."),
    "embedding": inputs.link(kinds.EMBEDDING, "The images, from Encode Image."),
}


class LoadSegmenter(ModelLoader):
    REGISTRY = SEGMENTERS
    KIND = "segmenter"
    SOURCES = (Source("sams", WEIGHT_FILES, folders=True),)
    DISPLAY_NAME = "Load Segmenter (SAM)"
    CATEGORY = menus.SEGMENT
    DESCRIPTION = (
        "Loads a Segment Anything model (SAM, HQ-SAM, MobileSAM or SAM 2.1): the starter that comes with the pack, or "
        "a file, or a transformers folder, from models/sams."
    )
    SEARCH_ALIASES = [
        "sam loader",
        "segment anything",
        "sam vit",
        "mask model",
        "sam2",
        "sam 2.1",
        "hiera",
        "hq sam",
        "mobile sam",
    ]
    RETURN_TYPES = (kinds.SEGMENTER,)
    RETURN_NAMES = ("segmenter",)
    OUTPUT_TOOLTIPS = ("For Encode Image, Segment and Segment Everything.",)

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        alone = inputs.boolean(
            False,
            "Of HQ-SAM only: masks of its finer part alone, which its authors advise for images of a single object. "
            "Else that part corrects SAM's mask.",
        )
        return {**super().INPUT_TYPES(), "optional": {"hq_only": inputs.advanced(alone)}}

    def run(self, model: str, hq_only: bool = False) -> tuple[Any, ...] | dict[str, Any]:
        return self.load(model, {}, hq_only=hq_only)

    @classmethod
    def handled(cls, loaded: Any, **settings: bool) -> Any:
        return finer_alone(loaded) if settings["hq_only"] else loaded


class EncodeImage:
    DISPLAY_NAME = "Encode Image"
    CATEGORY = menus.SEGMENT
    DESCRIPTION = (
        "Looks at every image once, the slow part of segmentation. New boxes or points for the same images then cost "
        "the small decoder."
    )
    SEARCH_ALIASES = ["sam embedding", "image embedding", "sam encode"]
    RETURN_TYPES = (kinds.EMBEDDING,)
    RETURN_NAMES = ("embedding",)
    OUTPUT_TOOLTIPS = ("What the segmenter saw, for Segment and Segment Everything.",)
    FUNCTION = "run"
    HAS_INTERMEDIATE_OUTPUT = True

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {
            "required": {
                "segmenter": inputs.link(kinds.SEGMENTER, "From Load Segmenter (SAM)."),
                "image": inputs.images(),
            },
            "optional": {
                "batch_size": inputs.batch_size(
                    1, 64, "Images encoded at once. Each takes 0.2 GB in a SAM ViT-B, and 0.3 to 0.5 GB in a SAM 2."
                ),
            },
            "hidden": {"extra_pnginfo": "EXTRA_PNGINFO"},
        }

    def run(
        self,
        segmenter: host.Handle,
        image: torch.Tensor,
        batch_size: int = 1,
        extra_pnginfo: dict[str, Any] | None = None,
    ) -> dict[str, Any] | tuple[Embedding]:
        image = check_images(image, finite=False)
        batch_size = min(batch_size, len(image))
        memory = segmenter.model.encode_bytes(batch_size)
        with host.placed(segmenter, memory=memory), host.progress(len(image)) as on_step:
            embedding = host.halving(lambda size: segmenter.model.encode(image, size, on_step), batch_size)
        embedding = embedding._replace(features=tuple(map(host.intermediate, embedding.features)))
        if not extra_pnginfo:  # which the page alone sends, to draw points on the picture
            return (embedding,)
        return {"ui": {"trilemma_images": [small_copy(image[0], host.temp_folder())]}, "result": (embedding,)}


class Segment:
    DISPLAY_NAME = "Segment"
    CATEGORY = menus.SEGMENT
    DESCRIPTION = "Cuts out what boxes or points show: one object for each box, with its label and score."
    SEARCH_ALIASES = [
        "sam",
        "sam segment",
        "box to mask",
        "points to mask",
        "points editor",
        "draw boxes",
        "grounded sam",
        "cut out",
        "remove background",
        "points",
    ]
    RETURN_TYPES = (kinds.OBJECTS, "MASK", kinds.LOGITS, "BOUNDING_BOX")
    RETURN_NAMES = ("objects", "mask", "logits", "boxes")
    OUTPUT_TOOLTIPS = (
        "One object per box, in the order of the boxes; for Select Objects, Objects to Masks and Crop Objects.",
        "For each image, the union of its objects; empty where there are none.",
        "The objects before they were cut into masks, for another Segment that corrects them.",
        "The boxes that were asked: the connected ones, then the drawn ones, one list per image.",
    )
    FUNCTION = "run"

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {
            "required": ENCODED_INPUTS,
            "optional": {
                "boxes": inputs.wired(
                    "BOUNDING_BOX", "Boxes in pixels, from Select Detections or any node that gives bounding boxes."
                ),
                "positive_points": inputs.advanced(
                    inputs.multiline(
                        "",
                        'Points on the object, in pixels: [{"x": 120, "y": 80}]. Without boxes they ask for '
                        "one object; with boxes each refines the smallest box around it.",
                        '[{"x": 120, "y": 80}]',
                    )
                ),
                "negative_points": inputs.advanced(
                    inputs.multiline(
                        "", "Points that do not belong to the object, written the same way.", '[{"x": 120, "y": 80}]'
                    )
                ),
                "mask_choice": inputs.choice(
                    MASK_CHOICES,
                    "The model can answer with three masks, from part to whole. automatic: the best of three "
                    "for a lone point, else its single answer. best: highest predicted IoU. Others: by area.",
                    default="automatic",
                ),
                "logits": inputs.link(
                    kinds.LOGITS,
                    "From an earlier Segment with as many objects: these prompts correct its masks.",
                ),
                "drawn_boxes": inputs.advanced(
                    inputs.text(
                        "",
                        "Boxes drawn on the picture, in pixels, after those that are connected: "
                        '[{"x": 12, "y": 34, "width": 56, "height": 78}].',
                    )
                ),
            },
        }

    def run(
        self,
        segmenter: host.Handle,
        embedding: Embedding,
        boxes: Any = None,
        positive_points: str = "",
        negative_points: str = "",
        mask_choice: MaskChoice = "automatic",
        logits: MaskLogits | None = None,
        drawn_boxes: str = "",
    ) -> tuple[Objects, torch.Tensor, MaskLogits, list[list[Box]]]:
        size = (embedding.height, embedding.width)
        asked = read_boxes(embedding.frames, *size, boxes, drawn_boxes)
        prompts = read_prompts(embedding.frames, *size, asked, positive_points, negative_points)
        at_once = min(prompts_per_chunk(segmenter.model), max(1, len(prompts)))
        with (
            host.placed(segmenter, memory=memory_bytes(segmenter.model, embedding, at_once)),
            host.progress(len(prompts)) as on_step,
        ):
            found, given = host.halving(
                lambda chunk: refine(segmenter.model, embedding, prompts, logits, mask_choice, on_step, chunk), at_once
            )
        given = given._replace(values=host.intermediate(given.values))
        boxes_of_each = [[] for _ in range(embedding.frames)] if asked is None else asked
        return (found, host.intermediate(objects.union(found)), given, boxes_of_each)


class SegmentEverything:
    DISPLAY_NAME = "Segment Everything"
    CATEGORY = menus.SEGMENT
    DESCRIPTION = (
        "Finds all objects without prompts: asks at every point of a grid and keeps what is sure and distinct."
    )
    SEARCH_ALIASES = ["automatic mask generator", "segment anything", "amg", "sam everything", "auto mask"]
    RETURN_TYPES = (kinds.OBJECTS, "MASK")
    RETURN_NAMES = ("objects", "mask")
    OUTPUT_TOOLTIPS = (
        "The objects of each image, the surest first, without labels.",
        "For each image, the union of its objects; empty where there are none.",
    )
    FUNCTION = "run"

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {
            "required": ENCODED_INPUTS,
            "optional": {
                "points_per_side": inputs.integer(16, 1, 128, "The grid has this many points each way."),
                "predicted_iou_threshold": inputs.share(0.6, "Masks that the model itself rates lower are dropped."),
                "stability_threshold": inputs.share(0.6, "Masks that change more when the cut-off moves are dropped."),
                "nms_threshold": inputs.share(0.7, "Of two masks whose boxes overlap more, the surer stays."),
            },
        }

    def run(
        self,
        segmenter: host.Handle,
        embedding: Embedding,
        points_per_side: int = 16,
        predicted_iou_threshold: float = 0.6,
        stability_threshold: float = 0.6,
        nms_threshold: float = 0.7,
    ) -> tuple[Objects, torch.Tensor]:
        points = points_per_side**2
        at_once = min(prompts_per_chunk(segmenter.model), points)
        memory = memory_bytes(segmenter.model, embedding, at_once)
        with host.placed(segmenter, memory=memory), host.progress(embedding.frames * points) as on_step:
            found = host.halving(
                lambda chunk: segment_everything(
                    segmenter.model,
                    embedding,
                    points_per_side,
                    predicted_iou_threshold,
                    stability_threshold,
                    nms_threshold,
                    on_step=on_step,
                    chunk_size=chunk,
                ),
                at_once,
            )
        return (found, host.intermediate(objects.union(found)))


NODES = {
    "TrilemmaLoadSegmenter": LoadSegmenter,
    "TrilemmaEncodeImage": EncodeImage,
    "TrilemmaSegment": Segment,
    "TrilemmaSegmentEverything": SegmentEverything,
}
