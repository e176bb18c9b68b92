"""One mutated graph run as `headless.py` runs it, and what came of it."""

from __future__ import annotations

import contextlib
import json
import sys
import threading
import time
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from trilemma.host import graph as runner
from trilemma.host import standalone, workflow
from trilemma.host.problems import InvalidGraph, NodeFailed, title_of
from trilemma.models.errors import TrilemmaError
from trilemma.tests.graphs.mutations import Case
from trilemma.tests.graphs.node_graphs import CLASSES, TITLES, graph_of, without_much_work

CLEAR = ("result", "refused", "failed", "stopped")
"""What may come of a graph; anything else is a finding."""
SECONDS = 2.0
"""Of processor time, after which a graph is asked to stop: limits of inputs are far above what a test waits for."""
LONGEST = 4000
"""Characters of an error that a user may still read."""


class Outcome(NamedTuple):
    """kind: one of CLEAR, or `foreign`, an error that the pack did not raise; `unclear`, one that does not name the
    node, or says no sentence; `late`, when it did not stop within twice as much. text: the error. trace: of a
    finding."""

    kind: str
    text: str = ""
    error: str = ""
    trace: str = ""
    seconds: float = 0.0


def run(case: Case, folder: Path) -> Outcome:
    """Runs the graph through a file in `folder`; the places that it reads and writes are those of `world.use`."""
    file = folder / "graph.json"
    file.write_bytes(case.content.encode("utf-8", "surrogatepass"))
    started = time.process_time()
    with _clock() as clock:
        outcome = _outcome(file, case.is_page_form)
    seconds = time.process_time() - started
    with contextlib.suppress(standalone.Interrupted):
        standalone.check_interrupted()
    if outcome.kind == "stopped" and not clock.rang:
        outcome = outcome._replace(kind="foreign")
    if seconds > 3 * SECONDS and clock.rang:
        outcome = outcome._replace(kind="late", trace=clock.trace)
    return outcome._replace(seconds=round(seconds, 3))


def warm_up(folder: Path) -> None:
    """Has the libraries imported that nodes import when they need them: seconds, which are no graph's."""
    for name in ("TrilemmaInpaintByText", "TrilemmaDetectByText", "TrilemmaCompareImages", "TrilemmaLeaderboard"):
        file = folder / "graph.json"
        file.write_text(json.dumps(graph_of(name)[0]))
        _outcome(file, False)


def _outcome(file: Path, is_page_form: bool) -> Outcome:
    titles: set[str] = set()
    try:
        graph, page_form = workflow.read(file, CLASSES, TITLES)
        graph = workflow.with_settings(graph, [], CLASSES)
        graph = without_much_work(graph) if is_page_form else graph
        titles = {title_of(node_id, node) for node_id, node in graph.items()}
        shown = runner.run(graph, CLASSES, page_form)
        json.dumps(shown, ensure_ascii=False, default=str).encode("utf-8", "replace")
    except InvalidGraph as error:
        return _told(Outcome("refused", str(error), "InvalidGraph"), "its check failed" in str(error))
    except NodeFailed as error:
        known = {kind.__name__ for kind in kinds_of(TrilemmaError)}
        trace = "".join(traceback.format_exception(error.__cause__)[-8:])
        if error.kind not in known:
            return Outcome("foreign", str(error), error.kind, trace)
        return _told(Outcome("failed", str(error), error.kind, trace), not any(each in str(error) for each in titles))
    except KeyboardInterrupt:
        return Outcome("stopped")
    except Exception as error:
        return Outcome("foreign", str(error), type(error).__name__, "".join(traceback.format_exception(error)[-8:]))
    return Outcome("result")


def _told(outcome: Outcome, unclear: bool) -> Outcome:
    said = outcome.text.splitlines()[0].strip() if outcome.text.strip() else ""
    longest = max(map(len, outcome.text.splitlines()), default=0)
    if unclear or len(said.split()) < 4 or longest > LONGEST:
        return outcome._replace(kind="unclear")
    return outcome._replace(trace="")


def kinds_of(error: type[Exception]) -> Iterator[type[Exception]]:
    """The error and all that are derived from it."""
    yield error
    for below in error.__subclasses__():
        yield from kinds_of(below)


class _Clock:
    def __init__(self) -> None:
        self.rang = False
        self.trace = ""


@contextlib.contextmanager
def _clock() -> Iterator[_Clock]:
    """Asks the graph to stop after SECONDS of processor time, as Ctrl-C does, and notes where it is if it does not."""
    clock, done, started = _Clock(), threading.Event(), time.process_time()
    runs = threading.get_ident()

    def watch() -> None:
        while not done.wait(0.2):
            spent = time.process_time() - started
            if spent > SECONDS and not clock.rang:
                clock.rang = True
                standalone.interrupt()
            if spent > 2.7 * SECONDS and not clock.trace:
                frame: Any = sys._current_frames().get(runs)
                clock.trace = "".join(traceback.format_stack(frame)[-12:])

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield clock
    finally:
        done.set()
        watcher.join()
