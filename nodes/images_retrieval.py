"""Nodes of the menu Trilemma/Images that find pictures of a folder by what they show."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch

from .. import host
from ..models.errors import BadInput
from ..models.pictures import image_batches
from ..models.pictures.images import rgb
from ..models.retrieval.indexing import FolderIndex, Indexing, digest_of
from ..models.retrieval.report import Found, describe_found, describe_index, found_of, read_prompts, to_json
from ..models.scoring.extractors.base import eight_bit
from ..models.scoring.features.extraction import fitting_batch
from .common import embedding, folders, inputs, kinds, menus
from .common.showing import show_text


class Indexed(NamedTuple):
    """What travels on TRILEMMA_INDEX: an index, and what made it, for queries by pictures. A tuple, so that ComfyUI's
    cache sees the patchers inside."""

    index: FolderIndex
    extractor: host.Handle


class IndexFolder:
    DISPLAY_NAME = "Index Folder"
    CATEGORY = menus.IMAGES
    DESCRIPTION = (
        "Describes every picture of a folder by a network's features, so that Find Nearest Images finds them by a "
        "picture, or with CLIP by a prompt. The index stays on disk; later runs look at new and changed pictures only."
    )
    SEARCH_ALIASES = [
        "image search",
        "retrieval",
        "clip index",
        "similar images",
        "knn",
        "embeddings",
        "image database",
    ]
    RETURN_TYPES = (kinds.INDEX, "INT", "STRING")
    RETURN_NAMES = ("index", "num_images", "report")
    OUTPUT_TOOLTIPS = (
        "For Find Nearest Images.",
        "How many different pictures it holds.",
        "What was new, what is gone, and which files could not be read.",
    )
    FUNCTION = "run"
    HAS_INTERMEDIATE_OUTPUT = True

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {
            "required": {
                "location": folders.location("folder"),
                "folder": inputs.text("", "Folder of pictures, relative to the location; a dot is the location."),
                "extractor": inputs.link(
                    kinds.EXTRACTOR,
                    "From Load Feature Extractor, or for prompts from Extractor from CLIP Vision with a CLIP.",
                ),
            },
            "optional": {
                "subfolders": folders.subfolders(),
                "batch_size": inputs.fitting_batch_size("looked at"),
            },
        }

    @classmethod
    def IS_CHANGED(cls, location: str, folder: str, **settings: Any) -> str:
        return folders.picture_state(location, folder)

    def run(
        self, location: str, folder: str, extractor: host.Handle, subfolders: bool = False, batch_size: int = 0
    ) -> dict[str, Any]:
        if not folder:
            raise BadInput("folder: it is empty; give the name of a folder, or a dot for the location itself.")
        model = extractor.model
        indexing = Indexing(folders.cache() / "index", folders.picture_folder(location, folder), subfolders, model)
        count = max(1, indexing.count)
        size = min(batch_size, count) or fitting_batch(model, count)
        with host.placed(extractor, memory=model.memory_bytes(size)), host.progress(count) as on_step:
            index, work = indexing.run(size, on_step, host.halving, host.check_interrupted)
        report = "\n".join([describe_index(index, work), *indexing.left_out])
        return show_text(report, Indexed(index, extractor), index.count, report)


class FindNearestImages:
    DISPLAY_NAME = "Find Nearest Images"
    CATEGORY = menus.IMAGES
    DESCRIPTION = (
        "The pictures of an indexed folder that are nearest to a prompt or to pictures, by the cosine of their "
        "features: all are compared, none is missed. As image conditions they are what KNN-Diffusion and Re-Imagen "
        "draw from."
    )
    SEARCH_ALIASES = [
        "image search",
        "retrieval",
        "nearest neighbours",
        "similar images",
        "knn",
        "text to image search",
    ]
    RETURN_TYPES = ("IMAGE", "STRING", "STRING", "STRING")
    RETURN_NAMES = ("images", "names", "data", "report")
    OUTPUT_TOOLTIPS = (
        "The nearest pictures of the first query, the nearest first, then those of the second; for Condition on Images "
        "with as many images per sample.",
        "Their paths relative to the folder, one to a line.",
        "JSON: for each query the names and scores of what was found, and files of the same pixels.",
        "The same, to be read.",
    )
    FUNCTION = "run"
    HAS_INTERMEDIATE_OUTPUT = True

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {
            "required": {
                "index": inputs.link(kinds.INDEX, "From Index Folder."),
                "count": inputs.integer(4, 1, 1024, "How many pictures for each query; all, if the index has fewer."),
            },
            "optional": {
                "image": inputs.link("IMAGE", "Pictures to look for, each a query of its own. Or give a prompt."),
                "prompt": inputs.multiline("", "What to look for, one query to a line; needs a CLIP index, and clip."),
                "clip": inputs.link("CLIP", "The text half of the CLIP that the index was made with, for prompts."),
                "other_than_itself": inputs.boolean(
                    False, "Leave out the picture of the index that has the very pixels of the query."
                ),
                **folders.one_size("crop"),
            },
            "hidden": {"graph": "DYNPROMPT", "node_id": "UNIQUE_ID"},
        }

    def run(
        self,
        index: Indexed,
        count: int,
        image: torch.Tensor | None = None,
        prompt: str = "",
        clip: Any = None,
        other_than_itself: bool = False,
        resize: image_batches.Resize = "crop",
        width: int = 0,
        height: int = 0,
        graph: Any = None,
        node_id: str | None = None,
    ) -> dict[str, Any]:
        prompts = read_prompts(prompt)
        if (image is None) == (not prompts):
            both = "both are given" if prompts else "neither is given"
            raise BadInput(f"image, prompt: {both}; look for pictures, or for a prompt.")
        if image is None:
            queries, own = _of_prompts(index, prompts, clip, graph, node_id), ()
        else:
            queries = embedding.of_pictures(index.extractor, image).rows
            own = tuple(map(digest_of, eight_bit(rgb(image)))) if other_than_itself else ()
        found = found_of(index.index, index.index.nearest(queries, count, own), prompts)
        images = _load(index.index, found, resize, height, width)
        report = describe_found(index.index, found)
        names = "\n".join(each.name for query in found for each in query.pictures)
        return show_text(report, host.intermediate(images), names, to_json(found), report)


def _of_prompts(index: Indexed, prompts: tuple[str, ...], clip: Any, graph: Any, node_id: str | None) -> torch.Tensor:
    source = index.index.source
    if source.setup.get("layer") != "projection":
        raise BadInput(
            f"prompt: the index was made by {source.extractor}, which knows no words; make it by Extractor from CLIP "
            "Vision with a CLIP, or look for pictures."
        )
    if clip is None:
        raise BadInput("clip: it is missing; connect the text half of the CLIP that the index was made with.")
    return embedding.of_texts(clip, prompts, graph, node_id).rows


def _load(index: FolderIndex, found: tuple[Found, ...], resize: image_batches.Resize, height: int, width: int) -> Any:
    """Each file once, however many queries found it."""
    names = [each.name for query in found for each in query.pictures]
    files = {name: index.folder / name for name in dict.fromkeys(names)}
    with host.progress(len(files)) as on_step:
        loaded = image_batches.load_batch(files, resize, height, width, on_step=on_step)
    places = {name: place for place, name in enumerate(loaded.names)}
    return loaded.images[[places[name] for name in names]]


NODES = {"TrilemmaIndexFolder": IndexFolder, "TrilemmaFindNearestImages": FindNearestImages}
