"""Nodes of the menu Trilemma/Score that draw from a generator and score what they drew: one setting, or many."""

from __future__ import annotations

from typing import Any

from .. import host
from ..models.pictures.grids import Theme
from ..models.scoring import scores
from ..models.scoring.benchmark.candidates import KEPT
from ..models.scoring.benchmark.run import Plan
from ..models.scoring.benchmark.sweep import CURVES, SWEPT, chosen, read_values
from ..models.scoring.benchmark.task import (
    SHOWN,
    Task,
    batch_size_of,
    carry_out,
    carry_out_all,
    memory_bytes,
    steps_of,
)
from ..models.scoring.evaluation import Settings
from ..models.scoring.features.feature_set import ROWS, Features
from ..models.scoring.metrics.kernel import SUBSET_SIZE, SUBSETS, Kernel
from ..models.scoring.metrics.neighbours import NEAREST, Neighbourhood
from ..models.scoring.reports import sweep_report
from ..models.scoring.reports.curves import draw_curves
from ..models.scoring.reports.scores_text import describe
from ..models.scoring.set_pair import NO_PROTOCOL
from .common import inputs, kinds, menus
from .common.metric_inputs import EXTRAS, METRIC_INPUTS, NEIGHBOURHOOD
from .common.provenance import run_provenance
from .common.readers import readers_above
from .common.showing import show_text

INPUTS = {
    "generator": inputs.link(kinds.GENERATOR, "From Load Generator, an option node or Condition."),
    "extractor": inputs.link(kinds.EXTRACTOR, "From Load Feature Extractor; the one that took the reference."),
    "reference": inputs.link(
        kinds.FEATURES, "What the samples should look like. Those of its features that sFID needs are taken too."
    ),
}
DRAWING = {
    # Not `seed`: the page would change that one after every run, and a stopped run could not go on.
    "first_seed": inputs.fixed_seed("Sample i is drawn with first_seed + i."),
    "filename_prefix": inputs.text(
        "benchmarks/generator",
        "Beginning of the folder's name below the output folder, in which report and state are kept.",
    ),
}
TAKING = {
    "name": inputs.text("", "As tables show it; empty takes the architecture's."),
    "kept_rows": inputs.advanced(
        inputs.integer(ROWS, 0, 1_000_000, "How many samples' own features are kept for KID, precision and recall.")
    ),
    "rows_seed": inputs.advanced(inputs.fixed_seed("Which samples these are.")),
    "batch_size": inputs.fitting_batch_size("drawn"),
    **METRIC_INPUTS,
}
HIDDEN = {"prompt": "PROMPT", "graph": "DYNPROMPT", "node_id": "UNIQUE_ID"}


def _num_images(default: int, tooltip: str) -> inputs.Input:
    return inputs.integer(default, 2, 1_000_000, tooltip)


