"""Nodes of the menu Trilemma/Score that draw from a generator and score what they drew: one setting, or many."""

from __future__ import annotations

from typing import Any

from .. import host
from ..models.generators import noise
from ..models.generators.binding import total_steps
from ..models.pictures.grids import THEMES, Theme
from ..models.scoring import scores
from ..models.scoring.benchmark import Plan
from ..models.scoring.candidates import KEPT
from ..models.scoring.evaluation import Settings
from ..models.scoring.features.feature_set import ROWS, Features
from ..models.scoring.reports import benchmark_report
from ..models.scoring.reports.benchmark_report import SHOWN, Task, batch_size_of, carry_out, carry_out_all
from ..models.scoring.reports.curves import draw_curves
from ..models.scoring.sweep import CURVES, SWEPT, chosen, read_values, to_json_text
from ..models.scoring.sweep import describe as describe_sweep
from .common.scoring import CATEGORY, EXTRACTOR, FEATURES, SCORES, SETTINGS, run_provenance

INPUTS = {
    "generator": ("TRILEMMA_GENERATOR", {"tooltip": "From Load Generator, an option node or Condition."}),
    "extractor": (EXTRACTOR, {"tooltip": "From Load Feature Extractor; the one that took the reference."}),
    "reference": (
        FEATURES,
        {"tooltip": "What the samples should look like. Those of its features that sFID needs are taken too."},
    ),
}
DRAWING = {
    # Not `seed`: the page would change that one after every run, and a stopped run could not go on.
    "first_seed": (
        "INT",
        {"default": 0, "min": 0, "max": noise.SEEDS - 1, "tooltip": "Sample i is drawn with first_seed + i."},
    ),
    "filename_prefix": (
        "STRING",
        {
            "default": "benchmarks/generator",
            "tooltip": "Beginning of the folder's name below the output folder, in which report and state are kept.",
        },
    ),
}
TAKING = {
    "name": ("STRING", {"default": "", "tooltip": "As tables show it; empty takes the architecture's."}),
    "kept_rows": (
        "INT",
        {
            "default": ROWS,
            "min": 0,
            "max": 1_000_000,
            "tooltip": "How many samples' own features are kept for KID, precision and recall.",
            "advanced": True,
        },
    ),
    "rows_seed": (
        "INT",
        {"default": 0, "min": 0, "max": 2**64 - 1, "tooltip": "Which samples these are.", "advanced": True},
    ),
    "batch_size": (
        "INT",
        {
            "default": 0,
            "min": 0,
            "max": 4096,
            "tooltip": "Samples drawn at once, which changes only the speed; 0 takes as many as need 1 GB. Halved by "
            "itself when memory runs out.",
            "advanced": True,
        },
    ),
    **SETTINGS,
}


def _count(default: int, tooltip: str) -> tuple[str, dict[str, Any]]:
    return ("INT", {"default": default, "min": 2, "max": 1_000_000, "tooltip": tooltip})


class BenchmarkGenerator:
    DISPLAY_NAME = "Benchmark Generator"
    CATEGORY = CATEGORY
    DESCRIPTION = (
        "Draws samples from a generator, scores them against a reference and measures what they cost, in one pass that "
        "keeps no images. A run that was stopped goes on where it stopped, and a longer one begins with a shorter one."
    )
    SEARCH_ALIASES = ["fid of a model", "evaluate generator", "benchmark", "fid 50k", "throughput", "images per second"]
    RETURN_TYPES = (SCORES, FEATURES, "IMAGE", "IMAGE", "STRING", "STRING", "STRING")
    RETURN_NAMES = ("scores", "features", "best", "worst", "data", "report", "file")
    OUTPUT_TOOLTIPS = (
        "Scores, cost and where they came from, for Leaderboard and Score Gate.",
        "The samples' features, for Save Features and Merge Features.",
        "A strip of the samples nearest to the reference in feature space, the nearest first.",
        "A strip of the samples farthest from it, the farthest first.",
        "JSON: scores, cost, and everything needed to run this again.",
        "Scores and cost in words.",
        "The report's name below the output folder.",
    )
    FUNCTION = "run"
    OUTPUT_NODE = True

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {
            "required": {
                **INPUTS,
                "num_images": _count(2048, "How many to draw: thousands for numbers that stand."),
                **DRAWING,
            },
            "optional": {
                **TAKING,
                "num_shown": (
                    "INT",
                    {"default": SHOWN, "min": 1, "max": KEPT, "tooltip": "Samples in the strips of best and worst."},
                ),
            },
            "hidden": {"prompt": "PROMPT"},
        }

    def run(
        self,
        generator: host.Handle,
        extractor: host.Handle,
        reference: Features,
        num_images: int,
        first_seed: int,
        filename_prefix: str,
        name: str = "",
        num_shown: int = SHOWN,
        prompt: dict[str, Any] | None = None,
        **settings: Any,
    ) -> dict[str, Any]:
        bound, model = generator.model, extractor.model
        task = _task(num_images, first_seed, filename_prefix, prompt, num_shown, **settings)
        memory = benchmark_report.memory_bytes(bound, model, batch_size_of(task, bound, model))
        with (
            host.placed(generator, extractor, memory=memory) as device,
            host.progress(total_steps(bound, num_images)) as on_step,
        ):
            done = carry_out(task, bound, model, reference, device, name, on_step, host.halving)
        text = scores.describe(done.scores)
        strips = (host.intermediate(strip) for strip in (done.best, done.worst))
        result = (done.scores, done.features, *strips, scores.to_json(done.scores), text, done.file)
        return {"ui": {"text": [f"{done.file}\n{text}"]}, "result": result}


