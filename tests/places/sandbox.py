"""Runs every node with names that lead out, and says what the process touched that it must not.

    python -m trilemma.tests.places.sandbox DIR [--nodes A B ...] [--names N]

One line of JSON for each run on stdout. Python tells an audit hook of every file that it opens, and of every change
that it asks the system for; what a library opens by itself the hook does not hear, so the tree outside is compared
before and after, too.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import sys
import sysconfig
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

CHANGES = {
    *("os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.link", "os.symlink", "os.truncate", "os.utime", "os.chmod"),
    *("os.chown", "os.setxattr", "os.removexattr"),
}
LOOKS = {"os.listdir", "os.scandir", "os.chdir"}
WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


PLACES = ("path", "folder", "file", "filename_prefix", "metadata")
"""Inputs of text that name a file or a folder: there a name that leads out must be refused."""
FEW = 8
"""Names for an input that names none."""


class Watch:
    """What was touched outside of folders, as the hook hears it: `read PATH`, `write PATH`.

    own: folders that graphs may read and write. readable: that the process may read besides: Python, the pack, the
    system's libraries.
    """

    def __init__(self, own: list[Path], readable: list[Path]) -> None:
        self.own = [os.path.realpath(path) for path in own]
        self.readable = [*self.own, *(os.path.realpath(path) for path in readable)]
        self.touched: list[str] = []
        self.on = False
        sys.addaudithook(self._hear)

    def _hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        if not self.on or (event != "open" and event not in CHANGES and event not in LOOKS):
            return
        self.on = False  # what is asked here is no deed of the pack
        try:
            if event == "open":
                path, mode, flags = arguments
                writes = bool((flags or 0) & WRITES) or (isinstance(mode, str) and any(each in mode for each in "wax+"))
                self._judge(path, writes, -1)
            elif event in LOOKS:
                self._judge(arguments[0], False, -1)
            else:
                two = event in ("os.rename", "os.link", "os.symlink")
                at = arguments[-1] if isinstance(arguments[-1], int) and event in ("os.remove", "os.rmdir") else -1
                for path in arguments[: 2 if two else 1]:
                    self._judge(path, True, at)
        finally:
            self.on = True

    def _judge(self, path: Any, writes: bool, at: int) -> None:
        if path is None or isinstance(path, int):
            return
        name = os.fsdecode(path)
        if at >= 0:
            name = os.path.join(os.readlink(f"/proc/self/fd/{at}"), name)
        # A path that the system refuses touches nothing.
        if "\x00" in name:
            return
        place = os.path.realpath(name)
        allowed = self.own if writes else self.readable
        if not any(place == root or place.startswith(root.rstrip(os.sep) + os.sep) for root in allowed):
            self.touched.append(f"{'write' if writes else 'read'} {place[:300]}")


def readable() -> list[Path]:
    """Python, its packages, the pack, and what the system keeps for all programs."""
    from trilemma.tests.graphs.node_graphs import ROOT

    python = [Path(path) for path in (*sysconfig.get_paths().values(), sys.prefix, sys.base_prefix, *sys.path) if path]
    system = ["/usr", "/lib", "/lib64", "/etc/mime.types", "/etc/localtime", "/etc/os-release", "/dev/null"]
    # psutil looks for the processes that have a file open.
    return [*python, ROOT, *map(Path, system), *map(Path, ("/dev/urandom", "/sys", "/proc"))]


def inputs_of(name: str) -> Iterator[tuple[str, bool]]:
    """The node's inputs that take a text, and whether it is one of a list."""
    from trilemma.host.validation import choices, declared_inputs
    from trilemma.tests.graphs.node_graphs import CLASSES

    for key, spec in declared_inputs(CLASSES[name]).items():
        if choices(spec) is not None or spec.type == "STRING":
            yield key, choices(spec) is not None


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--nodes", nargs="*")
    parser.add_argument(
        "--names", type=int, default=0, help="so many of each input, drawn; 0 is all of inputs that name a place"
    )
    options = parser.parse_args()
    from trilemma.tests.graphs import mutations, running, world
    from trilemma.tests.graphs.node_graphs import CLASSES, graph_of
    from trilemma.tests.places import names

    # Of modules that a node imports when it is first run: Python's own deed, in a fresh checkout.
    sys.dont_write_bytecode = True
    # What ends by the clock has not come to the name; how long graphs take is for `tests/graphs` to tell.
    running.SECONDS = 60.0
    root = options.folder.resolve()
    names.make(root)
    world.use(root)
    for pipe in ("pipe.png", "pipe.json"):
        os.mkfifo(root / "input" / pipe)
    (root / "elsewhere").mkdir()
    os.chdir(root / "elsewhere")
    tempfile.tempdir = str(root / "temp")
    # Its list of fonts, which matplotlib keeps for all programs.
    os.environ["MPLCONFIGDIR"] = str(root / "temp")
    # PyTorch's, made where its compiler is imported, as by some of its functions.
    os.environ["TORCHINDUCTOR_CACHE_DIR"] = str(root / "temp" / "inductor")
    import matplotlib.font_manager  # noqa: F401 (it looks for fonts everywhere, once)

    watch = Watch([root / place for place in world.PLACES] + [root / "elsewhere" / "graph.json"], readable())
    watch.readable.append(str(root / "elsewhere"))
    before = outside(root)
    for node in options.nodes or sorted(CLASSES):
        for key, listed in inputs_of(node):
            every = [*names.leading_out(root), *names.odd(root)]
            few = options.names or (0 if key in PLACES else FEW)
            if few:
                every = random.Random(f"{node} {key}").sample(every, few)
            for name in every:
                graph, _ = graph_of(node, **{key: name})
                case = mutations.Case(0, node, json.dumps(graph), (), False)
                watch.touched.clear()
                watch.on = True
                outcome = running.run(case, root / "elsewhere")
                watch.on = False
                touched = sorted(set(watch.touched))
                if outside(root) != before:
                    touched.append("changed the tree outside")
                    before = outside(root)
                told = {"node": node, "input": key, "listed": listed, "name": name[:80], "touched": touched}
                told.update(leads_out=name in names.leading_out(root), kind=outcome.kind, text=outcome.text[-300:])
                print(json.dumps({**told, "error": outcome.error, "trace": outcome.trace}), flush=True)


def outside(root: Path) -> dict[str, tuple[int, int]]:
    """Everything beside the places, with size and time."""
    found = [path for top in ("outside", "elsewhere") for path in (root / top).rglob("*") if path.name != "graph.json"]
    found += [path for path in root.iterdir() if path.is_file()]
    return {str(path): (path.lstat().st_size, path.lstat().st_mtime_ns) for path in found}


if __name__ == "__main__":
    main()