class BenchmarkGenerator:
    DISPLAY_NAME = "Benchmark Generator"
    CATEGORY = menus.SCORE
    DESCRIPTION = (
        "Draws samples from a generator, scores them against a reference and measures what they cost, in one pass that "
        "keeps no images. A run that was stopped goes on where it stopped, and a longer one begins with a shorter one."
    )
    SEARCH_ALIASES = ["fid of a model", "evaluate generator", "benchmark", "fid 50k", "throughput", "images per second"]
    RETURN_TYPES = (kinds.SCORES, kinds.FEATURES, "IMAGE", "IMAGE", "STRING", "STRING", "STRING")
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
                "num_images": _num_images(2048, "How many to draw: thousands for numbers that stand."),
                **DRAWING,
            },
            "optional": {
                **TAKING,
                "num_shown": inputs.integer(SHOWN, 1, KEPT, "Samples in the strips of best and worst."),
                **NEIGHBOURHOOD,
                **EXTRAS,
            },
            "hidden": HIDDEN,
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
        kept_rows: int = ROWS,
        rows_seed: int = 0,
        batch_size: int = 0,
        kid_subsets: int = SUBSETS,
        kid_subset_size: int = SUBSET_SIZE,
        nearest_k: int = NEAREST,
        subsets_seed: int = 0,
        num_shown: int = SHOWN,
        neighbourhood: Neighbourhood = "open",
        kid_kernel: Kernel = "polynomial",
        diversity: bool = False,
        held_out: Features | None = None,
        protocol: str = NO_PROTOCOL,
        prompt: dict[str, Any] | None = None,
        graph: Any = None,
        node_id: str | None = None,
    ) -> dict[str, Any]:
        bound, model = generator.model, extractor.model
        plan = Plan(num_images, first_seed, kept_rows, rows_seed)
        others = (nearest_k, subsets_seed, neighbourhood, kid_kernel, diversity, protocol)
        settings = Settings(kid_subsets, kid_subset_size, *others)
        readers = readers_above(graph, node_id, "generator")
        task = _task(plan, settings, filename_prefix, batch_size, num_shown, prompt, readers, held_out)
        memory = memory_bytes(bound, model, batch_size_of(task, bound, model))
        with (
            host.placed(generator, extractor, memory=memory) as device,
            host.progress(steps_of(task, bound)) as on_step,
        ):
            done = carry_out(task, bound, model, reference, device, name, on_step, host.halving)
        text = describe(done.scores)
        strips = (host.intermediate(strip) for strip in (done.best, done.worst))
        outputs = (done.scores, done.features, *strips, scores.to_json(done.scores), text, done.file)
        return show_text(f"{done.file}\n{text}", *outputs)


class Sweep:
    DISPLAY_NAME = "Sweep"
    CATEGORY = menus.SCORE
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
    RETURN_TYPES = (kinds.SCORES, "FLOAT", kinds.SCORES, "IMAGE", "STRING", "STRING")
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
                "option": inputs.choice(SWEPT, "What is changed; the generator must have it."),
                "values": inputs.text("0.5, 0.7, 0.85, 1.0", "At least two numbers, separated by commas."),
                "num_images": _num_images(1024, "How many to draw at each value."),
                **DRAWING,
            },
            "optional": {
                "knee_of": inputs.choice(CURVES, "Which curve's knee the first two outputs are."),
                "theme": inputs.theme(),
                **TAKING,
                **NEIGHBOURHOOD,
                **EXTRAS,
            },
            "hidden": HIDDEN,
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
        kept_rows: int = ROWS,
        rows_seed: int = 0,
        batch_size: int = 0,
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
        graph: Any = None,
        node_id: str | None = None,
    ) -> dict[str, Any]:
        bound, model = generator.model, extractor.model
        found = read_values(values, bound, option)
        plan = Plan(num_images, first_seed, kept_rows, rows_seed)
        others = (nearest_k, subsets_seed, neighbourhood, kid_kernel, diversity, protocol)
        settings = Settings(kid_subsets, kid_subset_size, *others)
        readers = readers_above(graph, node_id, "generator")
        task = _task(plan, settings, filename_prefix, batch_size, 0, prompt, readers, held_out)
        memory = memory_bytes(bound, model, batch_size_of(task, bound, model))
        steps = sum(steps_of(task, each) for _, each in found)
        with host.placed(generator, extractor, memory=memory) as device, host.progress(steps) as on_step:
            done = carry_out_all(task, option, found, model, reference, device, name, on_step, host.halving)
        place, text = chosen(done, knee_of), sweep_report.describe(done)
        curves = host.intermediate(draw_curves(done, theme))
        knee = (done.scores[place], float(done.values[place]))
        return show_text(text, *knee, list(done.scores), curves, sweep_report.to_json(done), text)


def _task(
    plan: Plan,
    settings: Settings,
    filename_prefix: str,
    batch_size: int,
    num_shown: int,
    prompt: dict[str, Any] | None,
    readers: tuple[str, ...],
    held_out: Features | None,
) -> Task:
    place = (host.output_folder(), filename_prefix)
    return Task(plan, settings, *place, batch_size, num_shown, readers, run_provenance(prompt), held_out)


NODES = {"TrilemmaBenchmarkGenerator": BenchmarkGenerator, "TrilemmaSweep": Sweep}
