"""Nodes of the menu Trilemma/Score that compare a set of features with a reference set."""

from __future__ import annotations

from typing import Any

from ..models.files import catalog
from ..models.scoring import scores
from ..models.scoring.evaluation import Settings, score
from ..models.scoring.features import feature_files
from ..models.scoring.features.feature_set import Features
from ..models.scoring.metrics.kernel import SUBSET_SIZE, SUBSETS, Kernel
from ..models.scoring.metrics.neighbours import NEAREST, Neighbourhood
from ..models.scoring.reports.scores_text import describe
from ..models.scoring.set_pair import NO_PROTOCOL
from .common import inputs, kinds, menus
from .common.feature_outputs import show_features
from .common.metric_inputs import EXTRAS, METRIC_INPUTS, NEIGHBOURHOOD
from .common.provenance import run_provenance
from .common.showing import show_text


class Score:
    DISPLAY_NAME = "Score"
    CATEGORY = menus.SCORE
    DESCRIPTION = (
        "Compares a set of images with a reference set by their features: FID with its interval and its limit, KID, "
        "Inception score, precision, recall, density, coverage; sFID and Compound FID where their features were taken; "
        "on request the Vendi score and RKE, and AuthPct, C_T and FLD, which see copies."
    )
    SEARCH_ALIASES = [
        "fid",
        "frechet inception distance",
        "kid",
        "inception score",
        "precision recall",
        "sfid",
        "density coverage",
        "vendi",
        "rke",
        "authpct",
        "fld",
        "memorization",
        "evaluate",
        "metrics",
    ]
    RETURN_TYPES = (kinds.SCORES, "FLOAT", "FLOAT", "FLOAT", "FLOAT", "FLOAT", "STRING", "STRING")
    RETURN_NAMES = ("scores", "fid", "kid", "inception_score", "precision", "recall", "data", "report")
    OUTPUT_TOOLTIPS = (
        "All scores and where they came from, for Leaderboard and Score Gate.",
        "Fréchet distance of the features, which is FID if the extractor is Inception; lower is better.",
        "Kernel distance, mean of the subsets; lower is better. NaN where a set has no rows.",
        "Inception score of the generated set; higher is better. NaN where the extractor has no classes.",
        "Share of the generated images that look like the reference; NaN where a set has no rows.",
        "Share of the reference that the generated images reach; NaN where a set has no rows.",
        "JSON: all scores with intervals and notes, and where they came from.",
        "All scores in words.",
    )
    FUNCTION = "run"
    HAS_INTERMEDIATE_OUTPUT = True

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {
            "required": {
                "generated": inputs.link(kinds.FEATURES, "The set that is judged."),
                "reference": inputs.link(kinds.FEATURES, "What it should look like, taken by the same extractor."),
            },
            "optional": {
                "name": inputs.text("", "As tables show it; empty takes the generated set's."),
                **METRIC_INPUTS,
                **NEIGHBOURHOOD,
                **EXTRAS,
            },
            "hidden": {"prompt": "PROMPT"},
        }

    def run(
        self,
        generated: Features,
        reference: Features,
        name: str = "",
        kid_subsets: int = SUBSETS,
        kid_subset_size: int = SUBSET_SIZE,
        nearest_k: int = NEAREST,
        subsets_seed: int = 0,
        neighbourhood: Neighbourhood = "open",
        kid_kernel: Kernel = "polynomial",
        diversity: bool = False,
        held_out: Features | None = None,
        protocol: str = NO_PROTOCOL,
        prompt: dict[str, Any] | None = None,
    ) -> dict[str, Any]:
        others = (nearest_k, subsets_seed, neighbourhood, kid_kernel, diversity, protocol)
        settings = Settings(kid_subsets, kid_subset_size, *others)
        found = score(generated, reference, settings, name, provenance=run_provenance(prompt), held_out=held_out)
        text = describe(found)
        common = (found.value(metric) for metric in ("fid", "kid", "inception_score", "precision", "recall"))
        return show_text(text, found, *common, scores.to_json(found), text)


class ExampleReference:
    DISPLAY_NAME = "Example Reference"
    CATEGORY = menus.SCORE
    DESCRIPTION = (
        "Features of pictures that come with the pack: 4,096 new renderings of the emoji that the starter generators "
        "draw, taken by the starter classifier. Replace it by Folder Features of your own pictures."
    )
    SEARCH_ALIASES = ["reference statistics", "fid stats", "starter reference", "real images", "demo reference"]
    RETURN_TYPES = (kinds.FEATURES, "STRING")
    RETURN_NAMES = ("features", "info")
    OUTPUT_TOOLTIPS = ("The reference, for Score and Benchmark Generator.", "What the set is and how it was taken.")
    FUNCTION = "run"
    HAS_INTERMEDIATE_OUTPUT = True

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        names = list(catalog.REFERENCES)
        return {"required": {"reference": inputs.choice(names, "Which of the shipped sets.")}}

    def run(self, reference: str) -> dict[str, Any]:
        features = feature_files.load(catalog.STARTER_ROOT / catalog.REFERENCES[reference])
        return show_features(features)


NODES = {"TrilemmaScore": Score, "TrilemmaExampleReference": ExampleReference}
