"""A benchmark from the first sample to the report on disk."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, Final, NamedTuple

import torch

from ...files.atomic import replacing
from ...files.paths import path_inside, prefix_inside
from ...generators import sampling
from ...generators.binding import Bound, total_steps
from ...steps import Halving, OnStep, after, as_given, quiet
from .. import sample_pictures
from ..evaluation import Settings, score
from ..extractors.base import Extractor
from ..features import extraction
from ..features.feature_set import Features, check_source
from ..protocols import check_plan, protocol_of
from ..scores import Scores, to_json
from .candidates import KEPT
from .run import Benchmark, Plan, key_of
from .sweep import Sweep, sweep

TIMED: Final = 4
"""Batches at least, where their size is not given: the time of the first call stands apart."""
SHOWN: Final = 8


@dataclass(frozen=True)
class Task:
    """What is to be measured, and where the report goes.

    root: folder below which everything is written. prefix: beginning of the name of the benchmark's own folder there.
    batch_size: samples drawn at once; 0 takes what fits. shown: samples in the strips.
    readers: what read the files of a generator that only gives them back (see `Features`).
    provenance: further entries of the report. held_out: see `score`.
    """

    plan: Plan
    settings: Settings
    root: Path
    prefix: str
    batch_size: int = 0
    shown: int = SHOWN
    readers: tuple[str, ...] = ()
    provenance: Mapping[str, Any] = field(default_factory=dict)
    held_out: Features | None = None


class Done(NamedTuple):
    """scores: with small pictures of the best and the worst. best, worst: strips of them, float32 [1, H, N * W, 3],
    0..1, the most extreme first. file: the report, below the root."""

    scores: Scores
    features: Features
    best: torch.Tensor
    worst: torch.Tensor
    file: str


def batch_size_of(task: Task, bound: Bound, extractor: Extractor) -> int:
    """The number of samples to draw at once: as many as fit both networks, in at least TIMED batches."""
    return fitting_batch(task.plan.num_images, task.batch_size, bound, extractor)


def fitting_batch(count: int, batch_size: int, bound: Bound, extractor: Extractor) -> int:
    """The same for so many samples. batch_size: what the user wants; 0 takes what fits."""
    if batch_size:
        return min(batch_size, count)
    largest = min(sampling.fitting_batch(bound.generator, count), extraction.fitting_batch(extractor, count))
    return max(1, min(largest, count // TIMED))


def memory_bytes(bound: Bound, extractor: Extractor, batch_size: int) -> int:
    """Activation memory of the larger of the two networks, which work in turn."""
    return max(bound.generator.memory_bytes(batch_size), extractor.memory_bytes(batch_size))


def steps_of(task: Task, bound: Bound) -> int:
    """What `carry_out` counts its steps up to: those of the samples, and of both strips."""
    count = task.plan.num_images
    return total_steps(bound, count + len(sample_pictures.ENDS) * min(task.shown, KEPT, count))


def carry_out(
    task: Task,
    bound: Bound,
    extractor: Extractor,
    reference: Features,
    device: torch.device,
    name: str = "",
    on_step: OnStep = quiet,
    halving: Halving = as_given,
) -> Done:
    """Draw, score, measure, and write `<root>/<prefix>_<key>/<number of samples>.json`, the state beside it.

    Samples that were drawn and counted in an earlier run are not drawn again, but for the few in the strips.

    name: of the model, as tables show it; empty takes the architecture's. on_step: called with the steps done, of
    `steps_of`. The rest: see `Benchmark`.

    Raises:
        BadInput: see `Benchmark` and `score`; the prefix leads out of the root, or names nothing.
    """
    if task.held_out is not None:
        check_source(task.held_out, extractor.source)
    protocol = protocol_of(task.settings.protocol)
    if protocol is not None:
        check_plan(protocol, extractor.source, task.plan.num_images, task.plan.kept_rows)
    key = key_of(bound, extractor, reference, task.plan)
    folder = folder_of(task.root, task.prefix, key)
    batch_size = batch_size_of(task, bound, extractor)
    run = Benchmark(bound, extractor, reference, task.plan, folder, on_step)
    outcome = run.run(batch_size, device, halving)
    nearest, farthest = outcome.nearest[: task.shown], outcome.farthest[: task.shown]
    provenance = {
        **outcome.provenance,
        "best": run.told(nearest),
        "worst": run.told(farthest),
        "key": key,
        **task.provenance,
    }
    name = name or bound.generator.descriptor.architecture
    features = outcome.features._replace(name=name, readers=task.readers, source=extractor.source)
    scores = score(features, reference, task.settings, name, outcome.cost, provenance, task.held_out)
    strips, drawn = {}, task.plan.num_images
    for end, found in zip(sample_pictures.ENDS, (nearest, farthest), strict=True):
        draw = partial(run.draw_again, found, on_step=after(on_step, total_steps(bound, drawn)))
        strips[end] = halving(draw, batch_size)
        drawn += len(found)
    if nearest:
        pictures = {end: sample_pictures.small(strip, len(nearest)) for end, strip in strips.items()}
        scores = replace(scores, pictures=pictures)
    file = folder / f"{task.plan.num_images}.json"
    with replacing(file) as stream:
        stream.write(to_json(scores, pictures=True).encode())
    written = file.relative_to(task.root).as_posix()
    return Done(scores, features, **strips, file=written)


def carry_out_all(
    task: Task,
    option: str,
    values: Sequence[tuple[float, Bound]],
    extractor: Extractor,
    reference: Features,
    device: torch.device,
    name: str = "",
    on_step: OnStep = quiet,
    halving: Halving = as_given,
) -> Sweep:
    """The same for each value of an option (`sweep.read_values`), with a report for each.

    on_step: called with the steps done for all values.
    """
    found, done = [], 0
    for value, bound in values:
        offset = done

        def step(steps: int, preview: torch.Tensor | None = None, offset: int = offset) -> None:
            on_step(offset + steps, preview)

        title = f"{name or bound.generator.descriptor.architecture}, {option} = {value:g}"
        found.append(carry_out(task, bound, extractor, reference, device, title, step, halving).scores)
        done += steps_of(task, bound)
    return sweep(option, [value for value, _ in values], found)


def folder_of(root: Path, prefix: str, key: str) -> Path:
    """Where state and report of a benchmark are. root, prefix: see `Task`. key: `run.key_of`.

    Raises:
        BadInput: the prefix leads out of the root, or names nothing.
    """
    path = prefix_inside(root, prefix, "benchmarks/generator")
    below = path.relative_to(root).as_posix()
    return path_inside(root, f"{below}_{key}", "filename_prefix")
