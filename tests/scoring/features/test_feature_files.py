"""Files of features: exact, added to without loss, and refused where they cannot be trusted."""

import multiprocessing
import os
import time
import zipfile

import numpy as np
import pytest
import torch
from trilemma.models.errors import BadCheckpoint, BadInput, CannotDo, MissingFile
from trilemma.models.scoring.features.feature_files import append, load, load_stored, save
from trilemma.models.scoring.features.feature_set import gaussian_of, merge
from trilemma.models.scoring.features.published import write
from trilemma.tests.scoring.toy import SIZE, Toy, features

needs_fork = pytest.mark.skipif(os.name != "posix", reason="no fork on this system")


def tensors(value):
    """Every tensor inside of nested tuples, and every other leaf."""
    return [leaf for item in value for leaf in (tensors(item) if isinstance(item, tuple) else [item])]


def assert_equal(a, b, rtol=0.0):
    for one, other in zip(tensors(a), tensors(b), strict=True):
        if isinstance(one, torch.Tensor):
            torch.testing.assert_close(one, other, rtol=rtol, atol=0)
        else:
            assert one == other


def visible(folder):
    return sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))


@pytest.mark.slow
@pytest.mark.parametrize("taps", [("deep",), ("deep", "place", "early")])
@pytest.mark.parametrize("capacity", [0, 7, 50])
def test_a_round_trip_is_exact(tmp_path, taps, capacity):
    taken = features(0, 30, "ein Wörterbuch", capacity, 2**63 + 5, taps)
    save(tmp_path / "new" / "a.npz", taken, {"skipped": ["b.png"]})
    stored = load_stored(tmp_path / "new" / "a.npz")
    assert_equal(stored.features, taken)
    assert stored.notes == {"skipped": ["b.png"]}
    assert_equal(load(tmp_path / "new" / "a.npz", Toy()), taken)


def test_features_without_classes_or_samples_are_kept_too(tmp_path):
    taken = features(0, 5)._replace(classes=None)
    save(tmp_path / "a.npz", taken)
    assert_equal(load(tmp_path / "a.npz"), taken)


def test_appending_equals_one_pass(tmp_path):
    path = tmp_path / "runs" / "a.npz"
    for first, last in ((0, 8), (8, 9), (9, 40)):
        added = append(path, features(first, last, f"from {first}"))
    whole = features(0, 40, "from 0")
    assert_equal(load(path), added)
    assert_equal(added, whole, rtol=1e-12)
    assert torch.equal(added.rows.values, whole.rows.values)
    assert visible(path.parent) == ["a.npz"]


def test_a_repeat_is_refused_and_leaves_the_bytes(tmp_path):
    path = tmp_path / "a.npz"
    append(path, features(0, 10))
    before = path.read_bytes()
    with pytest.raises(BadInput, match=r"3 of the 8 samples of new are in a\.npz already"):
        append(path, features(7, 15, "new"))
    assert path.read_bytes() == before
    append(path, features(10, 15))
    assert load(path).count == 15
    assert append(path, features(7, 15), overwrite=True).count == load(path).count == 8


@pytest.mark.parametrize(
    ("other", "message"),
    [
        ({"toy": Toy(weights=1)}, "toy 00000000, resize cut.*toy 00000001, resize cut"),
        ({"toy": Toy(resize="pad")}, "resize cut.*resize pad"),
        ({"capacity": 5}, r"kept rows of set \(20\) and set \(5\) differ"),
        ({"seed": 1}, r"seeds of kept rows of set \(0\) and set \(1\) differ"),
        ({"taps": ("deep", "place")}, "taps of set"),
    ],
)
def test_what_was_taken_otherwise_is_not_added(tmp_path, other, message):
    path = tmp_path / "a.npz"
    append(path, features(0, 10))
    before = path.read_bytes()
    with pytest.raises(BadInput, match=message):
        append(path, features(10, 20, **other))
    assert path.read_bytes() == before


