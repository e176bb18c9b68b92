"""Convert to Safetensors: the function, the command and the node."""

import json

import pytest
import torch
from safetensors import safe_open
from trilemma import headless
from trilemma.host import standalone
from trilemma.models.errors import BadCheckpoint, BadInput, CannotDo
from trilemma.models.files import checkpoints
from trilemma.models.files.converting import convert
from trilemma.nodes import NODE_CLASS_MAPPINGS
from trilemma.tests import reference_kit

BASE = torch.arange(12.0).reshape(3, 4)
TENSORS = {"a": BASE, "tied": BASE, "turned": BASE.t(), "half": BASE.half(), "number": torch.tensor(3)}
CONTENT = {"ema": TENSORS, "model": {"a": BASE}, "args": {"latent_dim": 8, "betas": (0.5, 0.9)}}
NOTE = "took the EMA weights (ema) of 2 networks (ema, model) in the file"


@pytest.fixture
def source(tmp_path):
    torch.save(CONTENT, tmp_path / "x.ckpt")
    return tmp_path / "x.ckpt"


def check(path):
    """Same names, dtypes and values as the original, and what stood beside them."""
    checkpoint = checkpoints.read(path)
    assert checkpoint.tensors.keys() == TENSORS.keys()
    for name, value in TENSORS.items():
        assert checkpoint.tensors[name].dtype == value.dtype
        assert torch.equal(checkpoint.tensors[name], value)
    assert checkpoint.values == {"args": {"latent_dim": 8, "betas": [0.5, 0.9]}}
    assert checkpoint.notes == (NOTE,)


def test_beside_the_original(source):
    done = convert(source)
    assert (done.path, done.tensors, done.notes) == (source.with_suffix(".safetensors"), 5, (NOTE,))
    assert done.bytes == done.path.stat().st_size
    check(done.path)
    with safe_open(done.path, framework="pt") as file:
        assert file.metadata()["converted_from"] == "x.ckpt"
    assert sorted(path.name for path in source.parent.iterdir()) == ["x.ckpt", "x.safetensors"]


def test_the_copy_has_the_permissions_of_any_new_file(source):
    convert(source)
    assert source.with_suffix(".safetensors").stat().st_mode == source.stat().st_mode


@pytest.mark.slow
def test_a_snapshot_keeps_its_settings(tmp_path):
    snapshot = reference_kit.KIT / "stylegan2_ada" / "snapshot_tiny_blank_source.pkl"
    done = convert(snapshot, tmp_path / "y.safetensors")
    before, after = checkpoints.read(snapshot), checkpoints.read(done.path)
    assert before.tensors.keys() == after.tensors.keys()
    assert all(torch.equal(value, after.tensors[name]) for name, value in before.tensors.items())
    assert after.values == before.values
    assert after.values["_init_kwargs"]["z_dim"] == 32
    again = convert(done.path, tmp_path / "z.safetensors")
    assert checkpoints.read(again.path).values == before.values


def test_an_existing_file_is_only_replaced_when_asked(source):
    target = source.with_suffix(".safetensors")
    target.write_bytes(b"mine")
    with pytest.raises(BadInput, match=r"x\.safetensors exists already; turn on overwrite"):
        convert(source)
    assert target.read_bytes() == b"mine"
    check(convert(source, overwrite=True).path)


def test_the_original_is_never_replaced(source):
    done = convert(source)
    with pytest.raises(BadInput, match="is a safetensors file already"):
        convert(done.path, overwrite=True)


@pytest.mark.parametrize(
    ("target", "error", "said"),
    [
        ("y.pth", BadInput, r"y\.pth does not end in \.safetensors"),
        ("no/y.safetensors", CannotDo, "there is no folder"),
    ],
)
def test_targets_that_cannot_be(source, target, error, said):
    with pytest.raises(error, match=said):
        convert(source, source.parent / target)


@pytest.mark.parametrize("content", [b"broken", None])
def test_a_failure_leaves_nothing_behind(tmp_path, content):
    """A file that cannot be read, and a dtype that cannot be written."""
    source = tmp_path / "x.pth"
    if content is None:
        torch.save({"a": torch.zeros(2, dtype=torch.complex128)}, source)
    else:
        source.write_bytes(content)
    with pytest.raises((BadCheckpoint, CannotDo), match=r"x\.pth|complex128"):
        convert(source)
    assert [path.name for path in tmp_path.iterdir()] == ["x.pth"]


