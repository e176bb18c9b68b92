"""A mutant is opened, and what came of it is held against what the reader promises."""

from __future__ import annotations

import codecs
import importlib
import json
import os
import sys
import time
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple

import torch
from trilemma.models.errors import BadCheckpoint, BadInput, CannotDo, MissingFile
from trilemma.models.files import checkpoints, folders
from trilemma.models.files.numpy_arrays import read_array
from trilemma.models.scoring.features import feature_files, npz
from trilemma.tests.files.mutants import headers
from trilemma.tests.files.mutants.making import Mutant
from trilemma.tests.files.mutants.seeds import CANARY, Seed

SECONDS: Final = 10.0
TIMES: Final = 3
MORE: Final = 200 * 2**20
"""Memory for one file: so many times its size, and so many bytes more."""
FORBIDDEN: Final = ("os.", "subprocess.", "socket.", "shutil.", "ctypes.", "pickle.", "marshal.", "exec", "import")
"""Beginnings of the names of events that no reading of a file raises (Python's manual has a table of them)."""
ALLOWED: Final = ("os.listdir", "os.scandir")
ENCODINGS: Final = ("cp437", "raw-unicode-escape", "utf-8-sig", "utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be")
"""How texts in files are read; at its first use Python imports each."""
LAZY: Final = ("psutil", "safetensors.torch")
"""What the reader imports when it is first needed."""
TOUCHED: Final = 50_000_000
"""Bytes up to which a tensor's numbers are read: they may lie in the file alone."""
Tensors = dict[str, torch.Tensor]


class Verdict(NamedTuple):
    """outcome: equal, other or refused. fault: which promise is broken, if any is. seconds: processor time."""

    outcome: str
    fault: str
    seconds: float
    memory: int
    said: str


class Watch:
    """Notes what this process is asked to do while a file is read; a hook cannot be taken off again."""

    def __init__(self) -> None:
        self.active = False
        self.seen: list[str] = []
        for module in LAZY:
            importlib.import_module(module)
        for encoding in ENCODINGS:
            codecs.lookup(encoding)
        sys.addaudithook(self._note)

    def _note(self, event: str, args: tuple[Any, ...]) -> None:
        if not self.active:
            return
        writes = event == "open" and (isinstance(args[1], str) and set(args[1]) & set("wax+"))
        if writes or (event.startswith(FORBIDDEN) and event not in ALLOWED):
            self.seen.append(f"{event} {args!r:.200}")

    @contextmanager
    def over(self) -> Iterator[list[str]]:
        self.seen = []
        self.active = True
        try:
            yield self.seen
        finally:
            self.active = False


def opened(kind: str, path: Path) -> Tensors:
    """Every tensor that the reader finds, by name."""
    if kind == "folder":
        return dict(folders.read_model(path).tensors)
    if kind == "array":
        array = read_array(path)
        if array.dtype.kind not in "biufc":
            raise BadCheckpoint(f"{path.name}: it holds {array.dtype}, no numbers.")
        return {"": torch.from_numpy(array.astype(array.dtype.newbyteorder("=")))}
    if kind == "features":
        with npz.opened(path) as arrays:
            if feature_files.HEADER not in arrays.file.files:
                mean = arrays.tensor("mu", "float64", None)
                return {"mu": mean, "sigma": arrays.tensor("sigma", "float64", len(mean), len(mean))}
        return _leaves(feature_files.load_stored(path))
    return dict(checkpoints.read_all(path).tensors)


def _leaves(value: Any, name: str = "") -> Tensors:
    if isinstance(value, torch.Tensor):
        return {name: value}
    parts = [_leaves(part, f"{name}.{number}") for number, part in enumerate(value)] if isinstance(value, tuple) else []
    return {key: tensor for part in parts for key, tensor in part.items()}


def written(files: dict[str, bytes], kind: str, folder: Path) -> Path:
    """The files of a seed or mutant; what to open of them."""
    for old in folder.iterdir():
        old.unlink()
    for name, raw in files.items():
        (folder / name).write_bytes(raw)
    return folder if kind == "folder" else folder / next(iter(files))


def original(kind: str, seed: Seed, folder: Path) -> Tensors | None:
    """The tensors of the file as it was; None where it is refused, as hostile ones are."""
    try:
        found = opened(kind, written(seed.files, kind, folder))
    except BadCheckpoint:
        return None
    return {name: tensor.clone() for name, tensor in found.items()}


