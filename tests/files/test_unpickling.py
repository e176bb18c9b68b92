"""Hostile pickles: refused or inert, and nothing of them is ever run."""

import argparse
import array
import collections
import contextlib
import datetime
import functools
import itertools
import math
import operator
import os
import pickle
import random
import re
import struct
import sys
import types
import typing
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from trilemma.models.errors import BadCheckpoint, CannotDo
from trilemma.models.files import checkpoints
from trilemma.models.files.unpickling import Inert, arrays, contents, files, machine, names, rebuilding

OLD_HEAD = (pickle.dumps(0x1950A86A20F9469CFC6C, 2), pickle.dumps(1001, 2), pickle.dumps({"little_endian": True}, 2))


def as_pickle(path, stream):
    path.write_bytes(stream)


def as_archive(path, stream):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", stream)
        archive.writestr("archive/version", "3\n")


def as_old_stream(path, stream):
    path.write_bytes(b"".join((*OLD_HEAD, stream, pickle.dumps([], 2))))


CONTAINERS = [as_pickle, as_archive, as_old_stream]


class Call:
    """Pickles as the call of a function."""

    def __init__(self, function, *args, state=None):
        self.parts = (function, args, *([state] if state else []))

    def __reduce__(self):
        return self.parts


def text(value):
    """Instruction that pushes a text."""
    raw = value.encode()
    return b"X" + struct.pack("<I", len(raw)) + raw


def attacks(canary):
    """Streams that leave the canary when Python's own unpickler reads them."""
    command = f"touch {canary}"
    code = f"open({str(canary)!r}, 'w').close()"
    return {
        "os.system": pickle.dumps(Call(os.system, command)),
        "beside weights": pickle.dumps({"a": 1, "state_dict": {"w": Call(os.system, command)}}, 2),
        "eval": pickle.dumps(Call(eval, code)),
        "exec": pickle.dumps(Call(exec, code), 2),
        "text protocol": pickle.dumps(Call(os.system, command), 0),
        "nested reduce": pickle.dumps(Call(list, Call(map, os.system, Call(list, (command,))))),
        "in a list": pickle.dumps([Call(os.system, command)]),
        "as a state": pickle.dumps(Call(argparse.Namespace, state={"x": Call(os.system, command)})),
        "getattr chain": pickle.dumps(Call(getattr, Call(__import__, "os"), "system"), 2)[:-1]
        + text(command)
        + b"\x85R.",
        "partial": pickle.dumps(functools.partial(os.system, command), 2)[:-1] + b")R.",
        "instance": b"(" + text(command) + b"i" + f"{os.name}\nsystem\n.".encode(),
        "object": b"(" + f"c{os.name}\nsystem\n".encode() + text(command) + b"o.",
        "new object": b"\x80\x02cbuiltins\nexec\n" + text(code) + b"\x85R.",
        "dotted name": b"\x80\x04" + text("shutil") + text("os.system") + b"\x93" + text(command) + b"\x85R.",
        "setstate": b"\x80\x02cargparse\nNamespace\n)\x81}"
        + text("__setstate__")
        + b"cos\nsystem\nsb"
        + text(command)
        + b"b.",
        "nested stream": pickle.dumps(
            Call(torch.storage._load_from_bytes, b"".join((*OLD_HEAD, pickle.dumps(Call(os.system, command), 2))))
        ),
    }


NAMES = list(attacks(Path("x")))


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_the_attacks_are_real(name, tmp_path):
    """Read by Python's own unpickler, each leaves its mark: else the tests below would prove nothing."""
    with contextlib.suppress(TypeError, EOFError):
        pickle.loads(attacks(tmp_path / "ran")[name])
    assert (tmp_path / "ran").exists()


@pytest.mark.parametrize("container", CONTAINERS)
@pytest.mark.parametrize("name", NAMES)
def test_attacks_are_refused_by_name_and_not_run(name, container, tmp_path):
    path = tmp_path / "x.pkl"
    container(path, attacks(tmp_path / "ran")[name])
    with pytest.raises(
        BadCheckpoint, match=r"x\.pkl: it names (posix|nt|os|shutil|builtins|__builtin__)\.[\w.]+, which no checkpoint"
    ):
        checkpoints.read(path)
    assert not (tmp_path / "ran").exists()


