"""Nodes of the menu Trilemma/Score that make features of images."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch

from .. import host
from ..models.errors import BadInput
from ..models.generators.records import from_json
from ..models.scoring.features import samples
from ..models.scoring.features.feature_set import ROWS, summary
from ..models.scoring.features.folder import Folder, check_readable, unreadable_lines
from ..models.scoring.features.folder_cache import FolderCache
from .common import folders, inputs, kinds, menus
from .common.extracting import extracting, extraction_settings
from .common.feature_outputs import INFO_TOOLTIP, NAME, show_features
from .common.readers import readers_above
from .common.showing import show_text

EXTRACTION_INPUTS = {
    "name": NAME,
    "kept_rows": inputs.integer(
        ROWS,
        0,
        1_000_000,
        "How many images' own features are kept for KID, precision and recall; all others count in the "
        "sums for FID and the Inception score only.",
    ),
    # Not `seed`: the page would change that one after every run, and sets of different seeds cannot be merged.
    "rows_seed": inputs.advanced(inputs.fixed_seed("Which images these are; sets that are merged need the same.")),
    "sfid": inputs.boolean(False, "Take the spatial features that sFID needs too."),
    "compound_fid": inputs.boolean(False, "Take the features of several depths that Compound FID needs too."),
    "batch_size": inputs.fitting_batch_size("looked at"),
}
"""Inputs of every node that takes features."""


class ImageFeatures:
    DISPLAY_NAME = "Image Features"
    CATEGORY = menus.SCORE
    DESCRIPTION = (
        "Describes images by a network's features, which scores compare with those of another set. Only sums and some "
        "rows are kept, so the features of many batches add up: Merge Features, Save Features."
    )
    SEARCH_ALIASES = ["fid", "kid", "inception features", "embeddings", "statistics", "inception score", "activations"]
    RETURN_TYPES = (kinds.FEATURES, "STRING")
    RETURN_NAMES = ("features", "info")
    OUTPUT_TOOLTIPS = ("For Score, Merge Features and Save Features.", INFO_TOOLTIP)
    FUNCTION = "run"
    HAS_INTERMEDIATE_OUTPUT = True

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {
            "required": {
                "images": inputs.images(),
                "extractor": inputs.link(kinds.EXTRACTOR, "From Load Feature Extractor; the same for every set."),
            },
            "optional": {
                "records": inputs.wired(
                    "STRING",
                    "From the Sample Images that drew the images: each then counts once by its model, "
                    "settings, seed and condition. Without them by its pixels.",
                ),
                **EXTRACTION_INPUTS,
            },
            "hidden": {"graph": "DYNPROMPT", "node_id": "UNIQUE_ID"},
        }

    def run(
        self,
        images: torch.Tensor,
        extractor: host.Handle,
        records: str | None = None,
        name: str = "",
        kept_rows: int = ROWS,
        rows_seed: int = 0,
        sfid: bool = False,
        compound_fid: bool = False,
        batch_size: int = 0,
        graph: Any = None,
        node_id: str | None = None,
    ) -> dict[str, Any]:
        found = samples.of_batch(images, None if records is None else from_json(records, len(images)))
        extraction = extraction_settings(extractor, kept_rows, rows_seed, sfid, compound_fid)
        with extracting(extractor, len(found), batch_size, extraction) as extract:
            features = extract(found, name=name or "images")
        return show_features(features._replace(readers=readers_above(graph, node_id, "images")))


class FolderFeatures:
    DISPLAY_NAME = "Folder Features"
    CATEGORY = menus.SCORE
    DESCRIPTION = (
        "Describes every picture of a folder by a network's features, one batch at a time: the reference set, or what "
        "another tool has made. They are kept on disk until a picture or a setting changes."
    )
    SEARCH_ALIASES = ["fid folder", "reference set", "dataset statistics", "real images", "image folder", "fid stats"]
    RETURN_TYPES = (kinds.FEATURES, "INT", "STRING")
    RETURN_NAMES = ("features", "num_images", "report")
    OUTPUT_TOOLTIPS = (
        "For Score, Merge Features and Save Features.",
        "How many pictures were taken.",
        "What was taken, and which files could not be read.",
    )
    FUNCTION = "run"
    HAS_INTERMEDIATE_OUTPUT = True

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {
            "required": {
                "location": folders.location("folder"),
                "folder": inputs.text("", "Folder of pictures, relative to the location; a dot is the location."),
                "extractor": inputs.link(kinds.EXTRACTOR, "From Load Feature Extractor; the same for every set."),
            },
            "optional": {
                "subfolders": folders.subfolders(),
                "skip_corrupt": inputs.boolean(
                    False,
                    "Leave out files that cannot be read, and name them in the report. Otherwise they "
                    "are an error that names them all.",
                ),
                **EXTRACTION_INPUTS,
            },
        }

    @classmethod
    def IS_CHANGED(cls, location: str, folder: str, **settings: Any) -> str:
        return folders.picture_state(location, folder)

    def run(
        self,
        location: str,
        folder: str,
        extractor: host.Handle,
        subfolders: bool = False,
        skip_corrupt: bool = False,
        name: str = "",
        kept_rows: int = ROWS,
        rows_seed: int = 0,
        sfid: bool = False,
        compound_fid: bool = False,
        batch_size: int = 0,
    ) -> dict[str, Any]:
        if not folder:
            raise BadInput("folder: it is empty; give the name of a folder, or a dot for the location itself.")
        pictures = Folder(folders.picture_folder(location, folder), subfolders)
        extraction = extraction_settings(extractor, kept_rows, rows_seed, sfid, compound_fid)
        cache = FolderCache(folders.cache(), pictures, extractor.model.source, **extraction)
        taken, notes = cache.find(), ["kept from an earlier run"]
        if taken is None:
            with extracting(extractor, len(pictures.names), batch_size, extraction) as extract:
                taken = pictures.take(partial(extract, name=pictures.path.name), skip_corrupt, host.check_interrupted)
            notes = cache.keep(taken)
        check_readable(taken, skip_corrupt)
        features = taken.features._replace(name=name or taken.features.name, source=extractor.model.source)
        report = "\n".join([summary(features), *notes, *unreadable_lines(taken), *pictures.left_out])
        return show_text(report, features, features.count, report)


NODES = {
    "TrilemmaImageFeatures": ImageFeatures,
    "TrilemmaFolderFeatures": FolderFeatures,
}
