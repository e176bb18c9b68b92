"""Hostile and damaged zip archives: refused by what their lists and records claim, before anything is unpacked."""

import io
import pickle
import struct
import zipfile

import pytest
import torch
from trilemma.models.errors import BadCheckpoint
from trilemma.models.files import checkpoints
from trilemma.models.files.unpickling import Global
from trilemma.models.inpainting.loading import INPAINTERS


@pytest.mark.slow
def test_archives_are_not_unpacked(tmp_path):
    path = tmp_path / "x.pth"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", b"\x80\x02N.")
        archive.writestr("archive/data/0", bytes(10**7))
    with pytest.raises(BadCheckpoint, match=r"is compressed .* zip bombs do"):
        checkpoints.read(path)


def test_an_archive_that_was_packed_anew_is_no_bomb(tmp_path):
    """Unpacked and zipped again, as people do to look inside; without compression it is read."""
    torch.save({"w": torch.rand(500, generator=torch.Generator().manual_seed(0))}, tmp_path / "x.pth")
    with zipfile.ZipFile(tmp_path / "x.pth") as archive:
        records = {entry.filename: archive.read(entry) for entry in archive.infolist()}
    for method in (zipfile.ZIP_DEFLATED, zipfile.ZIP_STORED):
        with zipfile.ZipFile(tmp_path / "y.pth", "w", method) as archive:
            archive.mkdir("x") if hasattr(archive, "mkdir") else None
            for name, content in records.items():
                archive.writestr(name, content)
        if method == zipfile.ZIP_DEFLATED:
            with pytest.raises(BadCheckpoint, match=r"is compressed .*packed anew.*zip -0 -r") as told:
                checkpoints.read(tmp_path / "y.pth")
            assert "bomb" not in str(told.value)
    found = checkpoints.read(tmp_path / "y.pth").tensors
    assert torch.equal(found["w"], torch.rand(500, generator=torch.Generator().manual_seed(0)))


def test_archives_that_claim_more_than_the_file(tmp_path):
    """Both sizes in the list of contents are forged, as if the records overlapped."""
    path = tmp_path / "x.pth"
    torch.save({"w": torch.ones(1000)}, path)
    raw = bytearray(path.read_bytes())
    entry = raw.index(b"PK\x01\x02")
    raw[entry + 20 : entry + 28] = struct.pack("<II", 2**30, 2**30)
    path.write_bytes(raw)
    with pytest.raises(BadCheckpoint, match=r"records claim 10\d+ bytes, but the whole file has \d+, as in a zip bomb"):
        checkpoints.read(path)


@pytest.mark.parametrize(("offset", "value"), [(46, b"\xff"), (6, b"\xc8\x00")], ids=["name", "version"])
def test_damaged_lists_of_an_archive(offset, value, tmp_path):
    path = tmp_path / "x.pth"
    torch.save({"w": torch.ones(1)}, path)
    raw = bytearray(path.read_bytes())
    entry = raw.index(b"PK\x01\x02")
    raw[entry + 9] |= 8
    raw[entry + offset : entry + offset + len(value)] = value
    path.write_bytes(raw)
    with pytest.raises(BadCheckpoint, match="no whole list of its contents"):
        checkpoints.read(path)


def forged(path, **records):
    """A zip archive of other records than a checkpoint's."""
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in records.items():
            archive.writestr(name.replace("__", "/").replace("_pkl", ".pkl"), content)


@pytest.mark.parametrize(
    ("records", "said"),
    [
        ({"word__document": b"x"}, "is a zip archive, but no PyTorch checkpoint .it holds word/document"),
        ({"a__data_pkl": b"N.", "a__constants_pkl": b"N."}, "a TorchScript program, which is code"),
        ({"a__data_pkl": b"\x80\x02N.", "a__byteorder": b"big"}, "big-endian"),
        ({"a__data_pkl": b"\x80\x02N.", "b__data_pkl": b"N."}, "no PyTorch checkpoint"),
    ],
)
def test_archives_of_other_kinds(records, said, tmp_path):
    forged(tmp_path / "x.pth", **records)
    with pytest.raises(BadCheckpoint, match=said):
        checkpoints.read(tmp_path / "x.pth")


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*torch.jit.*deprecated")
def test_a_program_is_named_as_such_though_its_code_is_compressed(tmp_path):
    torch.jit.trace(torch.nn.Linear(2, 2), torch.zeros(1, 2)).save(tmp_path / "x.pt")
    with pytest.raises(BadCheckpoint, match=r"x\.pt: it is a TorchScript program"):
        checkpoints.read(tmp_path / "x.pt")


class Traced(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4))
        self.register_buffer("scale", torch.tensor([2.0, 3.0]))

    def forward(self, images):
        return self.layers(images) * self.scale.sum()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*torch.jit.*deprecated")
