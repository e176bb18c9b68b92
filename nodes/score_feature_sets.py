"""Nodes of the menu Trilemma/Score that merge sets of features, save them and load them."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from .. import host
from ..models.errors import BadInput
from ..models.files.paths import file_inside, path_inside
from ..models.scoring.features import batches, feature_files, published
from ..models.scoring.features.feature_set import Features, merge, summary
from .common import folders, inputs, kinds, menus
from .common.extracting import extracting, extraction_settings
from .common.feature_outputs import INFO_TOOLTIP, NAME, show_features
from .common.showing import show_text

FORMATS = ["trilemma", "mu sigma"]


class MergeFeatures:
    DISPLAY_NAME = "Merge Features"
    CATEGORY = menus.SCORE
    DESCRIPTION = (
        "Adds up the features of several sets, as if they had been taken in one pass. A sample that is in two of them "
        "is an error, and so are sets that were taken in different ways."
    )
    SEARCH_ALIASES = ["combine features", "add features", "concatenate", "join sets"]
    RETURN_TYPES = (kinds.FEATURES, "STRING")
    RETURN_NAMES = ("features", "info")
    OUTPUT_TOOLTIPS = ("The features of all samples.", INFO_TOOLTIP)
    FUNCTION = "run"
    HAS_INTERMEDIATE_OUTPUT = True

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {
            "required": {"name": NAME},
            "optional": inputs.numbered(
                "features", kinds.FEATURES, "One set, taken by the same extractor as the others."
            ),
        }

    def run(self, name: str, **features: Features) -> dict[str, Any]:
        parts = inputs.connected("features", features)
        if not parts:
            raise BadInput("features_1: nothing is connected; connect the sets to be merged.")
        return show_features(merge(parts, name or None))


class SaveFeatures:
    DISPLAY_NAME = "Save Features"
    CATEGORY = menus.SCORE
    DESCRIPTION = (
        "Adds features to a file, so that a set grows from run to run and over machines. A sample that the file has "
        "already is refused. Also writes the mean and covariance that pytorch-fid and clean-fid read."
    )
    SEARCH_ALIASES = ["npz", "fid stats", "save statistics", "append features", "mu sigma", "export features"]
    RETURN_TYPES = (kinds.FEATURES, "STRING")
    RETURN_NAMES = ("features", "file")
    OUTPUT_TOOLTIPS = (
        "All that the file now holds, for Score: the set so far.",
        "The file's name below the output folder, for Load Features.",
    )
    FUNCTION = "run"
    OUTPUT_NODE = True

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {
            "required": {
                "features": inputs.link(kinds.FEATURES, "From Image Features, Folder Features or Merge Features."),
                "file": inputs.text("features/set.npz", "Name below the output folder; folders are made as needed."),
                "format": inputs.choice(
                    FORMATS,
                    "trilemma: everything, can be added to. mu sigma: mean and covariance alone, for "
                    "pytorch-fid and clean-fid, written once.",
                ),
            },
            "optional": {
                "overwrite": inputs.boolean(False, "Begin the file anew instead of adding to one that is there."),
            },
        }

    def run(self, features: Features, file: str, format: str, overwrite: bool = False) -> dict[str, Any]:
        path = _npz_path(host.output_folder(), file)
        if format == "trilemma":
            features = feature_files.append(path, features, overwrite)
        else:
            published.write(path, features, overwrite)
        name = path.relative_to(host.output_folder()).as_posix()
        return show_text(f"{name}\n{summary(features)}", features, name)


class LoadFeatures:
    DISPLAY_NAME = "Load Features"
    CATEGORY = menus.SCORE
    DESCRIPTION = (
        "Reads features that Save Features wrote, the statistics of pytorch-fid and clean-fid, dgm-eval's "
        "representations, or ADM's batches of pictures: their files do not say by which network they were taken, so "
        "the extractor has to be connected."
    )
    SEARCH_ALIASES = [
        "npz",
        "fid stats",
        "reference statistics",
        "load statistics",
        "mu sigma",
        "precomputed",
        "adm reference batch",
        "dgm-eval",
        "reps",
        "arr_0",
    ]
    RETURN_TYPES = (kinds.FEATURES, "STRING")
    RETURN_NAMES = ("features", "info")
    OUTPUT_TOOLTIPS = ("For Score and Merge Features.", INFO_TOOLTIP)
    FUNCTION = "run"
    HAS_INTERMEDIATE_OUTPUT = True

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {
            "required": {
                "location": folders.location("file", first="output"),
                "file": inputs.text("features/set.npz", "An .npz file, relative to the location."),
            },
            "optional": {
                "extractor": inputs.link(
                    kinds.EXTRACTOR,
                    "The network and resize that took the features: needed for files of other packages; the pack's "
                    "own are checked against it.",
                ),
            },
        }

    @classmethod
    def IS_CHANGED(cls, location: str, file: str, **settings: Any) -> str:
        return folders.state_of(lambda: _npz_path(folders.root_of(location), file))

    def run(self, location: str, file: str, extractor: host.Handle | None = None) -> dict[str, Any]:
        path = _npz_path(folders.root_of(location), file)
        batch = batches.batch_at(path)
        if batch is None:
            return show_features(feature_files.load(path, extractor.model if extractor else None))
        if extractor is None:
            raise BadInput(f"extractor: {path.name} holds pictures; connect the network that is to describe them.")
        model = extractor.model
        settings = extraction_settings(extractor, batch.count, 0, model.spatial is not None, False)
        with extracting(extractor, batch.count, 0, settings) as extract:
            return show_features(batches.take(batch, model, partial(extract, name=path.stem), path.stem))


def _npz_path(root: Path, name: str) -> Path:
    path = file_inside(root, name, "file", "features/set.npz")
    if path.suffix.lower() == ".npz":
        return path
    return path_inside(root, f"{path.relative_to(root).as_posix()}.npz", "file")


NODES = {
    "TrilemmaMergeFeatures": MergeFeatures,
    "TrilemmaSaveFeatures": SaveFeatures,
    "TrilemmaLoadFeatures": LoadFeatures,
}
