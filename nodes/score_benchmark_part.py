"""The node of the menu Trilemma/Score that draws a part of a benchmark, for one of many machines."""

from __future__ import annotations

from typing import Any

from .. import host
from ..models.scoring.benchmark.run import Plan
from ..models.scoring.features.feature_set import ROWS, Features, summary
from .common import inputs, kinds, menus
from .common.benchmark_parts import draw_part, place_of
from .common.showing import show_text


class BenchmarkPart:
    DISPLAY_NAME = "Benchmark Part"
    CATEGORY = menus.SCORE
    DESCRIPTION = (
        "Draws some of the samples of a benchmark and describes them by their features, for one of several machines: "
        "headless.py benchmark gives each server such parts and adds up what they keep."
    )
    SEARCH_ALIASES = ["benchmark shard", "distributed benchmark", "cluster", "partial fid", "split benchmark"]
    RETURN_TYPES = (kinds.FEATURES, "STRING")
    RETURN_NAMES = ("features", "file")
    OUTPUT_TOOLTIPS = (
        "Of these samples, for Merge Features and Save Features.",
        "What headless.py fetches: its name below the temp folder, which is emptied when ComfyUI starts.",
    )
    FUNCTION = "run"
    OUTPUT_NODE = True

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {
            "required": {
                "generator": inputs.link(kinds.GENERATOR, "From Load Generator, an option node or Condition."),
                "extractor": inputs.link(
                    kinds.EXTRACTOR, "From Load Feature Extractor; the one that took the reference."
                ),
                "reference": inputs.link(
                    kinds.FEATURES,
                    "What the samples should look like. Those of its features that sFID needs are taken too.",
                ),
                "first_image": inputs.integer(
                    0, 0, 1_000_000, "The place in the whole run of the first sample of this part, counted from 0."
                ),
                "num_images": inputs.integer(512, 1, 1_000_000, "How many samples this part has."),
                "first_seed": inputs.fixed_seed("Of the whole run: sample i is drawn with first_seed + i."),
            },
            "optional": {
                "kept_rows": inputs.advanced(
                    inputs.integer(
                        ROWS, 0, 1_000_000, "How many samples' own features are kept for KID, precision and recall."
                    )
                ),
                "rows_seed": inputs.advanced(inputs.fixed_seed("Which samples these are.")),
                "batch_size": inputs.fitting_batch_size("drawn"),
            },
        }

    def run(
        self,
        generator: host.Handle,
        extractor: host.Handle,
        reference: Features,
        first_image: int,
        num_images: int,
        first_seed: int,
        kept_rows: int = ROWS,
        rows_seed: int = 0,
        batch_size: int = 0,
    ) -> dict[str, Any]:
        plan = Plan(num_images, first_seed, kept_rows, rows_seed, first_image)
        place = place_of(generator, extractor, reference, plan)
        evaluations = generator.model.generator.evaluations(generator.model.settings)
        folder = host.temp_folder() / place.parent
        with host.progress(num_images * evaluations) as on_step:
            stored = draw_part(generator, extractor, reference, plan, batch_size, folder, on_step)
        text = f"{place.as_posix()}\n{summary(stored.features)}"
        return show_text(text, stored.features, place.as_posix())


NODES = {"TrilemmaBenchmarkPart": BenchmarkPart}
