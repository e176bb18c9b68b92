"""Workers of a Ray cluster, or of this machine by Ray; Ray is imported when a cluster is asked for, and not before.

A worker is a process of its own: an object of a class of the pack that is made there once, and asked for one shard
after the other. It draws in one thread and tells how far it is in another.
"""

# Ray is no requirement of the pack.
# pyright: reportMissingImports=false

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple

import torch

from ..models.errors import CannotDo, WorkerLost
from . import environment

ROOT: Final = Path(__file__).resolve().parents[1]
LOCAL: Final = "local"
"""In place of an address: Ray is started on this machine, for this run alone."""
STARTS: Final = 3
"""Times that Ray is started here before that is given up."""
LOOK: Final = 1.0
"""Seconds between two questions how far a worker is."""
ANSWER: Final = 10.0
"""Seconds that a worker has to answer; one that computes may answer late."""


class Share(NamedTuple):
    """What one worker has of its machine. cpus: cores, and threads of PyTorch. gpus: may be a fraction."""

    cpus: int
    gpus: float

    def told(self) -> str:
        """In words."""
        cores = f"{self.cpus} {'core' if self.cpus == 1 else 'cores'}"
        return f"{cores} and {f'{self.gpus:g} of the GPUs' if self.gpus else 'no GPU'}"


@contextmanager
def cluster(address: str, workers: int, cpus: int, gpus: float | None) -> Iterator[tuple[int, Share]]:
    """A connection to a cluster, or Ray on this machine, until the block ends; how many workers, and the share of each.

    address: of the cluster's head, as `ray.init` takes it; LOCAL for this machine. workers: 0 takes as many as there is
    room for. gpus: of each worker; None takes one where the cluster has any.

    Raises:
        CannotDo: Ray is not installed, the cluster cannot be reached, or has no room for a worker.
    """
    try:
        import ray
    except ImportError as error:
        raise CannotDo("--ray: Ray is not installed; pip install ray, or the pack with its extra 'cluster'.") from error
    _join(address)
    try:
        have = ray.cluster_resources()
        share = Share(cpus, (1.0 if have.get("GPU") else 0.0) if gpus is None else gpus)
        room = [have.get("CPU", 0) // share.cpus] + ([have.get("GPU", 0) / share.gpus] if share.gpus else [])
        most = int(min(room))
        if most < max(1, workers):
            raise CannotDo(
                f"--workers {workers or 1}: each takes {share.told()}, and the cluster has room for {most}; ask for "
                "fewer, or for less of each."
            )
        yield workers or most, share
    finally:
        ray.shutdown()


def _join(address: str) -> None:
    import ray

    own: dict[str, Any] = {"include_dashboard": False} if address == LOCAL else {}
    # On this machine Ray gives itself half a minute to start, which a busy one may not do at once.
    for left in reversed(range(STARTS if own else 1)):
        try:
            with environment.without_reports():
                ray.init(address, log_to_driver=False, logging_level="ERROR", **own)
            return
        except Exception as error:  # of many kinds, by where it fails
            ray.shutdown()
            if not left:
                remedy = "try again when this machine is less busy" if own else "start it there by `ray start`"
                raise CannotDo(f"--ray {address}: no cluster answers ({_reason(error)}); {remedy}.") from error


class RayWorker:
    """One worker, made when it is first asked, and made anew after it was lost, where there is room then."""

    def __init__(self, number: int, share: Share, entry: tuple[str, str], errand: Any) -> None:
        """entry: module and name of the class whose `draw(first, count, tell)` is called. errand: a reference of
        `put`, to what the class is made with."""
        self.name = f"worker {number}"
        self._share, self._entry, self._errand = share, entry, errand
        self._actor: Any = None
        self._stopped = False

    def draw(self, first: int, count: int, tell: Callable[[int], None]) -> Callable[[], Any]:
        """See `models/scoring/benchmark/crew.py`.

        Raises:
            WorkerLost: the process or its machine ended.
            TrilemmaError: what the class raised.
        """
        import ray

        with self._losses():
            if self._actor is None:
                self._actor = self._made()
            # Two results: to ask whether it went well must not fetch the large one.
            told, result = self._actor.draw.remote(first, count)
            while not ray.wait([told], timeout=LOOK)[0]:
                try:
                    tell(ray.get(self._actor.drawn.remote(), timeout=ANSWER))
                except ray.exceptions.GetTimeoutError:
                    continue
            ray.get(told)

        def fetch() -> Any:
            with self._losses():
                return ray.get(result)

        return fetch

    def stop(self) -> None:
        """End the process at once."""
        import ray

        self._stopped = True
        if self._actor is not None:
            ray.kill(self._actor)

    def _made(self) -> Any:
        import ray

        if self._stopped:
            raise WorkerLost(f"{self.name} was stopped.")
        options: Mapping[str, Any] = {"num_cpus": self._share.cpus, "num_gpus": self._share.gpus, "max_concurrency": 2}
        # In a list, so that it is fetched when the process knows the pack, whose classes it holds.
        made = ray.remote(_process()).options(**options)
        return made.remote(str(ROOT), self._entry, [self._errand], self._share.gpus)

    @contextmanager
    def _losses(self) -> Iterator[None]:
        import ray

        try:
            yield
        except (ray.exceptions.RayActorError, ray.exceptions.ObjectLostError) as error:
            if isinstance(error, ray.exceptions.ActorDiedError) and "The actor died because of an error" in str(error):
                # Its class could not be made there: nor could it be on another machine of the same kind.
                raise CannotDo(f"workers: {_reason(error)}") from error
            self._actor = None
            raise WorkerLost(f"{self.name} ended ({_reason(error)}).") from error
        except ray.exceptions.RayTaskError as error:
            cause = error.cause
            raise (cause if isinstance(cause, Exception) else CannotDo(_reason(error))) from error


def put(value: Any) -> Any:
    """A value in the cluster's store, once for all workers; a reference to it."""
    import ray

    return ray.put(value)


def keep_to_share(gpus: float) -> None:
    """Of the memory of a GPU that it has a fraction of, a process takes no more than that fraction."""
    if 0 < gpus < 1 and torch.cuda.is_available():
        torch.cuda.set_per_process_memory_fraction(gpus)


def _reason(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__


def _process() -> type:
    """The class of a worker's process. Made here, so that Ray sends its code: the pack is not known there yet."""
    import ray

    class Process:
        def __init__(self, root: str, entry: tuple[str, str], errand: list[Any], gpus: float) -> None:
            import importlib
            import sys

            # The pack that lies where the sender has it, whatever its folder is called; else the one installed there.
            sys.path.insert(0, root)
            try:
                sys.meta_path.insert(0, importlib.import_module("headless").finder())
            except ModuleNotFoundError:
                importlib.import_module("trilemma")
            finally:
                sys.path.remove(root)
            importlib.import_module("trilemma.host.cluster_ray").keep_to_share(gpus)
            module, name = entry
            self._worker = getattr(importlib.import_module(module), name)(ray.get(errand[0]))
            self._drawn = 0

        @ray.method(num_returns=2)
        def draw(self, first: int, count: int) -> tuple[bool, Any]:
            self._drawn = 0
            return True, self._worker.draw(first, count, self._tell)

        def drawn(self) -> int:
            return self._drawn

        def _tell(self, drawn: int) -> None:
            self._drawn = drawn

    return Process
