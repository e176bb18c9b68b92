"""Every file that the pack writes is there whole or not at all, also when writing breaks off."""

import contextlib
import json
import os
import re
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from PIL import Image
from trilemma.host.core_nodes import write_images
from trilemma.models.errors import CannotDo
from trilemma.models.files.atomic import locked, replacing, sweep_parts, unfinished
from trilemma.models.files.converting import convert
from trilemma.models.generators import saving
from trilemma.models.pictures.png import eight_bit, write_png
from trilemma.models.scoring.features import feature_files, published
from trilemma.models.scoring.reports import leaderboard_files
from trilemma.tests.scoring.toy import features

resource = pytest.importorskip("resource", reason="the system has no limit for the size of files")


@contextlib.contextmanager
def room_for(size):
    """No file may grow beyond so many bytes: the system ends a longer one in the middle, as a full disk does."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def picture(seed):
    return torch.rand(24, 24, 3, generator=torch.Generator().manual_seed(seed))


def write_sample(folder, seed):
    saving.save(picture(seed)[None], [{"seed": seed}], folder, "run/x", {}, overwrite=True)


def write_two_samples(folder, seed):
    saving.save(torch.stack([picture(seed), picture(seed + 1)]), [{}, {}], folder, "run/x", {}, overwrite=True)


def write_picture(folder, seed):
    write_png(folder / "x.png", picture(seed), {"seed": seed})


def write_leaderboard(folder, seed):
    pictures = picture(seed)[None]
    leaderboard_files.save(leaderboard_files.Report("words", "a,b", "{}", pictures, pictures), folder, "board", {})


def write_features(folder, seed):
    feature_files.append(folder / "set.npz", features(0, 40, seed=seed), overwrite=True)


def write_statistics(folder, seed):
    published.write(folder / "fid.npz", features(seed, seed + 40), overwrite=True)


def write_converted(folder, seed):
    source = folder / ".source.pth"
    if not source.exists():
        # Of the size of a file, but of no limit here: it is there before the room runs out.
        torch.save({"a": picture(0)}, source)
    convert(source, folder / "x.safetensors", overwrite=True)


def write_host_image(folder, seed):
    write_images(picture(seed)[None], folder, "run/x", None, None)


WRITERS = [
    write_sample,
    write_two_samples,
    write_picture,
    write_leaderboard,
    write_features,
    write_statistics,
    write_converted,
    write_host_image,
]
GROWING = [write_leaderboard, write_host_image]
"""Those that never replace a file."""


def contents(folder):
    """Bytes of every file below a folder; of a lock there is only the name."""
    paths = [path for path in folder.rglob("*") if path.is_file() and path.name != ".source.pth"]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths if path.suffix != ".lock"}


@pytest.mark.slow
@pytest.mark.parametrize("write", WRITERS)
def test_nothing_remains_of_a_file_that_was_not_finished(write, tmp_path):
    whole = tmp_path / "whole"
    cut = tmp_path / "cut"
    for folder in (whole, cut):
        folder.mkdir()
    write(whole, 1)
    finished = contents(whole)
    if write is write_converted:
        os.link(whole / ".source.pth", cut / ".source.pth")
    with room_for(400), pytest.raises((OSError, CannotDo)):
        write(cut, 1)
    assert contents(cut) == {}
    assert finished
    write(cut, 1)
    assert contents(cut).keys() == finished.keys()


@pytest.mark.slow
@pytest.mark.parametrize("write", [write for write in WRITERS if write not in GROWING])
def test_the_old_file_outlives_a_new_one_that_was_not_finished(write, tmp_path):
    write(tmp_path, 1)
    before = contents(tmp_path)
    with room_for(400), pytest.raises((OSError, CannotDo)):
        write(tmp_path, 2)
    assert contents(tmp_path) == before
    write(tmp_path, 2)
    assert contents(tmp_path).keys() == before.keys()
    assert write is write_converted or contents(tmp_path) != before


@pytest.mark.slow
@pytest.mark.parametrize("write", WRITERS)
def test_the_full_disk_is_told(write, tmp_path):
    """What was being written, and where; the system's own words name neither."""
    if write is write_converted:
        torch.save({"a": picture(0)}, tmp_path / ".source.pth")
    with room_for(400), pytest.raises(CannotDo) as told:
        write(tmp_path, 1)
    said = str(told.value)
    assert re.search(r"\.(png|npz|md|safetensors) cannot be written into ", said)
    assert str(tmp_path) in said
    assert "File too large" in said
    assert "make room" in said
    assert "dtype" not in said


def test_a_dtype_that_cannot_be_written_is_told_as_such(tmp_path):
    torch.save({"fine": picture(0), "odd": torch.zeros(2, dtype=torch.complex128)}, tmp_path / "x.pth")
    with room_for(400), pytest.raises(CannotDo, match=r"cannot hold odd, of dtype torch\.complex128"):
        convert(tmp_path / "x.pth")


