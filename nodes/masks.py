"""Nodes of the menu Trilemma/Masks."""

from typing import Any

import torch

from .. import host
from ..models.errors import BadInput
from ..models.pictures import dust, masks, tracking
from ..models.pictures.objects import boxes as boxes_of
from ..models.pictures.objects import read_indices, read_labels, report, report_selection, select, separate, union
from ..models.pictures.objects_from_masks import MASKS_ARE, MasksAre, read_objects
from ..models.segmentation.appearance import appearances
from ..models.segmentation.base import Embedding
from ..models.values import Objects
from .common import inputs, kinds, menus
from .common.showing import show_note, show_text


class SelectObjects:
    DISPLAY_NAME = "Select Objects"
    CATEGORY = menus.MASKS
    DESCRIPTION = (
        "Keeps the segmented objects that pass every filter: by label, score, area, and place in their image's list."
    )
    SEARCH_ALIASES = ["filter objects", "filter masks", "pick object", "object by label", "segs filter"]
    RETURN_TYPES = (kinds.OBJECTS, "BOUNDING_BOX", "STRING")
    RETURN_NAMES = ("objects", "boxes", "report")
    OUTPUT_TOOLTIPS = (
        "The objects that are left, for the same images.",
        "Their boxes with label and score, one list for each image.",
        "One line for each object that is left: image, index, label, score, area, place.",
    )
    FUNCTION = "run"
    HAS_INTERMEDIATE_OUTPUT = True

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {
            "required": {
                "objects": inputs.link(kinds.OBJECTS, "From Segment or Segment Everything."),
            },
            "optional": {
                "labels": inputs.text("", "Labels to keep, with commas between them; empty keeps all."),
                "min_score": inputs.share(0.0, "Lowest score to keep."),
                "max_score": inputs.share(1.0, "Highest score to keep."),
                "min_area": inputs.area("Smallest mask to keep, in pixels; 1 drops empty masks."),
                "max_area": inputs.area("Largest mask to keep, in pixels; 0 sets no limit."),
                "indices": inputs.text(
                    "",
                    'Which objects of each image to keep, such as "0, 2-4"; they are counted from 0 as '
                    "they come in. Empty keeps all.",
                ),
            },
        }

    def run(
        self,
        objects: Objects,
        labels: str = "",
        min_score: float = 0.0,
        max_score: float = 1.0,
        min_area: int = 0,
        max_area: int = 0,
        indices: str = "",
    ) -> dict[str, Any]:
        kept = select(
            objects,
            read_labels(labels),
            min_score,
            max_score,
            min_area,
            max_area or None,
            read_indices(indices),
        )
        text = report_selection(kept, objects)
        return show_text(text, kept, boxes_of(kept), text)


class TrackObjects:
    DISPLAY_NAME = "Track Objects"
    CATEGORY = menus.MASKS
    DESCRIPTION = (
        "Numbers the objects of a video's frames so that the same one has the same label everywhere: cat 1, cat 2."
    )
    SEARCH_ALIASES = ["video tracking", "object id", "same object", "hungarian", "sort"]
    RETURN_TYPES = (kinds.OBJECTS, "STRING")
    RETURN_NAMES = ("objects", "report")
    OUTPUT_TOOLTIPS = (
        "The same objects in the same order, with numbered labels; Select Objects picks one by its label.",
        "One line for each numbered object: in how many images it is, the first and the last.",
    )
    FUNCTION = "run"
    HAS_INTERMEDIATE_OUTPUT = True

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {
            "required": {
                "objects": inputs.link(kinds.OBJECTS, "Of the frames of a video, in order, as one batch."),
            },
            "optional": {
                "min_iou": inputs.share(0.3, "Least overlap of boxes (IoU) of an object with where it was before."),
                "max_gap": inputs.integer(5, 0, 1000, "Frames that an object may be away and keep its number."),
                "segmenter": inputs.link(
                    kinds.SEGMENTER,
                    "With an embedding: objects that cross, or come back elsewhere, are known by what they look like.",
                ),
                "embedding": inputs.link(kinds.EMBEDDING, "The frames, from Encode Image with that segmenter."),
                "appearance": inputs.share(0.5, "How much looks count, and the rest overlap, where they are known."),
            },
        }

    def run(
        self,
        objects: Objects,
        min_iou: float = 0.3,
        max_gap: int = 5,
        segmenter: host.Handle | None = None,
        embedding: Embedding | None = None,
        appearance: float = 0.5,
    ) -> dict[str, Any]:
        tracked = tracking.track(objects, min_iou, max_gap, _looks(objects, segmenter, embedding), appearance)
        text = tracking.report(tracked)
        return show_text(text, tracked, text)


