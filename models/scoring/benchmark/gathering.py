"""The shards of a run brought together into the state that Benchmark Generator goes on from."""

from __future__ import annotations

import shutil
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from ...errors import BadInput
from ...files.atomic import locked, sweep_parts
from ..features.feature_files import Stored, load_stored, save
from ..features.feature_set import merge
from . import candidates, cost
from .run import SAVE_SECONDS, longest
from .shards import Shard, shards_of

PARTS: Final = "parts"
"""Below the folder of a run's key: what came before what precedes it."""


class Gathered:
    """What is there of one run, on disk as a run of one process leaves it.

    Shards are added up in the order of the run, whatever the order in which they come, so that the sums are the same
    to the last bit for the same shards. One that comes early waits on disk, not in memory.
    """

    def __init__(self, folder: Path, num_images: int, save_seconds: float = SAVE_SECONDS) -> None:
        """folder: of the run's key (`run.key_of`). save_seconds: between two writes of the whole.

        Raises:
            BadCheckpoint: a file in the folder is broken.
        """
        self._folder, self._num_images, self._save_seconds = folder, num_images, save_seconds
        self._whole = longest(folder, num_images)
        self._waiting: dict[int, Shard] = {}
        self._folded: list[Shard] = []
        self._saved = time.monotonic()
        self._find_waiting()
        self._fold()

    @property
    def counted(self) -> int:
        """The first samples of the run, of which none is missing."""
        return 0 if self._whole is None else self._whole.features.count

    def missing(self, batch_size: int, workers: int) -> list[Shard]:
        """What is to be drawn (see `shards_of`): a run that was stopped begins behind what it had without a gap, and
        draws nothing that waits already."""
        found, begun = [], self.counted
        for shard in (*sorted(self._waiting.values()), Shard(self._num_images, 0)):
            found += shards_of(begun, shard.first, batch_size, workers)
            begun = shard.first + shard.count
        return found

    def add(self, shard: Shard, stored: Stored) -> None:
        """Count a shard: it is on disk when this ends.

        Raises:
            BadInput: it holds more or fewer samples than it should, or some that are counted already.
        """
        if stored.features.count != shard.count:
            raise BadInput(
                f"features: {shard.count} samples from {shard.first} on came as {stored.features.count}; have all "
                "machines run one version of the pack."
            )
        save(self._path(shard), *stored)
        self._waiting[shard.first] = shard
        self._fold(stored)
        if self.counted == self._num_images or time.monotonic() - self._saved >= self._save_seconds:
            self.save()

    def save(self) -> None:
        """Write what has no gap as one state, and take away the shards that it holds."""
        if self._whole is None:
            return
        file = self._folder / f"{self._num_images}.npz"
        with locked(file):
            save(file, *self._whole)
        for shard in self._folded:
            shutil.rmtree(self._path(shard).parent, ignore_errors=True)
        self._folded.clear()
        if not self._waiting:
            shutil.rmtree(self._folder / PARTS, ignore_errors=True)
        self._saved = time.monotonic()

    def _find_waiting(self) -> None:
        """Shards of a run that was stopped: those behind the whole, one for each sample."""
        sweep_parts(self._folder)
        files = (self._folder / PARTS).glob("*/*.npz")
        found = [Shard(int(file.parent.name), int(file.stem)) for file in files]
        begun = self.counted
        for shard in sorted(found):
            if shard.first >= begun and shard.first + shard.count <= self._num_images:
                self._waiting[shard.first] = shard
                begun = shard.first + shard.count

    def _fold(self, arrived: Stored | None = None) -> None:
        """Join to the whole what follows it. arrived: what was added last, which need not be read again."""
        while (shard := self._waiting.pop(self.counted, None)) is not None:
            stored = arrived or load_stored(self._path(shard))
            self._whole = stored if self._whole is None else joined(self._whole, stored)
            self._folded.append(shard)
            arrived = None

    def _path(self, shard: Shard) -> Path:
        return self._folder / PARTS / str(shard.first) / f"{shard.count}.npz"


def joined(one: Stored, other: Stored) -> Stored:
    """Two parts of a run that follow each other, as one.

    Raises:
        BadInput: see `feature_set.merge`.
    """
    notes = (one.notes, other.notes)
    devices = sorted({word for each in notes for word in (each.get("device") or "").split(", ") if word})
    together: Mapping[str, Any] = {
        "timings": cost.merge([each["timings"] for each in notes]),
        "candidates": candidates.merge([each["candidates"] for each in notes]),
        "peak": max(each["peak"] for each in notes),
        "device": ", ".join(devices) or None,
    }
    return Stored(merge([one.features, other.features]), together)