KILLED = """
import os, signal, sys, time
from pathlib import Path
from trilemma.models.files.atomic import unfinished
with unfinished(Path(sys.argv[1])) as part:
    part.write_bytes(b"half")
    (part.parent / ".tmpAbC123").write_bytes(b"a library's")
    print("writing", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def writer(tmp_path):
    """A process that is writing x.safetensors."""
    process = subprocess.Popen(
        [sys.executable, "-c", KILLED, str(tmp_path / "x.safetensors")], stdout=subprocess.PIPE, cwd=tmp_path.parent
    )
    assert process.stdout.readline() == b"writing\n"
    yield process
    process.kill()
    process.wait()
    process.stdout.close()


@pytest.mark.slow
@pytest.mark.parametrize("write", [write for write in WRITERS if write is not write_picture])
def test_what_a_killed_writer_left_is_swept_by_the_next_one(write, writer, tmp_path):
    """But not while it lives. Earlier versions left files, and libraries theirs beside them."""
    folder = tmp_path / "run" if write in (write_sample, write_two_samples, write_host_image) else tmp_path
    folder.mkdir(exist_ok=True)
    finished = tmp_path / "x.safetensors"
    write(tmp_path, 1)
    assert parts(tmp_path)
    writer.kill()
    writer.wait()
    if write is write_host_image:
        (folder / f".x_00009_.png.{writer.pid}.part").write_bytes(b"half")
        (folder / ".x_00008_.png.part").write_bytes(b"half")
    else:
        for left in parts(tmp_path):
            left.rename(folder / left.name)
        (folder / ".y.png.part").write_bytes(b"half")
        (folder / f".x.safetensors.{writer.pid}.part").write_bytes(b"half")
        (folder / ".tmpxYz789").write_bytes(b"half")
    (folder / "mine.part").touch()
    (folder / ".tmp").touch()
    write(tmp_path, 2)
    assert not parts(folder)
    assert {"mine.part", ".tmp"} <= {path.name for path in folder.iterdir()}
    assert write is not write_converted or finished.exists()


def parts(folder):
    return [path for path in folder.iterdir() if re.fullmatch(r"\..*(\.part|tmp\w{6})", path.name)]


@pytest.mark.slow
def test_an_open_file_of_an_earlier_version_is_left(tmp_path):
    with open(tmp_path / ".x.npz.part", "wb"), open(tmp_path / ".tmpAbC123", "wb"):
        sweep_parts(tmp_path)
        assert len(parts(tmp_path)) == 2
    sweep_parts(tmp_path)
    assert not parts(tmp_path)
    sweep_parts(tmp_path / "none")


@pytest.mark.slow
def test_writers_that_sweep_beside_each_other_lose_nothing(tmp_path):
    def write(name):
        for number in range(100):
            sweep_parts(tmp_path)
            with replacing(tmp_path / f"{name}-{number}") as file:
                file.write(b"whole")

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(write, "abcd"))
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"whole"] * 400


@pytest.mark.parametrize("stop", [KeyboardInterrupt, RuntimeError])
@pytest.mark.parametrize("opened", [replacing, unfinished])
def test_a_block_that_fails_leaves_the_old_file(opened, stop, tmp_path):
    path = tmp_path / "x"
    path.write_bytes(b"old")
    with pytest.raises(stop), opened(path) as part:
        if opened is unfinished:
            part.write_bytes(b"ne")
        else:
            part.write(b"ne")
        raise stop
    assert contents(tmp_path) == {"x": b"old"}


def test_a_new_file_may_be_read_by_whom_other_new_files_may(tmp_path):
    (tmp_path / "plain").touch()
    with unfinished(tmp_path / "x") as part:
        part.chmod(0o600)
    assert (tmp_path / "x").stat().st_mode == (tmp_path / "plain").stat().st_mode


@pytest.mark.slow
def test_writers_wait_for_the_lock(tmp_path):
    path = tmp_path / "x"
    order = []

    def second():
        with locked(path):
            order.append("second")

    with locked(path):
        waiting = threading.Thread(target=second)
        waiting.start()
        waiting.join(0.2)
        order.append("first")
    waiting.join(10)
    assert order == ["first", "second"]


@pytest.mark.parametrize("channels", [3, 4])
def test_a_png_holds_the_picture_and_its_texts(channels, tmp_path):
    image = torch.rand(5, 7, channels) * 1.2 - 0.1
    write_png(tmp_path / "x.png", image, {"prompt": {"1": {}}, "words": "ü"})
    with Image.open(tmp_path / "x.png") as file:
        assert {key: json.loads(value) for key, value in file.text.items()} == {"prompt": {"1": {}}, "words": "ü"}
        pixels = torch.from_numpy(np.array(file))
    assert torch.equal(pixels, eight_bit(image))
    assert torch.equal(eight_bit(image), (image.clamp(0, 1) * 255).round().byte())