def _append(path, numbers):
    torch.set_num_threads(1)
    for number in numbers:
        append(path, features(number, number + 1))


def _begun(path, *ranges):
    """Processes that add samples of these ranges one by one."""
    context = multiprocessing.get_context("fork")
    workers = [context.Process(target=_append, args=(path, numbers)) for numbers in ranges]
    for worker in workers:
        worker.start()
    return workers


@pytest.mark.slow
@needs_fork
def test_a_kill_in_the_middle_leaves_a_whole_file(tmp_path):
    path = tmp_path / "a.npz"
    append(path, features(0, 10))
    (worker,) = _begun(path, range(100, 100_000))
    deadline = time.monotonic() + 30
    while load(path).count < 15 and time.monotonic() < deadline:
        time.sleep(0.01)
    worker.kill()
    worker.join(30)
    count = load(path).count
    assert count >= 15
    assert_equal(load(path), merge([features(0, 10), features(100, 90 + count)]), rtol=1e-12)
    # Nobody waits for the dead, and what it left half-written is in nobody's way.
    assert append(path, features(10, 20)).count == count + 10
    assert visible(tmp_path) == ["a.npz"]


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    path = tmp_path / "a.npz"
    append(path, features(0, 10))
    before = path.read_bytes()

    def fail(*_):
        raise OSError("disk full")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(CannotDo, match=r"a\.npz cannot be written into .*disk full"):
        append(path, features(10, 20))
    assert path.read_bytes() == before
    assert sorted(os.listdir(tmp_path)) == [".a.npz.lock", "a.npz"]


@pytest.mark.slow
@needs_fork
def test_two_at_once_lose_nothing(tmp_path):
    path = tmp_path / "a.npz"
    workers = _begun(path, range(10), range(10, 20))
    for worker in workers:
        worker.join(60)
    assert [worker.exitcode for worker in workers] == [0, 0]
    assert_equal(load(path), features(0, 20), rtol=1e-12)


def test_files_of_pytorch_fid_are_read_and_written(tmp_path):
    rows = np.random.default_rng(0).normal(size=(40, SIZE))
    np.savez(tmp_path / "stats.npz", mu=rows.mean(axis=0), sigma=np.cov(rows, rowvar=False))
    found = load(tmp_path / "stats.npz", Toy())
    assert (found.name, found.source, found.count, found.rows) == ("stats", Toy().source, 0, None)
    assert [tap.name for tap in found.taps] == ["deep"]
    assert np.array_equal(gaussian_of(found.taps[0]).covariance.numpy(), np.cov(rows, rowvar=False))
    write(tmp_path / "again.npz", found)
    with np.load(tmp_path / "again.npz") as file:
        assert sorted(file.files) == ["mu", "sigma"]
        assert file["mu"].dtype == file["sigma"].dtype == np.float64
        assert np.array_equal(file["mu"], rows.mean(axis=0))
    with pytest.raises(BadCheckpoint, match=r"stats\.npz was not written by this pack"):
        append(tmp_path / "stats.npz", found)
    append(tmp_path / "ours.npz", found)
    assert_equal(load(tmp_path / "ours.npz"), found)
    with pytest.raises(BadInput, match="stats has mean and covariance only"):
        append(tmp_path / "ours.npz", features(0, 5))


def test_mean_and_covariance_are_those_of_the_rows(tmp_path):
    taken = features(0, 50, capacity=50)
    write(tmp_path / "a.npz", taken)
    with np.load(tmp_path / "a.npz") as file:
        rows = taken.rows.values.double().numpy()
        np.testing.assert_allclose(file["mu"], rows.mean(axis=0), rtol=1e-12)
        np.testing.assert_allclose(file["sigma"], np.cov(rows, rowvar=False), rtol=1e-9, atol=1e-12)
    with pytest.raises(BadInput, match=r"a\.npz is there, and mean and covariance cannot be added to"):
        write(tmp_path / "a.npz", taken)
    write(tmp_path / "a.npz", features(0, 9), overwrite=True)
    with pytest.raises(BadInput, match="1 sample is too few"):
        write(tmp_path / "b.npz", features(0, 1))