def _looks(objects: Objects, segmenter: host.Handle | None, embedding: Embedding | None) -> list[torch.Tensor] | None:
    if segmenter is None and embedding is None:
        return None
    if segmenter is None or embedding is None:
        raise BadInput(
            f"{'segmenter' if segmenter is None else 'embedding'}: it is not connected; looks are compared by a "
            "segmenter and the embedding that Encode Image made with it."
        )
    memory = segmenter.model.encode_bytes(1) if len(embedding.later) else 0
    with host.placed(segmenter, memory=memory), host.progress(objects.frames) as on_step:
        return appearances(segmenter.model, embedding, objects, on_step)


class ObjectsToMasks:
    DISPLAY_NAME = "Objects to Masks"
    CATEGORY = menus.MASKS
    DESCRIPTION = (
        "Turns objects into masks: one for each image, or one for each object together with its image's index."
    )
    SEARCH_ALIASES = [
        "separate masks",
        "mask per object",
        "segs to mask",
        "union mask",
        "remove background",
        "background removal",
    ]
    RETURN_TYPES = ("MASK", "INT")
    RETURN_NAMES = ("masks", "image_indices")
    OUTPUT_IS_LIST = (False, True)
    OUTPUT_TOOLTIPS = (
        "The masks; one empty mask where no object is.",
        "For each mask the index of its image in the batch, as a list.",
    )
    FUNCTION = "run"

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {
            "required": {
                "objects": inputs.link(kinds.OBJECTS, "From Segment, Segment Everything or Select Objects."),
                "mode": inputs.choice(
                    ["one per image", "one per object"],
                    "one per image: the union of its objects. one per object: in the objects' order.",
                ),
            },
        }

    def run(self, objects: Objects, mode: str) -> tuple[torch.Tensor, list[int]]:
        if mode == "one per object":
            found, frames = separate(objects)
        else:
            found, frames = union(objects), list(range(objects.frames))
        return (host.intermediate(found), frames)


class GrowSoftenMasks:
    DISPLAY_NAME = "Grow / Soften Masks"
    CATEGORY = menus.MASKS
    DESCRIPTION = "Fills holes, drops islands, grows or shrinks, and softens masks, in this order; exact at any size."
    SEARCH_ALIASES = [
        "grow mask",
        "expand mask",
        "shrink mask",
        "blur mask",
        "feather mask",
        "fill holes",
        "erode",
        "dilate",
    ]
    RETURN_TYPES = ("MASK",)
    RETURN_NAMES = ("mask",)
    OUTPUT_TOOLTIPS = ("As many masks as came in.",)
    FUNCTION = "run"
    HAS_INTERMEDIATE_OUTPUT = True

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {
            "required": {
                "mask": inputs.link("MASK", "One mask or a batch; soft masks stay soft."),
                "grow": inputs.integer(
                    0,
                    -inputs.MAX_SIDE,
                    inputs.MAX_SIDE,
                    "Pixels to grow by; below 0 the mask shrinks. The same as the core Grow Mask.",
                ),
                "soften": inputs.number(
                    0.0, 0.0, 1024.0, 0.1, "Standard deviation in pixels of the Gaussian that blurs the edge."
                ),
            },
            "optional": {
                "tapered_corners": inputs.boolean(
                    True, "Grow as a diamond; off, as a square. The same as the core Grow Mask."
                ),
                "fill_holes": inputs.boolean(False, "First fill what the mask encloses."),
                "drop_islands": inputs.area("Then drop islands of fewer pixels than this; 0 keeps all."),
                "mask_threshold": inputs.mask_threshold(),
            },
        }

    def run(
        self,
        mask: torch.Tensor,
        grow: int,
        soften: float,
        tapered_corners: bool = True,
        fill_holes: bool = False,
        drop_islands: int = 0,
        mask_threshold: float = dust.MASK_THRESHOLD,
    ) -> dict[str, Any] | tuple[torch.Tensor]:
        result = dust.without_dust(mask, mask_threshold)
        if fill_holes:
            result = masks.fill_holes(result)
        if drop_islands:
            result = masks.drop_islands(result, drop_islands)
        result = masks.soften(masks.grow(result, grow, tapered_corners), soften)
        return show_note(dust.report_dust(mask, mask_threshold), host.intermediate(result))


