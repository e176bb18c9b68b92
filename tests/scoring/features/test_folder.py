"""Folders of pictures as samples: order, names, every kind of file, and what is kept of them on disk."""

import hashlib
import itertools
import json
import os
import struct
import sys
import threading
from functools import partial

import numpy as np
import pytest
import torch
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from trilemma.models.errors import BadInput, MissingFile
from trilemma.models.pictures.image_files import read_eight_bit
from trilemma.models.scoring.features import feature_files
from trilemma.models.scoring.features.digest import digest_of
from trilemma.models.scoring.features.extraction import Named, accumulate
from trilemma.models.scoring.features.feature_set import merge
from trilemma.models.scoring.features.folder import Folder, check_readable, unreadable_lines
from trilemma.models.scoring.features.folder_cache import FolderCache
from trilemma.models.scoring.features.keys import hash_keys, name_by_file
from trilemma.tests.scoring.toy import Toy, pictures

HOW = {"taps": ("deep",), "capacity": 20, "seed": 0}


@pytest.fixture
def folder(tmp_path):
    """Nine pictures of 4 x 4 pixels."""
    (tmp_path / "set").mkdir()
    for number, pixels in enumerate(pictures(9)):
        save(tmp_path / "set" / f"{number}.png", pixels)
    return tmp_path / "set"


def save(path, pixels, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.asarray(pixels)).save(path, **options)


def extract(images, batch_size=4, toy=None):
    return accumulate(toy or Toy(), images, name="set", batch_size=batch_size, **HOW)


def read(path):
    """Names, indices and pixels of all that a folder gives."""
    found = []
    Folder(path).take(lambda images: found.extend(images) or extract(found))
    return found


def cache(tmp_path, folder, source=None, **changes):
    how = {**HOW, **changes}
    return FolderCache(tmp_path / "cache", folder, source or Toy().source, **how)


def test_pictures_come_in_order_with_names_of_their_own(folder):
    found = read(folder)
    assert [image.index for image in found] == list(range(9))
    assert all(torch.equal(image.pixels, pixels) for image, pixels in zip(found, pictures(9), strict=True))
    assert [image.name.split()[:2] for image in found] == [["picture", f"{number}.png"] for number in range(9)]


