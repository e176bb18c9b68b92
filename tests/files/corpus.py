"""Harmless files of the classes of weakness that readers and scanners of checkpoints were published with in 2025-26.

What they would do, if a reader did what they say, is to leave a file in the current folder.
"""

from __future__ import annotations

import io
import json
import pickle
import struct
from collections.abc import Iterator
from typing import Final, Literal, NamedTuple

import numpy as np
import torch
from trilemma.tests.files.mutants import zips
from trilemma.tests.files.mutants.seeds import CANARY

CODE: Final = f"open({CANARY!r}, 'w').close()"
WEIGHTS: Final = {"w": np.arange(6, dtype=np.float32).reshape(2, 3)}
HEAD: Final = b"".join((pickle.dumps(0x1950A86A20F9469CFC6C, 2), pickle.dumps(1001, 2)))
Outcome = Literal["refused", "inert"]


class Sample(NamedTuple):
    """outcome: what the reader makes of it: an error, or the weights beside what stays two strings."""

    weakness: str
    name: str
    files: dict[str, bytes]
    outcome: Outcome = "refused"


def text(value: str) -> bytes:
    raw = value.encode()
    return b"X" + struct.pack("<I", len(raw)) + raw


def call(module: str, name: str, *arguments: str) -> bytes:
    """Instructions that call what they name."""
    return f"c{module}\n{name}\n(".encode() + b"".join(map(text, arguments)) + b"tR"


def beside(instructions: bytes) -> bytes:
    """A stream of weights and of what these instructions make."""
    return b"\x80\x02(" + text("ema") + pickle.dumps(WEIGHTS, 2)[2:-1] + text("more") + instructions + b"d."


def _stored(size: object, stride: object, offset: int, numel: int = 4) -> bytes:
    """An archive whose tensor is described so, over a record of four numbers."""

    class Pickler(pickle.Pickler):
        def persistent_id(self, value: object) -> object:
            return ("storage", torch.FloatStorage, "0", "cpu", numel) if value == "the storage" else None

    class Tensor:
        def __reduce__(self) -> object:
            return torch._utils._rebuild_tensor_v2, ("the storage", offset, size, stride, False, {})

    stream = io.BytesIO()
    Pickler(stream, 2).dump({"w": Tensor()})
    return _archive(stream.getvalue(), bytes(16))


def _archive(stream: bytes, numbers: bytes = b"") -> bytes:
    parts = [zips.Record("x/data.pkl", stream), *([zips.Record("x/data/0", numbers)] if numbers else [])]
    return zips.packed([*parts, zips.Record("x/version", b"3\n")])


def _safe(entry: dict[str, object], numbers: bytes) -> bytes:
    header = json.dumps({"w": entry}).encode()
    return struct.pack("<Q", len(header)) + header + numbers


HELPERS: Final = {
    "builtins": ("getattr", "__import__", "globals", "vars"),
    "operator": ("attrgetter", "methodcaller"),
    "importlib": ("import_module",),
    "pkgutil": ("resolve_name", "get_loader"),
    "pydoc": ("locate", "pipepager"),
    "functools": ("partialmethod", "singledispatch"),
    "unittest.mock": ("_importer",),
    "logging.config": ("_resolve",),
}
"""What finds a function by a text. `functools.partial` and `operator.itemgetter` stay inert: settings have them."""
CALLABLES: Final = {
    **{"os": ("system", "execv", "popen"), "posix": ("system",), "nt": ("system",), "subprocess": ("run", "getoutput")},
    **{"builtins": ("exec", "eval", "compile", "breakpoint"), "runpy": ("run_path",), "code": ("InteractiveConsole",)},
    **{"timeit": ("timeit",), "cProfile": ("run",), "profile": ("run",), "pdb": ("run",), "bdb": ("Bdb",)},
    **{"trace": ("Trace",), "doctest": ("testsource",), "asyncio": ("create_subprocess_shell",), "pty": ("spawn",)},
    **{"ctypes": ("CDLL",), "socket": ("create_connection",), "webbrowser": ("open",), "smtplib": ("SMTP",)},
    **{"urllib.request": ("urlopen",), "http.client": ("HTTPConnection",), "ftplib": ("FTP",), "ssl": ("wrap",)},
    **{"multiprocessing.util": ("spawnv_passfds",), "concurrent.futures": ("ProcessPoolExecutor",), "sys": ("exit",)},
    **{"ensurepip": ("_run_pip",), "venv": ("create",), "lib2to3.pgen2.grammar": ("Grammar.loads",), "imp": ("load",)},
    **{"idlelib.pyshell": ("ModifiedInterpreter",), "distutils.spawn": ("spawn",), "commands": ("getoutput",)},
    **{"pickle": ("loads",), "_pickle": ("loads",), "marshal": ("loads",), "shelve": ("open",), "codeop": ("compile",)},
    **{"types": ("CodeType", "FunctionType"), "dis": ("dis",), "inspect": ("getsource",), "signal": ("raise_signal",)},
}
CREATORS: Final = {
    **{"builtins": ("open",), "io": ("open", "FileIO"), "_io": ("open",), "os": ("open", "mkdir", "link")},
    **{"shutil": ("copy", "move"), "tempfile": ("NamedTemporaryFile",), "logging": ("FileHandler",)},
    **{"pathlib": ("Path.write_text", "Path.touch"), "zipfile": ("ZipFile",), "tarfile": ("open",)},
    **{"sqlite3": ("connect",), "dbm": ("open",), "fileinput": ("input",), "gzip": ("open",), "codecs": ("open",)},
}
BENEATH: Final = (
    *(("collections.abc", "sys.exit"), ("typing", "sys.exit"), ("math.os", "system"), ("random", "_os.system")),
    *(("argparse", "_os.system"), ("functools", "partial.__new__"), ("pathlib", "os.system"), ("re", "_compiler.x")),
)
"""Names below modules of which some names are plain."""
FOREIGN: Final = (
    *(("torch.serialization", "os.system"), ("numpy.testing._private.utils", "runstring"), ("torch.hub", "load")),
    *(("numpy", "save"), ("torch.utils.cpp_extension", "load_inline"), ("torch._dynamo.guards.os", "system")),
)
"""Of other packages: names that nothing looks up, whatever they reach."""