def judged(kind: str, mutant: Mutant, expected: Tensors | None, folder: Path, watch: Watch) -> Verdict:
    """Opens the mutant in the folder, which holds nothing else, and is the current one."""
    path = written(mutant.files, kind, folder)
    size = sum(map(len, mutant.files.values()))
    before, began = _reset_memory(), time.process_time()
    found: Tensors | None = None
    said = fault = ""
    with watch.over() as events:
        try:
            found = opened(kind, path)
        except (BadCheckpoint, MissingFile, CannotDo, BadInput) as error:
            said = str(error)
        except BaseException as error:  # of any kind: it is no refusal, whatever it is
            if isinstance(error, KeyboardInterrupt):
                raise
            fault = f"not refused, but failed: {''.join(traceback.format_exception(error)[-3:]):.1500}"
    seconds = time.process_time() - began
    memory = _peak_memory() - before
    if events:
        fault = f"asked this process for {events[0]}"
    elif (folder / CANARY).exists() or Path(CANARY).exists():
        fault = "ran what the file says"
    elif seconds > SECONDS:
        fault = f"took {seconds:.1f} s"
    elif memory > TIMES * size + MORE:
        fault = f"took {memory / 1e6:,.0f} MB for {size:,} bytes"
    elif said and (not any(name in said for name in (path.name, *mutant.files)) or len(said) < len(path.name) + 20):
        fault = f"a refusal that does not name the file and the reason: {said}"
    if found is None:
        return Verdict("refused", fault, seconds, memory, said)
    same = expected is not None and _equal(found, expected)
    return Verdict("equal" if same else "other", fault or _kept(mutant, found, expected, same), seconds, memory, "")


def _reset_memory() -> int:
    """Bytes that this process takes now; its peak is counted from here."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return 0
    return _memory("VmRSS:")


def _peak_memory() -> int:
    return _memory("VmHWM:")


def _memory(key: str) -> int:
    try:
        with open("/proc/self/status", encoding="ascii") as file:
            return next((int(line.split()[1]) * 1024 for line in file if line.startswith(key)), 0)
    except OSError:
        return 0


def _kept(mutant: Mutant, found: Tensors, expected: Tensors | None, same: bool) -> str:
    """What is wrong with the tensors of a mutant that was read; empty where nothing is."""
    for tensor in found.values():
        if tensor.numel() * tensor.itemsize <= TOUCHED:
            tensor.clone()
    if mutant.keeps == "what it says":
        return _against_second_reader(mutant, found)
    if expected is None or same or mutant.keeps == "nothing":
        return ""
    if mutant.keeps == "shapes" and _facts(found) == _facts(expected):
        return ""
    changed = [name for name in {*found, *expected} if _facts(found).get(name) != _facts(expected).get(name)]
    return f"another tensor without a word: {', '.join(changed[:5]) or 'other values'}"


def _against_second_reader(mutant: Mutant, found: Tensors) -> str:
    (raw,) = mutant.files.values()
    listed = headers.understood(raw)
    if listed is None:
        return "a file that contradicts itself was read"
    for name, tensor in found.items():
        # Wrappers are taken off names.
        said = [entry for key, entry in listed.items() if key == name or key.endswith(f".{name}")]
        if not any(shape == tuple(tensor.shape) and numbers == _bytes(tensor) for _, shape, numbers in said):
            return f"{name!r} is another tensor than the file says"
    return ""


def _bytes(tensor: torch.Tensor) -> bytes:
    return tensor.contiguous().flatten().view(torch.uint8).numpy().tobytes() if tensor.numel() else b""


def _facts(tensors: Tensors) -> dict[str, tuple[Sequence[int], torch.dtype]]:
    return {name: (tuple(tensor.shape), tensor.dtype) for name, tensor in tensors.items()}


def _equal(found: Tensors, expected: Tensors) -> bool:
    return _facts(found) == _facts(expected) and all(
        _bytes(tensor) == _bytes(expected[name]) for name, tensor in found.items()
    )


def told(kind: str, mutant: Mutant, verdict: Verdict) -> str:
    """A finding as one line of JSON: enough to make it anew."""
    facts = {"format": kind, "number": mutant.number, "seed": mutant.seed.name, "how": mutant.how}
    return json.dumps({**facts, "fault": verdict.fault, "pid": os.getpid()})