@pytest.mark.parametrize("batch_size", [1, 3, 8])
def test_batches_make_no_difference(folder, batch_size):
    whole = Folder(folder).take(partial(extract, batch_size=9)).features
    found = Folder(folder).take(partial(extract, batch_size=batch_size)).features
    assert torch.equal(found.keys, whole.keys)
    assert torch.equal(found.classes.counts, whole.classes.counts)
    torch.testing.assert_close(found.rows.values, whole.rows.values, rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(found.taps[0].statistics.products, whole.taps[0].statistics.products)


def test_every_file_is_opened_once(folder):
    opened = []

    def note(event, arguments):
        if event == "open" and str(arguments[0]).startswith(str(folder)) and str(arguments[0]).endswith(".png"):
            opened.append(arguments[0])

    sys.addaudithook(note)
    assert len(read(folder)) == 9
    found = sorted(os.path.basename(path) for path in opened)
    opened.clear()
    assert found == [f"{number}.png" for number in range(9)]


def test_reading_ahead_ends_where_the_consumer_does(folder):
    threads = {thread.name for thread in threading.enumerate()}
    with pytest.raises(RuntimeError, match="enough"):
        Folder(folder).take(stops_after_two)
    assert {thread.name for thread in threading.enumerate()} == threads


def stops_after_two(images):
    for image in itertools.islice(images, 2):
        assert image.pixels.shape == (4, 4, 3)
    images.close()
    raise RuntimeError("enough")


def test_folders_with_equal_names_add_up_and_a_copy_is_a_repeat(folder, tmp_path):
    for number, pixels in enumerate(pictures(9, seed=1)):
        save(tmp_path / "other" / f"{number}.png", pixels)
        save(tmp_path / "copy" / f"{number}.png", pictures(9)[number])
    first, other, copy = (
        Folder(path).take(extract).features for path in (folder, tmp_path / "other", tmp_path / "copy")
    )
    assert merge([first, other]).count == 18
    with pytest.raises(BadInput, match="9 samples are in more than one of the sets"):
        merge([first, copy])


def test_what_a_file_says_beside_its_pixels_moves_no_row(tmp_path):
    """Texts, compression, profiles, and how the same pixels are stored."""
    note = PngInfo()
    note.add_text("prompt", "another graph")
    exif = Image.Exif()
    exif[0x0112] = 3
    taken = {}
    for name, options in (
        ("plain", {}),
        ("told", {"pnginfo": note}),
        ("packed", {"compress_level": 0}),
        ("profiled", {"icc_profile": b"some profile"}),
        ("turned", {"exif": exif}),
    ):
        for number, pixels in enumerate(pictures(30)):
            stored = pixels.flip(0, 1) if name == "turned" else pixels
            save(tmp_path / name / f"{number}.png", stored, **options)
        taken[name] = Folder(tmp_path / name).take(extract).features
    for name, found in taken.items():
        assert len(found.rows.keys) == 20
        assert torch.equal(found.rows.keys, taken["plain"].rows.keys), name
        assert torch.equal(found.rows.values, taken["plain"].rows.values), name
        assert digest_of(found) == digest_of(taken["plain"]), name


def test_the_same_picture_under_two_names_is_two_samples(folder):
    save(folder / "again.png", pictures(9)[0])
    assert Folder(folder).take(extract).features.count == 10


def test_subfolders_only_when_asked_for(folder):
    save(folder / "deep" / "0.png", pictures(1, seed=5)[0])
    assert len(Folder(folder).names) == 9
    names = Folder(folder, subfolders=True).names
    assert names[-1] == "deep/0.png"
    assert Folder(folder, subfolders=True).take(extract).features.count == 10


def grey(values):
    return torch.from_numpy(np.asarray(values)).byte()[..., None].expand(-1, -1, 3)


NOISE = pictures(1, seed=9, side=6)[0]
DEEP = np.arange(36, dtype=np.uint16).reshape(6, 6) * 1800


@pytest.mark.parametrize(
    ("name", "picture", "expected"),
    [
        ("grey.png", NOISE[..., 0], grey(NOISE[..., 0])),
        ("rgba.png", torch.cat([NOISE, NOISE[..., :1]], dim=-1), NOISE),
        ("grey and alpha.png", NOISE[..., :2], grey(NOISE[..., 0])),
        ("16 bit.png", DEEP, grey(np.rint(DEEP / 257))),
        ("bits.png", NOISE[..., 0].numpy() > 99, grey((NOISE[..., 0] > 99) * 255)),
        ("x.bmp", NOISE, NOISE),
        ("x.tif", NOISE, NOISE),
    ],
)
def test_every_kind_of_pixel_becomes_eight_bits_of_three_channels(tmp_path, name, picture, expected):
    save(tmp_path / name, picture)
    (image,) = read(tmp_path)
    assert image.pixels.dtype == torch.uint8
    assert torch.equal(image.pixels, expected)


RAMP = np.linspace(0, 1, 36, dtype=np.float32).reshape(6, 6)
SIXTEEN = (RAMP * 65535).astype(np.int32)


@pytest.mark.parametrize(
    ("name", "picture", "expected"),
    [
        ("floats of 0 to 1.tif", RAMP, RAMP),
        ("floats of 0 to 255.tif", RAMP * 255, RAMP),
        ("floats below 0.tif", RAMP - 0.25, np.maximum(RAMP - 0.25, 0)),
        ("integers of 8 bits in 32.tif", (RAMP * 255).astype(np.int32), (RAMP * 255).astype(np.int32) / 255),
        ("integers of 16 bits in 32.tif", SIXTEEN, SIXTEEN / 65535),
        ("integers of 32 bits.tif", (RAMP.astype(np.float64) * (2**31 - 1)).astype(np.int32), RAMP),
        ("mask of 0 and 1.tif", (RAMP > 0.5).astype(np.int32), RAMP > 0.5),
        ("floats.pfm", RAMP, RAMP),
    ],
)
def test_floats_and_long_integers_are_not_black(tmp_path, name, picture, expected):
    save(tmp_path / name, picture)
    (image,) = read(tmp_path)
    assert torch.equal(image.pixels, grey(np.rint(np.asarray(expected, np.float64) * 255)))


def test_unsigned_integers_of_32_bits_have_the_whole_range(tmp_path):
    values = (RAMP.astype(np.float64) * (2**32 - 1)).astype(np.uint32)
    write_uint32_tiff(tmp_path / "x.tif", values)
    (image,) = read(tmp_path)
    assert torch.equal(image.pixels, grey(np.rint(values / (2**32 - 1) * 255)))


def write_uint32_tiff(path, values):
    """One strip, little endian; Pillow writes signed integers only."""
    height, width = values.shape
    data = values.astype("<u4").tobytes()
    tags = [
        (256, 3, width), (257, 3, height), (258, 3, 32), (259, 3, 1), (262, 3, 1), (273, 4, 8), (277, 3, 1),
        (278, 3, height), (279, 4, len(data)), (339, 3, 1),
    ]  # fmt: skip
    entries = b"".join(struct.pack("<HHII", tag, kind, 1, value) for tag, kind, value in tags)
    head = b"II*\0" + struct.pack("<I", 8 + len(data))
    path.write_bytes(head + data + struct.pack("<H", len(tags)) + entries + struct.pack("<I", 0))


def test_floats_that_are_no_numbers_are_refused(tmp_path):
    save(tmp_path / "x.tif", np.full((4, 4), np.nan, np.float32))
    with pytest.raises(BadInput, match=r"x\.tif \(it holds values that are no numbers\)"):
        read(tmp_path)


def test_a_palette_gives_its_colours(tmp_path):
    palette = Image.fromarray(NOISE.numpy()).quantize(200)
    palette.save(tmp_path / "palette.png")
    (image,) = read(tmp_path)
    assert torch.equal(image.pixels, torch.from_numpy(np.array(palette.convert("RGB"))))


def test_of_an_animation_the_first_frame_counts(tmp_path):
    frames = [Image.new("RGB", (5, 4), colour) for colour in ("red", "lime", "blue")]
    frames[0].save(tmp_path / "moving.gif", save_all=True, append_images=frames[1:], duration=10)
    (image,) = read(tmp_path)
    assert torch.equal(image.pixels, torch.tensor([255, 0, 0], dtype=torch.uint8).expand(4, 5, 3))


def test_pictures_are_turned_as_their_exif_says(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 3
    save(tmp_path / "turned.png", NOISE, exif=exif)
    (image,) = read(tmp_path)
    assert torch.equal(image.pixels, NOISE.flip(0, 1))


def test_sizes_may_differ(folder):
    save(folder / "wide.png", pictures(1, seed=3, side=9)[0][:5])
    save(folder / "a small one.png", pictures(1, seed=4, side=2)[0])
    taken = Folder(folder).take(extract)
    assert taken.features.count == 11
    alone = [extract([image]) for image in read(folder)]
    torch.testing.assert_close(
        taken.features.taps[0].statistics.total, merge(alone).taps[0].statistics.total, rtol=1e-9, atol=0
    )


def broken(folder):
    """Three broken files among the nine."""
    whole = (folder / "3.png").read_bytes()
    (folder / "3.png").write_bytes(whole[: len(whole) // 2])
    (folder / "5.png").write_bytes(b"")
    (folder / "8.png").write_bytes(b"no picture")


@pytest.mark.parametrize("batch_size", [1, 4, 9])
def test_all_corrupt_files_are_named(folder, batch_size):
    broken(folder)
    looked = []
    with pytest.raises(BadInput, match=r"3 files cannot be read as pictures: 3\.png \(.*\), 5\.png \(.*\), 8\.png"):
        Folder(folder).take(partial(extract, batch_size=batch_size), check_interrupted=lambda: looked.append(1))
    assert len(looked) == 5


def test_corrupt_files_are_skipped_when_asked(folder):
    whole = read(folder)
    broken(folder)
    taken = Folder(folder).take(extract, skip_corrupt=True)
    assert list(taken.unreadable) == ["3.png", "5.png", "8.png"]
    kept = [image for image in whole if image.name.split()[1] not in taken.unreadable]
    assert torch.equal(taken.features.keys, hash_keys(image.name for image in kept).sort().values)
    # Indices are those of a folder that never had the files: splits stay full.
    assert taken.features.classes.counts.sort().values.tolist() == [0] * 4 + [1] * 6
    assert unreadable_lines(taken)[0] == "left out, not readable: 3"
    assert unreadable_lines(taken)[1].startswith("  3.png: ")


def test_a_folder_without_pictures(tmp_path):
    with pytest.raises(MissingFile, match="holds no picture"):
        Folder(tmp_path)
    (tmp_path / "a.png").write_bytes(b"")
    with pytest.raises(BadInput, match="none of the 1 pictures can be read"):
        Folder(tmp_path).take(extract, skip_corrupt=True)


def test_features_that_are_not_numbers_are_refused(folder):
    save(folder / "5.png", torch.full((4, 4, 3), 255, dtype=torch.uint8))
    with pytest.raises(BadInput, match="toy gave values that are not numbers"):
        Folder(folder).take(partial(extract, toy=Toy(broken=True)))


@pytest.mark.slow
def test_what_was_kept_is_found_until_a_picture_changes(folder, tmp_path):
    assert cache(tmp_path, Folder(folder)).find() is None
    taken = Folder(folder).take(extract)
    assert cache(tmp_path, Folder(folder)).keep(taken) == []
    found = cache(tmp_path, Folder(folder)).find()
    assert found.unreadable == {}
    assert torch.equal(found.features.rows.values, taken.features.rows.values)
    for change in (
        lambda: save(folder / "new.png", NOISE),
        lambda: (folder / "0.png").unlink(),
        lambda: (folder / "1.png").rename(folder / "renamed.png"),
        lambda: os.utime(folder / "2.png", ns=(5, 5)),
    ):
        change()
        assert cache(tmp_path, Folder(folder)).find() is None
        cache(tmp_path, Folder(folder)).keep(Folder(folder).take(extract))
        assert cache(tmp_path, Folder(folder)).find() is not None
    assert len(list((tmp_path / "cache").glob("*.npz"))) == 1


def kept_by_0_1(tmp_path, folder, capacity):
    """A file in the cache as version 0.1 wrote it, whose samples were told by their files' bytes."""
    files = sorted(folder.glob("*.png"))
    named = [
        Named(name_by_file(file.name, file.read_bytes()), index, read_eight_bit(file))
        for index, file in enumerate(files)
    ]
    features = accumulate(Toy(), named, ("deep",), "set", 4, capacity, 0)
    settings = [1, str(folder.resolve()), False, *Toy().source.key, ["deep"], capacity, 0]
    path = tmp_path / "cache" / f"{hashlib.sha256(json.dumps(settings).encode()).hexdigest()[:32]}.npz"
    path.parent.mkdir()
    feature_files.save(path, features, {"state": Folder(folder).state, "unreadable": {}})
    return path


def test_what_an_older_version_kept_is_found_under_the_new_keys(folder, tmp_path):
    older = kept_by_0_1(tmp_path, folder, capacity=20)
    found = cache(tmp_path, Folder(folder)).find().features
    fresh = Folder(folder).take(extract).features
    assert torch.equal(found.keys, fresh.keys)
    assert torch.equal(found.rows.keys, fresh.rows.keys)
    torch.testing.assert_close(found.rows.values, fresh.rows.values, rtol=1e-6, atol=1e-6)
    assert not older.exists()
    assert torch.equal(cache(tmp_path, Folder(folder)).find().features.rows.keys, fresh.rows.keys)


def test_rows_that_an_older_version_chose_among_many_are_taken_anew(folder, tmp_path):
    kept_by_0_1(tmp_path, folder, capacity=5)
    assert cache(tmp_path, Folder(folder), capacity=5).find() is None


def test_other_settings_do_not_find_it(folder, tmp_path):
    save(folder / "deep" / "0.png", NOISE)
    cache(tmp_path, Folder(folder)).keep(Folder(folder).take(extract))
    assert cache(tmp_path, Folder(folder)).find() is not None
    for changes in ({"capacity": 5}, {"seed": 1}, {"taps": ("deep", "place")}):
        assert cache(tmp_path, Folder(folder), **changes).find() is None
    assert cache(tmp_path, Folder(folder), Toy(weights=1).source).find() is None
    assert cache(tmp_path, Folder(folder), Toy(resize="pad").source).find() is None
    assert cache(tmp_path, Folder(folder, subfolders=True)).find() is None


def test_a_copy_of_the_folder_does_not_find_it(folder, tmp_path):
    """Names, sizes and times of two sets may be equal, as in archives with fixed times."""
    cache(tmp_path, Folder(folder)).keep(Folder(folder).take(extract))
    folder.rename(tmp_path / "moved")
    assert cache(tmp_path, Folder(tmp_path / "moved")).find() is None


def test_unreadable_files_are_remembered(folder, tmp_path):
    broken(folder)
    cache(tmp_path, Folder(folder)).keep(Folder(folder).take(extract, skip_corrupt=True))
    found = cache(tmp_path, Folder(folder)).find()
    assert list(found.unreadable) == ["3.png", "5.png", "8.png"]
    with pytest.raises(BadInput, match=r"3\.png .*8\.png"):
        check_readable(found, skip_corrupt=False)


@pytest.mark.slow
@pytest.mark.parametrize("content", [b"", b"rubbish", None])
def test_a_broken_file_counts_as_none(folder, tmp_path, content):
    cache(tmp_path, Folder(folder)).keep(Folder(folder).take(extract))
    (path,) = (tmp_path / "cache").glob("*.npz")
    path.write_bytes(path.read_bytes()[:-100] if content is None else content)
    assert cache(tmp_path, Folder(folder)).find() is None
    cache(tmp_path, Folder(folder)).keep(Folder(folder).take(extract))
    assert cache(tmp_path, Folder(folder)).find().features.count == 9


@pytest.mark.slow
def test_one_wrong_byte_has_the_folder_taken_anew(folder, tmp_path):
    cache(tmp_path, Folder(folder)).keep(Folder(folder).take(extract))
    (path,) = (tmp_path / "cache").glob("*.npz")
    whole = path.read_bytes()
    for place in range(0, len(whole), 211):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0x2A]) + whole[place + 1 :])
        found = cache(tmp_path, Folder(folder)).find()
        assert found is None or found.features.count == 9
    cache(tmp_path, Folder(folder)).keep(Folder(folder).take(extract))
    assert cache(tmp_path, Folder(folder)).find().features.count == 9


@pytest.mark.slow
def test_the_cache_is_bounded_and_keeps_what_was_used_last(folder, tmp_path):
    taken = Folder(folder).take(extract)
    for seed in range(4):
        cache(tmp_path, Folder(folder), seed=seed).keep(taken)
    sizes = [path.stat().st_size for path in (tmp_path / "cache").glob("*.npz")]
    (tmp_path / "cache" / ".dead.npz.part").write_bytes(b"half")
    assert cache(tmp_path, Folder(folder), seed=0).find() is not None
    cache(tmp_path, Folder(folder), seed=9).keep(taken, limit=int(2.5 * max(sizes)))
    kept = [seed for seed in (0, 1, 2, 3, 9) if cache(tmp_path, Folder(folder), seed=seed).find()]
    assert kept == [0, 9]
    assert not list((tmp_path / "cache").glob(".*.part"))


def test_a_cache_that_cannot_be_written_is_told(folder, tmp_path):
    (tmp_path / "cache").write_text("a file where the folder should be")
    (line,) = cache(tmp_path, Folder(folder)).keep(Folder(folder).take(extract))
    assert line.startswith("not kept for later runs: ")