def test_the_weights_of_a_program_are_read_as_data_for_whoever_knows_architectures(tmp_path):
    """Those of its state dict, by name and value; a family that does not know them refuses it as a program."""
    traced = torch.jit.trace(Traced().train(False), torch.zeros(1, 3, 8, 8))
    traced.save(tmp_path / "x.pt")
    found = checkpoints.read_all(tmp_path / "x.pt")
    expected = traced.state_dict()
    assert found.tensors.keys() == expected.keys()
    for name, value in expected.items():
        assert torch.equal(found.tensors[name], value), name
    assert found.is_program
    assert "took the weights of a TorchScript program as data; its code was not run" in found.notes
    with pytest.raises(BadCheckpoint, match=r"x\.pt is no inpainter that the pack knows: it is a TorchScript program"):
        INPAINTERS.load(tmp_path / "x.pt")


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*torch.jit.*deprecated")
def test_a_program_whose_weights_are_in_its_code_is_refused_as_one(tmp_path):
    frozen = torch.jit.freeze(torch.jit.trace(Traced().train(False), torch.zeros(1, 3, 8, 8)))
    frozen.save(tmp_path / "x.pt")
    with pytest.raises(BadCheckpoint, match=r"x\.pt: it is a TorchScript program, which is code"):
        checkpoints.read_all(tmp_path / "x.pt")


@pytest.mark.parametrize(
    ("reference", "said"),
    [
        (("storage", Global, "0", "cpu", 4), r"machine\.Global, which this reader does not know"),
        (("module", "x", "file", "source"), "persistent id that is no storage"),
        (("storage", torch.QInt8Storage, "0", "cpu", 4), "keeps tensors in a torch.QInt8Storage"),
        (
            ("storage", torch.FloatStorage, "../../etc/passwd", "cpu", 4),
            "lacks its record archive/data/../../etc/passwd",
        ),
        (("storage", torch.FloatStorage, "0", "cpu", -4), "makes no sense"),
        (("storage", torch.FloatStorage, "0", "cpu", 10**15), "has 16 bytes of the 4000000000000000"),
    ],
)
def test_storages_of_an_archive(reference, said, tmp_path):
    class Pickler(pickle.Pickler):
        def persistent_id(self, value):
            return reference if value == "the storage" else None

    stream = io.BytesIO()
    Pickler(stream, 2).dump(["the storage"])
    forged(tmp_path / "x.pth", archive__data_pkl=stream.getvalue(), archive__data__0=bytes(16))
    with pytest.raises(BadCheckpoint, match=said):
        checkpoints.read(tmp_path / "x.pth")


def places(path):
    """(offset, bytes) of every record of an archive."""
    with zipfile.ZipFile(path) as archive:
        entries = archive.infolist()
    raw = path.read_bytes()
    for entry in entries:
        name, extra = struct.unpack_from("<HH", raw, entry.header_offset + 26)
        yield entry, entry.header_offset + 30 + name + extra


@pytest.mark.parametrize("name", ["data.pkl", "data/0", "data/1"])
def test_a_flipped_bit_is_seen(name, tmp_path):
    """In a tensor, and in the names of the tensors."""
    path = tmp_path / "x.pth"
    torch.save({"weight": torch.arange(3.0), "bias": torch.ones(2)}, path)
    checkpoints.read(path)
    whole = path.read_bytes()
    (entry, start), *_ = [found for found in places(path) if found[0].filename == f"x/{name}"]
    for offset in range(start, start + entry.file_size, 5):
        path.write_bytes(whole[:offset] + bytes([whole[offset] ^ 4]) + whole[offset + 1 :])
        with pytest.raises(BadCheckpoint, match=rf"x\.pth: its record x/{name} has another checksum; it is damaged"):
            checkpoints.read(path)


@pytest.mark.parametrize("where", ["list", "header"])
def test_a_flipped_name_of_a_record_is_seen(where, tmp_path):
    path = tmp_path / "x.pth"
    torch.save({"weight": torch.arange(3.0), "bias": torch.ones(2)}, path)
    raw = bytearray(path.read_bytes())
    index = raw.index(b"x/data/0") if where == "header" else raw.rindex(b"x/data/0")
    raw[index + 7] = ord("7")
    path.write_bytes(raw)
    with pytest.raises(BadCheckpoint, match=r"x/data/0 is not where it should be|lacks its record x/data/0"):
        checkpoints.read(path)


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("name", ["archive/data/0", "archive/data.pkl"])
def test_a_record_that_is_there_twice_is_refused(name, tmp_path):
    """Readers differ in which of both they take."""
    path = tmp_path / "archive.pth"
    torch.save({"w": torch.ones(4)}, path)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(name, bytes(16))
    with pytest.raises(BadCheckpoint, match=rf"has its record {name} twice"):
        checkpoints.read(path)


def test_archives_without_checksums_are_read(tmp_path):
    """As torch.serialization.set_crc32_options(False) has them written: 0 everywhere."""
    path = tmp_path / "x.pth"
    torch.save({"w": torch.arange(4.0)}, path)
    raw = bytearray(path.read_bytes())
    for entry, _ in places(path):
        checksum = struct.pack("<I", entry.CRC)
        while checksum in raw:
            index = raw.index(checksum)
            raw[index : index + 4] = bytes(4)
    path.write_bytes(raw)
    with zipfile.ZipFile(path) as archive:
        assert not any(entry.CRC for entry in archive.infolist())
    assert torch.equal(checkpoints.read(path).tensors["w"], torch.arange(4.0))