def test_features_of_clean_fid_become_sums_and_rows(tmp_path):
    rows = features(0, 50, capacity=50).rows.values
    np.savez(tmp_path / "x_clean_custom_na_kid.npz", feats=rows.numpy())
    found = load(tmp_path / "x_clean_custom_na_kid.npz", Toy())
    assert found.count == len(found.rows.keys) == 50
    torch.testing.assert_close(
        gaussian_of(found.taps[0]).covariance, torch.cov(rows.double().T), rtol=1e-10, atol=1e-12
    )
    assert torch.equal(found.rows.values.sort(dim=0).values, rows.sort(dim=0).values)
    with pytest.raises(BadInput, match="50 samples are in more than one"):
        merge([found, load(tmp_path / "x_clean_custom_na_kid.npz", Toy())])


def test_the_extractor_must_be_that_of_the_file(tmp_path):
    np.savez(tmp_path / "stats.npz", mu=np.zeros(9), sigma=np.eye(9))
    with pytest.raises(BadInput, match=r"extractor: stats\.npz does not say by which network"):
        load(tmp_path / "stats.npz")
    with pytest.raises(BadInput, match=r"stats\.npz has features of size 9, toy has 6"):
        load(tmp_path / "stats.npz", Toy())
    save(tmp_path / "ours.npz", features(0, 5))
    with pytest.raises(BadInput, match="set was taken by toy 00000000, resize cut, connected is toy 00000001"):
        load(tmp_path / "ours.npz", Toy(weights=1))


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"a": np.zeros(3)}, "neither 'mu' and 'sigma' nor 'feats' nor 'reps' but 'a'"),
        ({}, "but nothing"),
        ({"mu": np.zeros(SIZE), "sigma": np.eye(SIZE + 1)}, r"sigma of x\.npz is float64 of shape \(7, 7\)"),
        ({"mu": np.zeros((SIZE, 1)), "sigma": np.eye(SIZE)}, "mu of x"),
        ({"mu": np.zeros(SIZE, complex), "sigma": np.eye(SIZE)}, "mu of x.npz is complex128"),
        ({"mu": np.full(SIZE, np.nan), "sigma": np.eye(SIZE)}, "mu of x.npz holds values that are not numbers"),
        ({"mu": np.zeros(SIZE, object), "sigma": np.eye(SIZE)}, r"x\.npz is broken.*Python objects"),
        ({"feats": np.full((3, SIZE), np.inf)}, "feats of x.npz holds values that are not numbers"),
        ({"header": np.array("no JSON")}, r"x\.npz is broken"),
        ({"header": np.array("{}")}, r"x\.npz is broken"),
        ({"header": np.array('{"format": 2}')}, "written in format 2, known is 1"),
    ],
)
def test_other_arrays_are_refused(tmp_path, arrays, message):
    np.savez(tmp_path / "x.npz", **arrays)
    with pytest.raises(BadCheckpoint, match=message):
        load(tmp_path / "x.npz", Toy())


def edited(path, **changes):
    """The file with arrays replaced, or, where None stands, left out."""
    with np.load(path) as file:
        arrays = {**{key: file[key] for key in file.files}, **changes}
    np.savez(path, **{key: value for key, value in arrays.items() if value is not None})


@pytest.mark.slow
@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"row_values": None}, "no array 'row_values'"),
        ({"row_values": np.full((20, SIZE), np.nan, np.float32)}, "row_values of a.npz holds values that are not"),
        ({"tap_0_second": np.full((SIZE, SIZE), np.inf)}, "tap_0_second of a.npz holds values that are not"),
        ({"tap_0_first": np.zeros(5)}, "tap_0_first of a.npz is float64 of shape"),
        ({"keys": np.arange(29)}, "do not fit each other"),
        ({"keys": np.zeros(30, int)}, "do not fit each other"),
        ({"class_counts": np.zeros(10, int)}, "do not fit each other"),
        ({"row_keys": np.arange(5), "row_values": np.zeros((5, SIZE), np.float32)}, "do not fit each other"),
    ],
)
def test_a_file_of_ours_that_was_tampered_with(tmp_path, changes, message):
    save(tmp_path / "a.npz", features(0, 30))
    edited(tmp_path / "a.npz", **changes)
    with pytest.raises(BadCheckpoint, match=message):
        load(tmp_path / "a.npz")


