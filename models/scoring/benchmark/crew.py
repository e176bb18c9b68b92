"""Workers of any kind draw the shards of a run: what a dead one had goes to another, and the dead one may come back."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from functools import partial
from typing import Final, Protocol, TypeVar

from ...errors import CannotDo, WorkerLost
from ...steps import OnStep, quiet
from .shards import Ledger, Lost, Shard

T = TypeVar("T", covariant=True)
LIVES: Final = 7
"""Times in a row that a worker may be lost before it is given up."""
WAIT: Final = 1.0
"""Seconds before a worker that was lost is asked again; twice as long each time: a minute in all, in which a server
can be started anew."""
LOOK: Final = 0.2
"""Seconds between two looks at what has come, and at whether to stop."""


class Worker(Protocol[T]):
    """What draws one shard at a time: a process of a cluster, a server, a thread."""

    @property
    def name(self) -> str: ...

    def draw(self, first: int, count: int, tell: Callable[[int], None], /) -> Callable[[], T]:
        """Draw a shard, called in a thread of the worker's own; what it gives fetches the result, in the caller's.

        tell: called now and then with the number of samples that are drawn.

        Raises:
            WorkerLost: it ended, or cannot be reached; also when fetching. Called again, it begins anew.
            Exception: the shard cannot be drawn by anybody.
        """
        ...

    def stop(self) -> None:
        """End for good, and what it draws at once; `draw` raises WorkerLost then."""
        ...


def carry_out(
    workers: Sequence[Worker[T]],
    shards: Sequence[Shard],
    count: Callable[[Shard, T], None],
    on_step: OnStep = quiet,
    lives: int | None = None,
    on_lost: Callable[[Lost], None] = lambda lost: None,
) -> list[Lost]:
    """Have the workers draw all shards, and count each once, in the order in which they come; what was lost on the way.

    count: called in this thread with each result. on_step: called every LOOK seconds with the samples drawn; raising
    in it stops all workers. lives: None is LIVES. on_lost: called with each shard that a worker did not finish.

    Raises:
        CannotDo: every worker was given up; says why. What was counted stays.
        Exception: what a worker raised, other than WorkerLost.
    """
    ledger: Ledger[Callable[[], T]] = Ledger(shards)
    lives = LIVES if lives is None else lives
    threads = [
        threading.Thread(target=_serve, args=(worker, ledger, lives), name=worker.name, daemon=True)
        for worker in workers
    ]
    told = 0
    try:
        for thread in threads:
            thread.start()
        while not ledger.done:
            arrived = ledger.arrived(LOOK)
            if arrived is not None:
                shard, name, fetch = arrived
                try:
                    result = fetch()
                except WorkerLost as error:
                    ledger.give_back(shard, name, str(error))
                else:
                    count(shard, result)
                    ledger.count(shard, name)
            for lost in ledger.lost[told:]:
                on_lost(lost)
                told += 1
            on_step(ledger.samples)
            if arrived is None and len(ledger.retired) == len(workers):
                reasons = "; ".join(f"{name}: {reason}" for name, reason in ledger.retired.items())
                raise CannotDo(f"workers: all were given up ({reasons}); what was counted is kept, the call goes on.")
    finally:
        ledger.close()
        for worker in workers:
            worker.stop()
        for thread in threads:
            thread.join()
    return ledger.lost


def _serve(worker: Worker[T], ledger: Ledger[Callable[[], T]], lives: int) -> None:
    lost = False
    while (streak := ledger.streaks[worker.name]) < lives:
        if lost and ledger.closed(WAIT * 2 ** max(0, streak - 1)):
            return
        shard = ledger.take()
        if shard is None:
            return
        try:
            fetch = worker.draw(*shard, partial(ledger.tell, shard))
        except WorkerLost as error:
            lost = True
            ledger.give_back(shard, worker.name, str(error))
        except BaseException as error:
            ledger.fail(error)
            return
        else:
            lost = False
            ledger.bring(shard, worker.name, fetch)
    ledger.retire(worker.name)
