"""A run cut into shards of whole batches, and who has which: nothing is lost, nothing is counted twice.

Sample i depends on `seed + i` alone, and a batch is the same whoever draws it: every shard begins where a batch of the
whole run begins. So the result depends neither on the number of workers nor on which of them died.
"""

from __future__ import annotations

import threading
from collections import Counter, deque
from collections.abc import Sequence
from typing import Final, Generic, NamedTuple, TypeVar

T = TypeVar("T")
PER_WORKER: Final = 8
"""Shards for each worker: at the end none waits longer than an eighth of the whole for the last one."""
BATCHES: Final = (2, 64)
"""In a shard, at least and at most: the first batch's time stands apart; what is lost with a worker is bounded."""


class Shard(NamedTuple):
    """Samples `first` to `first + count - 1` of a run."""

    first: int
    count: int


def shards_of(begun: int, num_images: int, batch_size: int, workers: int) -> list[Shard]:
    """What is missing of a run, in its order.

    begun: samples that are counted; batches go on behind them, as they would in one pass. workers: decides how large
    shards are, and nothing else.
    """
    batches = -(-(num_images - begun) // batch_size)
    least, most = BATCHES
    size = batch_size * min(most, max(least, batches // (PER_WORKER * workers)))
    return [Shard(first, min(size, num_images - first)) for first in range(begun, num_images, size)]


class Lost(NamedTuple):
    """A shard that a worker did not finish."""

    worker: str
    shard: Shard
    reason: str


class Ledger(Generic[T]):
    """Which shards wait, which are being drawn, and which are done; used by many threads.

    lost: what workers did not finish, in the order in which that was seen. retired: workers that gave up, and why.
    streaks: of each worker, how many shards in a row it has lost.
    """

    def __init__(self, shards: Sequence[Shard]) -> None:
        self._changed = threading.Condition()
        self._waiting = deque(shards)
        self._drawn: dict[Shard, int] = {}
        self._arrived: deque[tuple[Shard, str, T]] = deque()
        self._counted: set[Shard] = set()
        self._all = frozenset(shards)
        self._closed = False
        self._failure: BaseException | None = None
        self.lost: list[Lost] = []
        self.retired: dict[str, str] = {}
        self.streaks: Counter[str] = Counter()

    @property
    def done(self) -> bool:
        """Whether every shard is counted."""
        return self._counted == self._all

    @property
    def samples(self) -> int:
        """Samples that are counted, or known to be drawn."""
        with self._changed:
            whole = sum(shard.count for shard in self._counted) + sum(shard.count for shard, *_ in self._arrived)
            return whole + sum(self._drawn.values())

    def take(self) -> Shard | None:
        """The next shard, for the caller alone; waits while others have all that are left. None at the end."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._closed or self.done)
            if self._closed or self.done:
                return None
            shard = self._waiting.popleft()
            self._drawn[shard] = 0
            return shard

    def tell(self, shard: Shard, samples: int) -> None:
        """So many samples of a shard that was taken are drawn."""
        with self._changed:
            if shard in self._drawn:
                self._drawn[shard] = min(samples, shard.count)

    def bring(self, shard: Shard, worker: str, result: T) -> None:
        """A shard that was taken is drawn."""
        with self._changed:
            del self._drawn[shard]
            self._arrived.append((shard, worker, result))
            self._changed.notify_all()

    def give_back(self, shard: Shard, worker: str, reason: str) -> None:
        """A shard that was taken, or that has arrived, is lost: it is the next to be taken."""
        with self._changed:
            self._drawn.pop(shard, None)
            self._waiting.appendleft(shard)
            self.lost.append(Lost(worker, shard, reason))
            self.streaks[worker] += 1
            self._changed.notify_all()

    def arrived(self, seconds: float) -> tuple[Shard, str, T] | None:
        """What a worker has brought, with its name; None where nothing comes so soon.

        Raises:
            BaseException: what `fail` was given.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._arrived or self._failure, seconds)
            if self._failure is not None:
                raise self._failure
            return self._arrived.popleft() if self._arrived else None

    def count(self, shard: Shard, worker: str) -> None:
        """A shard that has arrived is counted."""
        with self._changed:
            assert shard in self._all and shard not in self._counted
            self._counted.add(shard)
            self.streaks[worker] = 0
            self._changed.notify_all()

    def retire(self, worker: str) -> None:
        """A worker has given up, by the reason for which it was lost last."""
        with self._changed:
            self.retired[worker] = next(lost.reason for lost in reversed(self.lost) if lost.worker == worker)
            self._changed.notify_all()

    def fail(self, error: BaseException) -> None:
        """Nobody can draw the rest: `arrived` raises this."""
        with self._changed:
            self._failure = error
            self._changed.notify_all()

    def close(self) -> None:
        """No shard is given any more."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def closed(self, seconds: float) -> bool:
        """Whether it was closed, or is within so many seconds."""
        with self._changed:
            return self._changed.wait_for(lambda: self._closed, seconds)