class ObjectsFromMasks:
    DISPLAY_NAME = "Objects from Masks"
    CATEGORY = menus.MASKS
    DESCRIPTION = (
        "Makes objects of masks, of boxes, or of both, whatever node they come from: SAM 3, RT-DETR, background "
        "removal, a mask drawn by hand. Crop Objects, Select Objects and the other nodes then take them."
    )
    SEARCH_ALIASES = ["mask to objects", "mask to segs", "sam3", "rt-detr", "bbox to objects", "islands", "rmbg"]
    RETURN_TYPES = (kinds.OBJECTS, "BOUNDING_BOX", "STRING")
    RETURN_NAMES = ("objects", "boxes", "report")
    OUTPUT_TOOLTIPS = (
        "The objects, for Select Objects, Crop Objects and Draw Detections.",
        "Their boxes with label and score, one list for each image.",
        "One line for each object: image, index, label, score, area, place.",
    )
    FUNCTION = "run"
    HAS_INTERMEDIATE_OUTPUT = True

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {
            "required": {"image": inputs.link("IMAGE", "The images that the masks and boxes belong to.")},
            "optional": {
                "mask": inputs.link(
                    "MASK", "One mask for each image, one for all, or one for each box; of a single image any number."
                ),
                "boxes": inputs.wired(
                    "BOUNDING_BOX", "One list of boxes per image, or one for all; pixels. Objects take their labels."
                ),
                "label": inputs.text("", "Name of the objects whose box has none."),
                "masks_are": inputs.choice(
                    MASKS_ARE,
                    "one per image: its objects lie in the boxes, or apart from each other. one per object: in the "
                    "boxes' order. automatic: by their number and place.",
                ),
                "split_islands": inputs.boolean(
                    True, "Without boxes: parts of an image's mask that do not touch are objects of their own."
                ),
                "min_area": inputs.area("Smallest object, in pixels; 1 drops boxes without a pixel of the mask."),
                "mask_threshold": inputs.mask_threshold(),
            },
        }

    def run(
        self,
        image: torch.Tensor,
        mask: torch.Tensor | None = None,
        boxes: Any = None,
        label: str = "",
        masks_are: MasksAre = "automatic",
        split_islands: bool = True,
        min_area: int = 0,
        mask_threshold: float = dust.MASK_THRESHOLD,
    ) -> dict[str, Any]:
        frames, height, width = image.shape[:3]
        read = read_objects(
            (frames, height, width), mask, boxes, label, masks_are, split_islands, min_area, mask_threshold
        )
        text = "\n".join([report(read.objects), *read.remarks])
        return show_text(text, read.objects, boxes_of(read.objects), text)


NODES = {
    "TrilemmaSelectObjects": SelectObjects,
    "TrilemmaTrackObjects": TrackObjects,
    "TrilemmaObjectsToMasks": ObjectsToMasks,
    "TrilemmaGrowSoftenMasks": GrowSoftenMasks,
    "TrilemmaObjectsFromMasks": ObjectsFromMasks,
}