def test_source_text_in_a_snapshot_is_not_run(tmp_path, monkeypatch):
    """The way of torch_utils.persistence: its own reader executes `module_src`. Ours takes the weights beside it."""
    persistence = types.ModuleType("torch_utils.persistence")
    exec("def _reconstruct_persistent_obj(meta): exec(meta['module_src'])", vars(persistence))  # noqa: S102
    monkeypatch.setitem(sys.modules, "torch_utils", types.ModuleType("torch_utils"))
    monkeypatch.setitem(sys.modules, "torch_utils.persistence", persistence)
    source = f"open({str(tmp_path / 'ran')!r}, 'w').close()"
    module = {"_parameters": {"w": torch.ones(2)}, "_buffers": {}, "_modules": {}}
    meta = {"type": "class", "version": 6, "module_src": source, "class_name": "G", "state": module}
    stream = pickle.dumps({"G_ema": Call(persistence._reconstruct_persistent_obj, meta)})
    (tmp_path / "x.pkl").write_bytes(stream)

    checkpoint = checkpoints.read(tmp_path / "x.pkl")

    assert torch.equal(checkpoint.tensors["w"], torch.ones(2))
    assert "open(" not in repr(checkpoint)
    assert not (tmp_path / "ran").exists()
    pickle.loads(stream)
    assert (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("stream", "said"),
    [
        (b"ccollections\nOrderedDict\nN}" + text("a") + b"Ns\x86b.", "sets the state of collections.OrderedDict"),
        (b"ctorch.hub\nload\n)R)R.", "calls a Inert object that torch.hub.load would make"),
        (b"ctorch.hub\nload\n" + text("a/b") + b"\x85R.", "holds no weights .found an object of torch.hub.load"),
        (b"K\x01)R.", "calls a int object"),
        (b"ctorch.hub\nload\nNR.", "calls torch.hub.load without a list of arguments"),
        (b"ccopyreg\nadd_extension\n.", "names copyreg.add_extension"),
        (b"\x82\x01.", "extension registry"),
        (b"\x97.", "outside buffers"),
        (text("x") + b"Q.", "persistent id"),
        (b"Px\n.", "persistent id"),
        (b"ctorch._utils\n_rebuild_tensor_v2\n(NK\x00))tR.", "cannot be read as weights"),
        (b"ctorch\nSize\nK\x01\x85R.", "calls torch.Size with arguments that make no sense"),
        (b"c" + b"a" * 2000 + b"\nb\n.", "by something that is no name"),
        (b"c\x1b[2J\nb\n.", "by something that is no name"),
        (b"\xff.", "no pickle instruction that makes sense before byte"),
        (b"0.", "no pickle instruction that makes sense before byte"),
        (b"]K\x01K\x02s.", "no pickle instruction that makes sense before byte"),
        (b"K\x01", "ends early, at 4 bytes"),
        (b"X\xff\xff\xff\xffa.", "ends early"),
        (b"\x8e" + b"\xff" * 8 + b"a.", "ends early"),
    ],
)
def test_streams_that_make_no_sense(stream, said, tmp_path):
    path = tmp_path / "x.pkl"
    path.write_bytes(b"\x80\x02" + stream)
    with pytest.raises(BadCheckpoint, match=rf"x\.pkl: .*{said}"):
        checkpoints.read(path)


def test_a_call_changes_nothing_of_ours(tmp_path):
    """Setting attributes of a class, which Python's unpickler does, would outlast the reading."""
    path = tmp_path / "x.pkl"
    path.write_bytes(b"\x80\x02ctrilemma.models.checkpoints\nCheckpoint\nN}" + text("evil") + b"K\x01s\x86b.")
    with pytest.raises(BadCheckpoint, match=r"sets the state of trilemma\.models\.checkpoints\.Checkpoint"):
        checkpoints.read(path)
    assert not hasattr(checkpoints.Checkpoint, "evil")


def nested_key(depth):
    """t = (t, t) again and again, as a key: hashing it takes 2 ** depth steps."""
    return b"\x80\x02}" + text("a") + b"2\x86q\x00" + b"".join(b"0h\x00h\x00\x86q\x00" for _ in range(depth)) + b"Ns."


@pytest.mark.slow
@pytest.mark.parametrize(
    ("stream", "error"),
    [
        (nested_key(90), "nested tuple as a key"),
        (b"\x80\x02\x8b\xff\xff\xff\x7f" + b"\x01" * 100 + b".", "makes sense"),
        (b"\x80\x02" + b"(" * 50_000 + b".", "makes sense"),
        (b"\x80\x02" + b"(" * 50_000 + b"l" * 49_999 + b"l.", "holds no weights"),
        (b"\x80\x02" + b"N" + b"\x85" * 50_000 + b".", "holds no weights"),
        (
            b"\x80\x02" + text("x" * 100_000) + b"q\x000(" + b"c_codecs\nencode\nh\x00\x85R" * 100 + b"l.",
            "unfolds into far more than its own size",
        ),
    ],
    ids=["hash", "integer", "marks", "lists", "tuples", "copies"],
)
def test_bombs(stream, error, tmp_path):
    path = tmp_path / "x.pkl"
    path.write_bytes(stream)
    with pytest.raises(BadCheckpoint, match=error):
        checkpoints.read(path)