def test_broken_files(tmp_path):
    path = tmp_path / "a.npz"
    save(path, features(0, 30))
    whole = path.read_bytes()
    with zipfile.ZipFile(path) as file:
        place = file.getinfo("row_values.npy").header_offset + 200
    flipped = whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :]
    for content in (b"", b"no zip", whole[: len(whole) // 2], flipped):
        path.write_bytes(content)
        with pytest.raises(BadCheckpoint, match=r"a\.npz is broken"):
            load(path)
        with pytest.raises(BadCheckpoint, match=r"a\.npz is broken"):
            append(path, features(30, 40))
        assert path.read_bytes() == content
    np.save(tmp_path / "b.npy", np.zeros(3))
    with pytest.raises(BadCheckpoint, match=r"b\.npy is a single array"):
        load(tmp_path / "b.npy")
    with pytest.raises(MissingFile, match=r"there is no file c\.npz"):
        load(tmp_path / "c.npz")


def test_nothing_that_a_file_says_is_executed(tmp_path):
    np.savez(tmp_path / "x.npz", header=np.array([os.getcwd], object))
    with pytest.raises(BadCheckpoint, match="Python objects"):
        load(tmp_path / "x.npz")


def rewritten(path, change):
    """The same file with other bytes in one of its records, and the right checksums."""
    with zipfile.ZipFile(path) as archive:
        records = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, raw in records.items():
            archive.writestr(name, change(name, raw))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"'descr'", b"'descr\n"),
        (b"(40,)", b"(4o,)"),
        (b"(40,)", b"(((((("),
        (b"<i8", b"|O8"),
        (b"<i8", b"???"),
        (b"\x93NUMPY\x01", b"\x93NUMPY\x09"),
        (b"\x93NUMPY", b"\x93NUMPX"),
        (b"(40,)", b"(9**9"),
    ],
)
def test_headers_that_make_no_sense(old, new, tmp_path):
    """NumPy has them read by Python's own parser, whose errors are of many kinds."""
    path = tmp_path / "a.npz"
    append(path, features(0, 40))
    rewritten(path, lambda name, raw: raw.replace(old, new, 1) if name == "keys.npy" else raw)
    with pytest.raises(BadCheckpoint, match=r"a\.npz") as told:
        load(path)
    assert "allow_pickle" not in str(told.value)


@pytest.mark.parametrize("offset", range(0, 1000, 37))
def test_one_wrong_byte_is_a_broken_file_or_none(offset, tmp_path):
    path = tmp_path / "a.npz"
    append(path, features(0, 40))
    raw = bytearray(path.read_bytes())
    for place in (offset, len(raw) - 1 - offset):
        damaged = bytearray(raw)
        damaged[place] ^= 0x55
        path.write_bytes(damaged)
        try:
            load(path)
        except BadCheckpoint as error:
            assert "a.npz" in str(error)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:1\nsize 5\n", "a Git LFS pointer .*git lfs pull"),
        (b"<!DOCTYPE html><html>", "a web page"),
        (b"", "is empty"),
        (b"\x80\x04N.", "no checkpoint"),
        (b"\x93NUMPY\x01\x00", "a single array"),
    ],
)
def test_what_is_no_npz_file_is_named(content, said, tmp_path):
    (tmp_path / "a.npz").write_bytes(content)
    with pytest.raises(BadCheckpoint, match=said) as told:
        load(tmp_path / "a.npz")
    assert "allow_pickle" not in str(told.value)
    assert "pickle" not in str(told.value)
