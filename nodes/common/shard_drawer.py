"""What a worker of a cluster does: it reads the models of a graph once, and draws shards of their benchmark."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import torch

from ...host import core_nodes, standalone
from ...models.errors import CannotDo
from ...models.scoring.benchmark.run import Plan, key_of
from ...models.scoring.features.feature_files import Stored
from ...models.scoring.features.feature_set import Features
from .benchmark_graph import MODELS, values_of
from .benchmark_parts import draw_part


class Errand(NamedTuple):
    """What all workers of a run are sent.

    graph, node_id: the graph, and its Benchmark Generator. reference: as the sender has it. plan: of the whole run.
    key: of the run, as the sender has it. places: folders, see `standalone.use_folders`. threads: of PyTorch.
    """

    graph: Mapping[str, Any]
    node_id: str
    reference: Features
    plan: Plan
    batch_size: int
    key: str
    places: Mapping[str, Path | None]
    threads: int


class ShardDrawer:
    """Made once in each process of a cluster."""

    def __init__(self, errand: Errand) -> None:
        """
        Raises:
            CannotDo: the models of this machine are not the sender's.
        """
        # The table is made of files that import this one.
        from .. import NODE_CLASS_MAPPINGS

        self._errand = errand
        torch.set_num_threads(errand.threads)
        standalone.use_folders(**errand.places)
        nodes = {**core_nodes.NODES, **NODE_CLASS_MAPPINGS}
        values = values_of(errand.graph, errand.node_id, MODELS, nodes)
        self._generator, self._extractor = (values[name] for name in MODELS)
        key = key_of(self._generator.model, self._extractor.model, errand.reference, errand.plan)
        if key != errand.key:
            raise CannotDo(
                f"workers: the generator or extractor of this machine is not the one of the call (key {key}, not "
                f"{errand.key}); give all machines the same model files and the same version of the pack."
            )

    def draw(self, first: int, count: int, tell: Callable[[int], None]) -> Stored:
        """Samples `first` to `first + count - 1`. tell: called with how many of them are drawn."""
        # Of the thread that computes, which may be another one than that which made this.
        torch.set_num_threads(self._errand.threads)
        bound = self._generator.model
        evaluations = bound.generator.evaluations(bound.settings)

        def on_step(done: int, preview: torch.Tensor | None = None) -> None:
            tell(done // evaluations)

        plan = replace(self._errand.plan, first=first, num_images=count)
        models = (self._generator, self._extractor, self._errand.reference)
        return draw_part(*models, plan, self._errand.batch_size, None, on_step)
