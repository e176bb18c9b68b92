"""A generator's scores and cost in one pass that can be stopped at any time: samples are drawn, described, counted and
forgotten; what has been counted lies on disk."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple

import torch

from ...errors import BadInput
from ...files.atomic import locked, make_folder, sweep_parts
from ...files.hashes import hashes
from ...generators import noise
from ...generators.binding import Batch, Bound, sample
from ...generators.records import records_of
from ...generators.vae.priors import Prior
from ...steps import Halving, OnStep, as_given, quiet
from ..extractors.base import Extractor
from ..features import samples
from ..features.digest import digest_of
from ..features.extraction import answer
from ..features.feature_files import Stored, load_stored, save
from ..features.feature_set import ROWS, Accumulator, Features, check_source, merge
from ..features.keys import hash_keys
from .candidates import Candidate, Candidates
from .cost import PeakMemory, Timings, size_of

VERSION: Final = 1
"""To be raised when the same settings would give other samples or features."""
SAVE_SECONDS: Final = 30.0
"""What a process that is killed can lose at most; one that is interrupted loses nothing."""


@dataclass(frozen=True)
class Plan:
    """num_images: samples that are drawn. seed: of sample 0; sample i has seed + i.
    kept_rows, rows_seed: see features.Rows. first: the sample that it begins with; a part of a run begins later."""

    num_images: int
    seed: int = 0
    kept_rows: int = ROWS
    rows_seed: int = 0
    first: int = 0


class Outcome(NamedTuple):
    """features: of all samples. cost: see report.Scores. nearest, farthest: of them, see Candidates.
    provenance: what decided them, in values that JSON knows."""

    features: Features
    cost: Mapping[str, float]
    nearest: Sequence[Candidate]
    farthest: Sequence[Candidate]
    provenance: Mapping[str, Any]


def key_of(bound: Bound, extractor: Extractor, reference: Features, plan: Plan) -> str:
    """16 hex digits that tell the runs which may go on where another stopped, or add up: all but which samples."""
    generator = bound.generator
    decisive = [
        VERSION,
        generator.identity,
        generator.descriptor.architecture,
        hashes(generator.files),
        {name: _exact(value) for name, value in bound.settings.items()},
        [condition.told() for condition in bound.conditions],
        extractor.source.key,
        digest_of(reference),
        plan.seed,
        plan.kept_rows,
        plan.rows_seed,
    ]
    return hashlib.sha256(json.dumps(decisive, sort_keys=True).encode()).hexdigest()[:16]


def longest(folder: Path, num_images: int) -> Stored | None:
    """Of the states in the folder of a run's key that have no more than these samples the one that has most.

    Raises:
        BadCheckpoint: a file in the folder is broken.
    """
    found = [load_stored(file) for file in sorted(folder.glob("*.npz"))]
    usable = [stored for stored in found if stored.features.count <= num_images]
    return max(usable, key=lambda stored: stored.features.count, default=None)


def _exact(value: Any) -> Any:
    if not isinstance(value, Prior):
        return value
    digest = hashlib.sha256()
    for numbers in (value.weights, value.means, value.factors):
        digest.update(numbers.contiguous().numpy().tobytes())
    return f"{value} {digest.hexdigest()}"


class Benchmark:
    """One run, or a part of one. What it has counted so far lies in `folder`, in a file named by the number of samples.

    A run begins with the largest part of it that the folder has: its own, or a shorter run's.
    """

    def __init__(
        self,
        bound: Bound,
        extractor: Extractor,
        reference: Features,
        plan: Plan,
        folder: Path | None,
        on_step: OnStep = quiet,
        save_seconds: float = SAVE_SECONDS,
    ) -> None:
        """
        Args:
            folder: of this run's key alone (`key_of`), and of the plan's `first`; None keeps nothing on disk.
            on_step: called with the steps done, of `binding.total_steps`, and now and then with a preview.
            save_seconds: between two writes of the state.

        Raises:
            BadInput: fewer than two samples, or the reference was taken by another extractor.
            BadCheckpoint: a file in the folder is broken.
        """
        if plan.first + plan.num_images < 2:
            raise BadInput(f"num_images: {plan.num_images} is too few for scores; draw at least 2, better thousands.")
        check_source(reference, extractor.source)
        self._bound, self._extractor, self._plan = bound, extractor, plan
        self._taps = [tap.name for tap in reference.taps]
        self._on_step = on_step
        self._save_seconds = save_seconds
        self._file = None if folder is None else folder / f"{plan.num_images}.npz"
        self._timings, self._candidates = Timings(), Candidates(reference)
        self._peak, self._drew = 0, False
        self._device: str | None = None
        self._before = None if folder is None else self._resume(folder)
        self._begin_part()

    @property
    def done(self) -> int:
        """Samples that are counted."""
        return self._before_count + self._part_count

    def run(self, batch_size: int, device: torch.device, halving: Halving = as_given) -> Outcome:
        """Draw what is missing, `batch_size` at a time, and give the whole.

        device: where the networks are. halving: `host.halving`, for instance; what was counted when memory runs out
        stays.

        Whatever ends this, all that was counted is on disk, but for a process that is killed.
        """
        with PeakMemory(device) as memory:
            try:
                halving(self._advance, batch_size)
            finally:
                if self._drew:
                    self._peak = max(self._peak, memory.bytes)
                    self._device = device.type
                if self._part_count:
                    self.save()
        cost = {**size_of(self._bound), **self._timings.cost(), "peak_bytes": float(self._peak)}
        found = self._candidates
        provenance = {**self._provenance(), "batch_size": batch_size, "device": self._device or device.type}
        assert self._before is not None  # a plan has at least two samples
        return Outcome(self._before, cost, found.nearest, found.farthest, provenance)

    def state(self) -> Stored:
        """What `run` has counted, as the folder would keep it."""
        assert self._before is not None  # after a run
        notes = {
            "timings": self._timings.state(),
            "candidates": self._candidates.state(),
            "peak": self._peak,
            "device": self._device,
        }
        return Stored(self._before, notes)

    def draw_again(self, found: Sequence[Candidate], batch_size: int, on_step: OnStep = quiet) -> torch.Tensor:
        """The samples as one strip, float32 [1, H, N * W, 3], from the left.

        on_step: called with the steps done, of `binding.total_steps` of so many samples.
        """
        generator, settings = self._bound.generator, self._bound.settings
        if not found:
            return torch.empty(1, generator.descriptor.height, 0, 3)
        requests = [
            noise.requests(1, self._plan.seed, self._bound.conditions, candidate.index)[0] for candidate in found
        ]
        evaluations, parts = generator.evaluations(settings), []
        for start in range(0, len(requests), batch_size):
            wanted = requests[start : start + batch_size]

            def report(step: int, preview: object = None, start: int = start, size: int = len(wanted)) -> None:
                on_step(start * evaluations + size * step)

            with torch.no_grad():
                parts.append(generator.draw(wanted, settings, report))
        return torch.cat([image[..., :3] for part in parts for image in part], dim=1)[None]

    def told(self, found: Sequence[Candidate]) -> list[dict[str, Any]]:
        """How each of the samples can be drawn again, and how far it is from the reference."""
        requests = [noise.requests(1, self._plan.seed, self._bound.conditions, each.index)[0] for each in found]
        return [
            {"index": each.index, "seed": request.seed, "condition": request.condition.text, "distance": each.distance}
            for each, request in zip(found, requests, strict=True)
        ]

    def save(self) -> None:
        """Write all that was counted, in place of what was there."""
        part = self._part.features(self._bound.generator.descriptor.architecture)
        self._before = part if self._before is None else merge([self._before, part])
        self._begin_part()
        if self._file is not None:
            make_folder(self._file.parent)
            with locked(self._file):
                save(self._file, *self.state())

    def _resume(self, folder: Path) -> Features | None:
        sweep_parts(folder)
        best = longest(folder, self._plan.num_images)
        if best is None:
            return None
        self._timings.resume(best.notes["timings"])
        self._candidates.resume(best.notes["candidates"])
        self._peak = best.notes["peak"]
        # Since 0.2.
        self._device = best.notes.get("device")
        return best.features

    def _begin_part(self) -> None:
        sizes = {tap: self._extractor.taps[tap] for tap in self._taps}
        classes, plan = self._extractor.classes, self._plan
        self._part = Accumulator(self._extractor.source, sizes, classes, plan.kept_rows, plan.rows_seed)
        self._part_count = 0
        self._before_count = 0 if self._before is None else self._before.count

    def _advance(self, batch_size: int) -> None:
        first = self.done
        missing = self._plan.num_images - first
        if not missing:
            return
        evaluations = self._bound.generator.evaluations(self._bound.settings)

        def on_step(step: int, preview: torch.Tensor | None = None) -> None:
            self._on_step(first * evaluations + step, preview)

        place = self._plan.first + first
        batches = sample(self._bound, missing, self._plan.seed, batch_size, on_step, place)
        written = time.monotonic()
        while batch := self._timings.timed(
            lambda: next(batches, None), lambda drawn: len(drawn.images) if drawn else 0
        ):
            self._count(batch)
            if time.monotonic() - written >= self._save_seconds:
                self.save()
                written = time.monotonic()
            self._on_step(self.done * evaluations, batch.images[-1, ..., :3])

    def _count(self, batch: Batch) -> None:
        self._drew = True
        named = samples.of_batch(batch.images, records_of(self._bound, batch.requests))
        names, places, pixels = zip(*named, strict=True)
        prepared = self._extractor.prepare(torch.stack(pixels))
        answers = answer(self._extractor, prepared, self._taps, len(pixels))
        self._part.add(hash_keys(names), torch.tensor(places), answers, drawn=True)
        self._part_count += len(names)
        self._candidates.add([request.index for request in batch.requests], answers.taps[0])

    def _provenance(self) -> dict[str, Any]:
        generator, bound = self._bound.generator, self._bound
        return {
            "generator": {
                "architecture": generator.descriptor.architecture,
                "family": generator.descriptor.family,
                "identity": generator.identity,
                **({"notes": list(generator.notes)} if generator.notes else {}),
            },
            "files": hashes([*generator.files, *self._extractor.files]),
            "settings": {
                name: value if isinstance(value, (str, int, float)) else str(value)
                for name, value in bound.settings.items()
            },
            "conditions": [condition.told() for condition in bound.conditions],
            "seed": self._plan.seed,
            "timed_batches": self._timings.batches,
        }