def test_instructions_are_counted(tmp_path, monkeypatch):
    monkeypatch.setattr(machine, "MAX_STEPS", 1000)
    (tmp_path / "x.pkl").write_bytes(b"\x80\x02" + b"]0" * 600 + b"N.")
    with pytest.raises(BadCheckpoint, match="more than 1,000 pickle instructions"):
        checkpoints.read(tmp_path / "x.pkl")


def test_nested_values_beside_weights_are_left_out(tmp_path):
    """A hundred levels of (t, t): sharing makes them small in the file and endless when written out."""
    bomb = ("x",)
    for _ in range(100):
        bomb = (bomb, bomb)
    torch.save({"state_dict": {"w": torch.ones(1)}, "bomb": bomb, "epoch": 3}, tmp_path / "x.pth")
    assert checkpoints.read(tmp_path / "x.pth").values == {"epoch": 3}


def test_a_tensor_that_claims_more_than_memory(tmp_path):
    torch.save({"w": torch.ones(1).expand(10**6, 10**9)}, tmp_path / "x.pth")
    with pytest.raises(CannotDo, match=r"x\.pth: its weights take 4,000,000,000 MB, but only [\d,]+ MB of memory"):
        checkpoints.read(tmp_path / "x.pth")


@pytest.mark.parametrize(
    ("size", "stride", "offset"), [((5,), (1,), 0), ((2,), (1,), 3), ((2,), (-1,), 2), ((2,), (1,), -1)]
)
def test_tensors_cannot_reach_beyond_their_storage(size, stride, offset, tmp_path):
    """Bytes before or behind are other memory of this process."""
    tree = Call(None)
    tree.parts = (torch._utils._rebuild_tensor_v2, (torch.ones(4)._typed_storage(), offset, size, stride, False, {}))
    (tmp_path / "x.pkl").write_bytes(pickle.dumps({"w": tree}))
    with pytest.raises(BadCheckpoint, match=r"_rebuild_tensor_v2 with arguments that make no sense"):
        checkpoints.read(tmp_path / "x.pkl")


def test_storages_of_an_old_stream_must_be_in_the_file(tmp_path):
    torch.save({"w": torch.ones(1000)}, tmp_path / "x.pth", _use_new_zipfile_serialization=False)
    whole = (tmp_path / "x.pth").read_bytes()
    (tmp_path / "x.pth").write_bytes(whole[:-8])
    with pytest.raises(BadCheckpoint, match=r"ends early, at .* bytes"):
        checkpoints.read(tmp_path / "x.pth")
    (tmp_path / "x.pth").write_bytes(whole.replace(struct.pack("<H", 1000), struct.pack("<H", 999), 1))
    with pytest.raises(BadCheckpoint, match=r"x\.pth"):
        checkpoints.read(tmp_path / "x.pth")


class Settings:
    def __init__(self, **state):
        self.__dict__.update(state)


def test_plain_values_and_inert_objects(tmp_path):
    """Every protocol of Python writes them in its own way."""
    value = {
        "numbers": [0, 1, -1, 255, 65536, -(2**31), 2**40, -(2**70), 1.5, True, False, None, 2 + 1j],
        "texts": ["", "a\nb", "ünïcode \U0001f600", b"bytes\x00\xff", bytearray(b"x")],
        "containers": ((), (1,), (1, 2), (1, 2, 3), (1, 2, 3, 4), {1, 2}, frozenset("ab"), [[], {}], {(1, "a"): 2}),
        "dicts": [collections.OrderedDict(b=1, a=2), collections.defaultdict(list, x=[1]), collections.Counter("aab")],
        "numpy": [np.float32(0.5), np.int64(-3), np.bool_(True), np.float64(1e300)],
    }
    for protocol in range(6):
        (tmp_path / "x").write_bytes(pickle.dumps({**value, "own": Settings(a=1, b=[2])}, protocol))
        found = contents(tmp_path / "x")
        own = found.pop("own")
        assert found == value, protocol
        assert isinstance(own, Inert)
        assert own.state == {"a": 1, "b": [2]}