def _calls() -> Iterator[Sample]:
    tables = {
        "a name found by a helper": HELPERS,
        "a callable of the standard library": CALLABLES,
        "a file made": CREATORS,
    }
    for weakness, table in tables.items():
        for module, names in table.items():
            for name in names:
                raw = beside(call(module, name, CODE, CANARY))
                yield Sample(weakness, f"{module}.{name}", {"x.pkl": raw})
    for module, name in BENEATH:
        yield Sample("a name below a listed module", f"{module}.{name}", {"x.pkl": beside(call(module, name, CODE))})
    for module, name in FOREIGN:
        raw = beside(call(module, name, CODE))
        yield Sample("a name below a listed module", f"{module}.{name}", {"x.pkl": raw}, "inert")
        dropped = b"\x80\x02" + call(module, name, CODE) + b"0" + pickle.dumps({"ema": WEIGHTS}, 2)[2:]
        yield Sample("a call whose result is dropped", f"{module}.{name}", {"x.pkl": dropped}, "inert")
    for module, name in (("posix", "system"), ("builtins", "exec")):
        raw = b"\x80\x02" + call(module, name, CODE) + b"0" + pickle.dumps({"ema": WEIGHTS}, 2)[2:]
        yield Sample("a call whose result is dropped", f"{module}.{name}", {"x.pkl": raw})


def _formats() -> Iterator[Sample]:
    hostile = beside(call("builtins", "exec", CODE))
    stream = HEAD + pickle.dumps({"little_endian": True}, 2) + hostile + pickle.dumps([], 2)
    inner = beside(b"ctorch.storage\n_load_from_bytes\n" + b"B" + struct.pack("<I", len(stream)) + stream + b"\x85R")
    yield Sample("an older archive inside", "a stream in bytes", {"x.pkl": inner})
    yield Sample("an older archive inside", "a stream as the pickle of an archive", {"x.pth": _archive(stream)})
    sound = pickle.dumps({"ema": WEIGHTS}, 2)
    yield Sample("an older archive inside", "an archive behind a pickle", {"x.pkl": sound + _archive(hostile)}, "inert")
    safe = _safe({"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}, WEIGHTS["w"].tobytes())
    for kind, raw in {"pickle": hostile, "archive": _archive(hostile)}.items():
        both = {"model.safetensors": raw, "pytorch_model.bin": raw}
        yield Sample("a safe reader that falls back", f"{kind} as safetensors", {"x.safetensors": raw})
        yield Sample("a safe reader that falls back", f"{kind} in a folder", both)
        for ending in ("bin", "ckpt", "npz", "json"):
            yield Sample("a wrong suffix", f"{kind} as {ending}", {f"x.{ending}": raw})
    yield Sample("a wrong suffix", "safetensors as a pickle", {"x.pkl": safe})
    whole = io.BytesIO()
    torch.save({"w": torch.from_numpy(WEIGHTS["w"])}, whole)
    for record in ("data.pkl", "data/0"):
        (content,) = (each.content for each in zips.records(whole.getvalue()) if each.name.endswith(record))
        flipped = bytes([content[-2] ^ 1])
        damaged = whole.getvalue().replace(content, content[:-2] + flipped + content[-1:])
        yield Sample("a damaged checksum", record, {"x.pth": damaged})


def _sizes() -> Iterator[Sample]:
    beyond = {
        "too long": _stored((5,), (1,), 0),
        "an offset": _stored((2,), (1,), 3),
        "a negative stride": _stored((2,), (-1,), 2),
        "a negative offset": _stored((2,), (1,), -1),
        "more numbers than bytes": _stored((4,), (1,), 0, 5),
    }
    for name, raw in beyond.items():
        yield Sample("storage metadata beyond the data", name, {"x.pth": raw})
    overflows = {
        "sides": _stored((2**32, 2**32), (1, 1), 0),
        "strides": _stored((2, 2), (2**62, 2**62), 0),
        "an offset": _stored((1,), (1,), 2**63),
        "a storage": _stored((4,), (1,), 0, 2**62),
        "a storage, wrapped to its size": _stored((4,), (1,), 0, 2**64 + 4),
    }
    for name, raw in overflows.items():
        yield Sample("a product that overflows", name, {"x.pth": raw})
    for shape in ([2**32, 2**32], [2**63, 2], [0, 2**64 - 1], [2**62, 4, 1]):
        raw = _safe({"dtype": "F32", "shape": shape, "data_offsets": [0, 0]}, b"")
        yield Sample("a product that overflows", f"safetensors of {shape}", {"x.safetensors": raw})


def samples() -> list[Sample]:
    """All of them, in the order of their classes."""
    return sorted((*_formats(), *_sizes(), *_calls()), key=lambda each: each.weakness)