@pytest.mark.parametrize(
    ("names", "said"),
    [
        ((), "folder is a folder; name a file of weights; it holds none of its own"),
        (("b.bin", "a.pth", "config.json"), "folder is a folder; name a file in it: a.pth, b.bin."),
        (("1.pt", "2.pt", "3.pt", "4.pt"), "a file in it: 1.pt, 2.pt, 3.pt and 1 more"),
    ],
)
def test_a_folder_is_told_as_such(command, tmp_path, names, said):
    folder = tmp_path / "folder"
    folder.mkdir()
    for name in names:
        (folder / name).touch()
    code, result, _ = command(folder)
    assert code == 2
    assert said in result["error"]["message"]
    assert command(tmp_path / "none")[0] == 2


@pytest.fixture
def command(capsys):
    def run(*arguments):
        code = headless.main(["convert", *map(str, arguments)])
        captured = capsys.readouterr()
        return code, json.loads(captured.out), captured.err

    return run


def test_the_command(command, source, tmp_path):
    code, result, _ = command(source, "--output", tmp_path / "y.safetensors")
    size = (tmp_path / "y.safetensors").stat().st_size
    assert code == 0
    assert result.pop("seconds") >= 0
    facts = {"file": str(tmp_path / "y.safetensors"), "tensors": 5, "bytes": size, "notes": [NOTE]}
    assert result == {"converted": facts}
    check(tmp_path / "y.safetensors")


def test_the_commands_exit_codes(command, source, tmp_path):
    (tmp_path / "bad.pth").write_bytes(b"<html>no</html>")
    assert command(source)[0] == 0
    assert command(source)[0] == 2
    assert command(source, "--overwrite")[0] == 0
    assert command(tmp_path / "none.pth")[0] == 2
    code, result, err = command(tmp_path / "bad.pth")
    assert code == 1
    assert "bad.pth: it is a web page" in result["error"]["message"]
    assert "bad.pth: it is a web page" in err
    with pytest.raises(SystemExit) as stop:
        headless.main(["convert"])
    assert stop.value.code == 2


def test_the_node(tmp_path, monkeypatch):
    monkeypatch.setattr(standalone, "_places", {**standalone._places, "models": tmp_path})
    (tmp_path / "generators" / "sub").mkdir(parents=True)
    (tmp_path / "sams").mkdir()
    torch.save(CONTENT, tmp_path / "generators" / "sub" / "x.ckpt")
    torch.save(CONTENT, tmp_path / "sams" / "y.safetensors")
    node = NODE_CLASS_MAPPINGS["TrilemmaConvertToSafetensors"]

    assert node.INPUT_TYPES()["required"]["file"][0] == ["generators/sub/x.ckpt"]
    assert node.VALIDATE_INPUTS("generators/sub/x.ckpt") is True
    before = node.IS_CHANGED("generators/sub/x.ckpt")
    shown = node().run("generators/sub/x.ckpt")

    assert shown["result"] == ("generators/sub/x.safetensors",)
    assert shown["ui"]["text"][0].startswith("generators/sub/x.safetensors: 5 tensors, ")
    assert NOTE in shown["ui"]["text"][0]
    check(tmp_path / "generators" / "sub" / "x.safetensors")
    with pytest.raises(BadInput, match="turn on overwrite"):
        node().run("generators/sub/x.ckpt")
    node().run("generators/sub/x.ckpt", overwrite=True)
    assert node.IS_CHANGED("generators/sub/x.ckpt") == before


@pytest.mark.parametrize(
    "file",
    ["generators/../secret.ckpt", "generators/none.ckpt", "output/x.ckpt", "generators/x.txt", "/etc/x.ckpt", ""],
)
def test_the_node_reads_model_folders_only(file, tmp_path, monkeypatch):
    monkeypatch.setattr(standalone, "_places", {**standalone._places, "models": tmp_path / "models"})
    (tmp_path / "models" / "generators").mkdir(parents=True)
    torch.save(CONTENT, tmp_path / "models" / "secret.ckpt")
    assert (
        "choose one of the list" in (said := str(node_class().VALIDATE_INPUTS(file)))
        or "is not in the model folder" in said
    )


def node_class():
    return NODE_CLASS_MAPPINGS["TrilemmaConvertToSafetensors"]