class Sweep:
    DISPLAY_NAME = "Sweep"
    CATEGORY = CATEGORY
    DESCRIPTION = (
        "Benchmarks a generator at several values of one option, and draws what the option trades for what: precision "
        "against recall, FID against the Inception score, FID against seconds, with the knee of each curve marked."
    )
    SEARCH_ALIASES = [
        "truncation sweep",
        "guidance sweep",
        "trade-off curve",
        "pareto",
        "parameter sweep",
        "fidelity diversity",
        "ablation",
    ]
    RETURN_TYPES = (SCORES, "FLOAT", SCORES, "IMAGE", "STRING", "STRING")
    RETURN_NAMES = ("knee", "knee_value", "scores", "curves", "data", "report")
    OUTPUT_IS_LIST = (False, False, True, False, False, False)
    OUTPUT_TOOLTIPS = (
        "Scores at the knee of the chosen curve; where it has none, those with the lowest FID.",
        "The option's value there.",
        "Scores at every value, from the lowest: a list, so that what is connected runs once for each.",
        "Three pictures: precision and recall, FID and IS, FID and seconds.",
        "JSON: all values with their scores, and the knees.",
        "A table of values and scores, and the knees.",
    )
    FUNCTION = "run"
    OUTPUT_NODE = True

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {
            "required": {
                **INPUTS,
                "option": (list(SWEPT), {"tooltip": "What is changed; the generator must have it."}),
                "values": (
                    "STRING",
                    {"default": "0.5, 0.7, 0.85, 1.0", "tooltip": "At least two numbers, separated by commas."},
                ),
                "num_images": _count(1024, "How many to draw at each value."),
                **DRAWING,
            },
            "optional": {
                "knee_of": (list(CURVES), {"tooltip": "Which curve's knee the first two outputs are."}),
                "theme": (list(THEMES), {"tooltip": "Dark text on a light ground, or light on dark."}),
                **TAKING,
            },
            "hidden": {"prompt": "PROMPT"},
        }

    def run(
        self,
        generator: host.Handle,
        extractor: host.Handle,
        reference: Features,
        option: str,
        values: str,
        num_images: int,
        first_seed: int,
        filename_prefix: str,
        knee_of: str = next(iter(CURVES)),
        theme: Theme = "light",
        name: str = "",
        prompt: dict[str, Any] | None = None,
        **settings: Any,
    ) -> dict[str, Any]:
        bound, model = generator.model, extractor.model
        found = read_values(values, bound, option)
        task = _task(num_images, first_seed, filename_prefix, prompt, 0, **settings)
        memory = benchmark_report.memory_bytes(bound, model, batch_size_of(task, bound, model))
        steps = sum(total_steps(each, num_images) for _, each in found)
        with host.placed(generator, extractor, memory=memory) as device, host.progress(steps) as on_step:
            done = carry_out_all(task, option, found, model, reference, device, name, on_step, host.halving)
        place, text = chosen(done, knee_of), describe_sweep(done)
        curves = host.intermediate(draw_curves(done, theme))
        result = (
            done.scores[place], float(done.values[place]), list(done.scores), curves, to_json_text(done), text,
        )  # fmt: skip
        return {"ui": {"text": [text]}, "result": result}


def _task(
    num_images: int,
    first_seed: int,
    filename_prefix: str,
    prompt: dict[str, Any] | None,
    num_shown: int = SHOWN,
    kept_rows: int = ROWS,
    rows_seed: int = 0,
    batch_size: int = 0,
    **settings: int,
) -> Task:
    return Task(
        Plan(num_images, first_seed, kept_rows, rows_seed),
        Settings(**settings),
        host.output_folder(),
        filename_prefix,
        batch_size,
        num_shown,
        run_provenance(prompt),
    )


NODES = {"TrilemmaBenchmarkGenerator": BenchmarkGenerator, "TrilemmaSweep": Sweep}