def test_objects_beside_the_weights_become_plain(tmp_path, monkeypatch):
    """Lightning's and older checkpoints, which weights-only loading refuses."""
    config = types.ModuleType("omegaconf.dictconfig")
    config.DictConfig = type("DictConfig", (), {"__module__": "omegaconf.dictconfig"})
    monkeypatch.setitem(sys.modules, "omegaconf", types.ModuleType("omegaconf"))
    monkeypatch.setitem(sys.modules, "omegaconf.dictconfig", config)
    outer, inner = config.DictConfig(), config.DictConfig()
    inner.__dict__.update(_val=8, _parent=outer)
    outer.__dict__.update(_content={"size": inner}, _parent=None)
    content = {
        "state_dict": {"w": torch.arange(3.0)},
        "args": argparse.Namespace(latent_dim=128, betas=(0.5, 0.9), layer=torch.nn.Linear, path=Path("a")),
        "hyper_parameters": outer,
        "best": np.float64(0.25),
        "made": datetime.timedelta(1),
        "own": Settings(),
        "callbacks": {Settings: {"patience": 3}},
        "optimizer_states": [{"state": {0: torch.ones(1)}}],
    }
    for new_format in (True, False):
        torch.save(content, tmp_path / "x.ckpt", _use_new_zipfile_serialization=new_format)
        checkpoint = checkpoints.read(tmp_path / "x.ckpt")
        assert torch.equal(checkpoint.tensors["w"], torch.arange(3.0))
        values = dict(checkpoint.values)
        args = values.pop("args")
        assert (args["latent_dim"], args["betas"]) == (128, [0.5, 0.9])
        assert args["layer"] == "torch.nn.modules.linear.Linear"
        assert values["hyper_parameters"] == {"size": 8}
        assert values["best"] == 0.25
        assert values["own"].endswith("Settings")
        assert [*values["callbacks"].values()] == [{"patience": 3}]
        assert "optimizer_states" not in values


SETTINGS = {
    "range": (range(0, 6, 2), [0, 6, 2]),
    "slice": (slice(1, 2), [1, 2, None]),
    "pattern": (re.compile("a.*", re.IGNORECASE), ["a.*", re.compile("a.*", re.IGNORECASE).flags]),
    "flags": (re.IGNORECASE | re.MULTILINE, 10),
    "function": (max, "max"),
    "none": (type(None), None),
    "ellipsis": (..., "Ellipsis"),
    "annotation": (list[int], None),
    "union": (int | None, None),
    "optional": (typing.Optional[int], None),  # noqa: UP045 (another object, which pickles otherwise)
    "error": (FileNotFoundError("gone"), "gone"),
    "math": (math.sqrt, "math.sqrt"),
    "operator": (operator.itemgetter(1), 1),
    "counter": (itertools.count(3), 3),
    "user dict": (collections.UserDict(a=1), {"data": {"a": 1}}),
    "array": (array.array("f", [1, 2]), None),
    "random": (random.Random(1), None),
    "numbers": (np.arange(3, dtype=">i4"), [0, 1, 2]),
    "texts": (np.array(["a", "bb"]), ["a", "bb"]),
    "objects": (np.array([1, "x"], object), [1, "x"]),
    "kind": (np.dtype("float32"), "f4"),
    "generator": (np.random.default_rng(1), None),
}
"""Settings as training scripts save them, and what is kept of them; None where only the weights beside them count."""


@pytest.mark.parametrize("name", SETTINGS)
def test_settings_beside_the_weights_are_no_danger(name, tmp_path):
    """Protocols 0 to 2 spell range as xrange, str as unicode and FileNotFoundError as OSError."""
    setting, expected = SETTINGS[name]
    for protocol in range(6):
        stream = pickle.dumps({"state_dict": {"w": torch.ones(2)}, "setting": setting}, protocol)
        (tmp_path / "x.pkl").write_bytes(stream)
        checkpoint = checkpoints.read(tmp_path / "x.pkl")
        assert torch.equal(checkpoint.tensors["w"], torch.ones(2))
        found = checkpoint.values.get("setting")
        if isinstance(expected, str) and expected.isidentifier() and name in ("function", "ellipsis"):
            assert found in (f"builtins.{expected}", f"__builtin__.{expected}")
        elif expected is not None:
            assert found == expected, protocol


@pytest.mark.parametrize("name", ["getattr", "compile", "open", "input", "globals", "vars", "SystemError.x"])
@pytest.mark.parametrize("module", ["builtins", "__builtin__"])
def test_builtins_that_reach_further_are_refused(module, name, tmp_path):
    (tmp_path / "x.pkl").write_bytes(f"c{module}\n{name}\n.".encode().join((b"\x80\x02", b"")))
    with pytest.raises(BadCheckpoint, match=rf"it names {module}\.{name}, which no checkpoint has a use for"):
        checkpoints.read(tmp_path / "x.pkl")


def test_nothing_of_python_that_unpickles_is_used():
    """The interpreter is complete in itself: no import, call or attribute is looked up by a name in a file."""
    for module in (arrays, files, machine, names, rebuilding):
        text = Path(module.__file__).read_text()
        assert "Unpickler" not in text
        assert "torch.load" not in text
        assert "pickle.load" not in text
        assert "getattr(" not in text
