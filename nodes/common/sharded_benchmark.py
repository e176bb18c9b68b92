"""`headless.py benchmark`: the benchmarks of a graph drawn by many workers, then the graph run as it would be alone.

What the workers count becomes the state that Benchmark Generator goes on from, and nothing is left for it to draw.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch

from ... import host
from ...host.problems import title_of
from ...models.errors import CannotDo
from ...models.files.atomic import Taken, locked, make_folder, replacing
from ...models.scoring.benchmark.crew import Worker, carry_out
from ...models.scoring.benchmark.gathering import PARTS, Gathered
from ...models.scoring.benchmark.run import Plan, key_of
from ...models.scoring.benchmark.shards import Lost, Shard
from ...models.scoring.benchmark.task import fitting_batch, folder_of
from ...models.scoring.features.feature_files import Stored, load_stored
from ...models.scoring.features.feature_set import Features, check_source
from ...models.scoring.protocols import check_plan, protocol_of
from .benchmark_graph import SHARED, Graph, part_graph, values_of
from .benchmark_parts import place
from .shard_drawer import Errand


class Job(NamedTuple):
    """One Benchmark Generator of a graph. reference, key, folder: see `Benchmark`. batch_size: of every batch."""

    graph: Graph
    node_id: str
    plan: Plan
    batch_size: int
    reference: Features
    key: str
    folder: Path

    @property
    def title(self) -> str:
        """Of the node."""
        return title_of(self.node_id, self.graph[self.node_id])

    def errand(self, places: Mapping[str, Path | None], threads: int) -> Errand:
        """What a worker of a cluster is sent."""
        return Errand(self.graph, self.node_id, self.reference, self.plan, self.batch_size, self.key, places, threads)

    def graph_of(self, first: int, count: int) -> dict[str, Any]:
        """What a server is sent."""
        return part_graph(self.graph, self.node_id, self.batch_size, first, count)

    def place_of(self, first: int, count: int) -> str:
        """The file that a server then has, below its temp folder."""
        return place(self.key, first, count).as_posix()


class Gathering(NamedTuple):
    """samples, shards: that were drawn. lost: what workers did not finish, each drawn again by another."""

    samples: int
    shards: int
    lost: Sequence[Lost]
    seconds: float


def job_of(graph: Graph, node_id: str, node_classes: Mapping[str, type]) -> Job:
    """Reads the models that reach the node, and asks all that would be asked before the first sample.

    Raises:
        TrilemmaError: see `benchmark_graph.values_of`, `Benchmark` and `protocols.check_plan`.
    """
    names = (*SHARED, "num_images", "filename_prefix", "batch_size", "protocol")
    given = values_of(graph, node_id, names, node_classes)
    bound, extractor, reference = given["generator"].model, given["extractor"].model, given["reference"]
    plan = Plan(given["num_images"], given["first_seed"], given["kept_rows"], given["rows_seed"])
    check_source(reference, extractor.source)
    protocol = protocol_of(given["protocol"])
    if protocol is not None:
        check_plan(protocol, extractor.source, plan.num_images, plan.kept_rows)
    key = key_of(bound, extractor, reference, plan)
    folder = folder_of(host.output_folder(), given["filename_prefix"], key)
    batch_size = fitting_batch(plan.num_images, given["batch_size"], bound, extractor)
    return Job(graph, node_id, plan, batch_size, reference, key, folder)


def gather(
    job: Job,
    workers: Sequence[Worker[Stored | bytes]],
    on_lost: Callable[[Lost], None] = lambda lost: None,
) -> Gathering:
    """Has the workers draw what is missing of a benchmark; the folder then has the state of the whole.

    workers: give a part, or the bytes of its file.

    Raises:
        Interrupted: at the next look, every worker being stopped; what was counted stays.
        CannotDo: another process has the same benchmark drawn.
        TrilemmaError: see `crew.carry_out`.
    """
    make_folder(job.folder)
    try:
        with locked(job.folder / "gathering", wait=False):
            return _gather(job, workers, on_lost)
    except Taken as error:
        raise CannotDo(
            f"{job.title}: another process has this very benchmark drawn, into {job.folder}; call again when it has "
            "ended, and its samples count."
        ) from error


def _gather(job: Job, workers: Sequence[Worker[Stored | bytes]], on_lost: Callable[[Lost], None]) -> Gathering:
    gathered = Gathered(job.folder, job.plan.num_images)
    shards = gathered.missing(job.batch_size, len(workers))
    if not shards:
        return Gathering(0, 0, (), 0.0)
    began, missing = time.perf_counter(), sum(shard.count for shard in shards)
    before = job.plan.num_images - missing

    def count(shard: Shard, result: Stored | bytes) -> None:
        gathered.add(shard, _stored(job, shard, result) if isinstance(result, bytes) else result)

    with host.progress(job.plan.num_images) as show:
        shown = -1

        def on_step(done: int, preview: torch.Tensor | None = None) -> None:
            nonlocal shown
            host.check_interrupted()
            if done != shown:
                show(before + done)
                shown = done

        lost = carry_out(workers, shards, count, on_step, on_lost=on_lost)
    return Gathering(missing, len(shards), lost, time.perf_counter() - began)


def _stored(job: Job, shard: Shard, content: bytes) -> Stored:
    path = job.folder / PARTS / str(shard.first) / "fetched"
    make_folder(path.parent)
    with replacing(path) as file:
        file.write(content)
    try:
        return load_stored(path)
    finally:
        path.unlink()
