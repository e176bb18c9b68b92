"""A part of a benchmark drawn on this machine, whether a node or a worker of a cluster asks for it."""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import Final

import torch

from ... import host
from ...models.generators.binding import Bound
from ...models.scoring.benchmark.run import Benchmark, Plan, key_of
from ...models.scoring.benchmark.task import fitting_batch, memory_bytes
from ...models.scoring.extractors.base import Extractor
from ...models.scoring.features.feature_files import Stored
from ...models.scoring.features.feature_set import Features
from ...models.steps import OnStep, quiet

FOLDER: Final = "benchmark_parts"
"""Below the temp folder."""


def place(key: str, first: int, count: int) -> PurePosixPath:
    """Where a part is, below the temp folder. key: of its run."""
    return PurePosixPath(FOLDER, key, str(first), f"{count}.npz")


def place_of(generator: host.Handle, extractor: host.Handle, reference: Features, plan: Plan) -> PurePosixPath:
    """The same, of this machine's models."""
    return place(key_of(generator.model, extractor.model, reference, plan), plan.first, plan.num_images)


def draw_part(
    generator: host.Handle,
    extractor: host.Handle,
    reference: Features,
    plan: Plan,
    batch_size: int,
    folder: Path | None,
    on_step: OnStep = quiet,
) -> Stored:
    """Samples `plan.first` and on, with what else the whole needs to know of them.

    batch_size: 0 takes what fits. folder: see `Benchmark`. on_step: called with the steps done for this part.
    """
    bound: Bound = generator.model
    model: Extractor = extractor.model
    size = fitting_batch(plan.num_images, batch_size, bound, model)
    run = Benchmark(bound, model, reference, plan, folder, on_step)
    memory = memory_bytes(bound, model, size)
    with host.placed(generator, extractor, memory=memory) as device, torch.inference_mode():
        run.run(size, device, host.halving)
    return run.state()
