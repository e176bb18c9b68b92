"""What of a folder is a picture, what looks like one, and links."""

import os
import shutil

import pytest
from PIL import Image
from trilemma.models.errors import MissingFile
from trilemma.models.pictures.image_files import read_eight_bit
from trilemma.models.pictures.picture_folders import folder_state, left_out_lines, list_pictures

ENDINGS = (
    "apng", "avif", "blp", "bmp", "dds", "dib", "gif", "icns", "ico", "im", "j2k", "jfif", "jp2", "jpe", "jpeg", "jpg",
    "mpo", "msp", "pbm", "pcx", "pfm", "pgm", "png", "pnm", "ppm", "qoi", "rgb", "sgi", "tga", "tif", "tiff", "webp",
    "xbm",
)  # fmt: skip
MODES = {"blp": "P", "msp": "1", "xbm": "1", "pbm": "1", "pgm": "L", "pfm": "F"}
FORMATS = {"apng": "PNG", "mpo": "MPO", "rgb": "SGI"}


def put(path, ending=None):
    path.parent.mkdir(parents=True, exist_ok=True)
    ending = ending or path.suffix[1:].lower()
    picture = Image.new("RGB", (64, 64), (200, 100, 50)).convert(MODES.get(ending, "RGB"))
    picture.save(path, format=FORMATS.get(ending))


def names(folder, subfolders=False):
    return [path.relative_to(folder).as_posix() for path in list_pictures(folder, subfolders).files]


@pytest.mark.slow
def test_whatever_pillow_opens_is_taken(tmp_path):
    for ending in ENDINGS:
        put(tmp_path / f"x.{ending}")
        shutil.copyfile(tmp_path / f"x.{ending}", tmp_path / f"y.{ending.upper()}")
    assert names(tmp_path) == sorted([*(f"x.{e}" for e in ENDINGS), *(f"y.{e.upper()}" for e in ENDINGS)])
    for path in list_pictures(tmp_path).files:
        assert read_eight_bit(path).shape[2] == 3


def test_rare_endings_count_where_pillow_knows_the_file(tmp_path):
    put(tmp_path / "a.png")
    put(tmp_path / "scan.rgb", "sgi")
    (tmp_path / "cloud.pcd").write_bytes(b"# .PCD v.7 - Point Cloud Data")
    (tmp_path / "track.fit").write_bytes(b"\x0e\x10")
    listing = list_pictures(tmp_path)
    assert names(tmp_path) == ["a.png", "scan.rgb"]
    assert listing.left_out["track.fit"] == "Pillow does not know it as .fit"


def test_what_looks_like_a_picture_is_named(tmp_path):
    put(tmp_path / "a.png")
    put(tmp_path / ".hidden.png")
    for name, ending in (("photo", "png"), ("photo.bak", "jpg"), ("web.tmp", "webp")):
        put(tmp_path / f"x.{ending}")
        (tmp_path / f"x.{ending}").rename(tmp_path / name)
    for name in ("phone.heic", "drawing.SVG", "camera.nef", "page.eps", "array.npy"):
        (tmp_path / name).write_bytes(b"some content")
    (tmp_path / "notes.txt").write_text("no picture")
    (tmp_path / ".DS_Store").write_bytes(b"")
    os.symlink(tmp_path / "gone.png", tmp_path / "link.png")
    os.symlink("self.png", tmp_path / "self.png")
    listing = list_pictures(tmp_path)
    assert names(tmp_path) == ["a.png"]
    assert sorted(listing.left_out) == [
        ".hidden.png", "array.npy", "camera.nef", "drawing.SVG", "link.png", "page.eps", "phone.heic", "photo",
        "photo.bak", "self.png", "web.tmp",
    ]  # fmt: skip
    assert left_out_lines(tmp_path, False, listing)[:2] == [
        "not taken, though it looks like a picture: 11",
        "  .hidden.png: hidden, for its name begins with a dot",
    ]


def test_linked_class_folders_are_followed_and_loops_are_not(tmp_path):
    put(tmp_path / "elsewhere" / "cats" / "1.jpg")
    put(tmp_path / "elsewhere" / "cats" / "2.jfif", "jpg")
    put(tmp_path / "set" / "dogs" / "1.ppm")
    os.symlink(tmp_path / "elsewhere" / "cats", tmp_path / "set" / "cats")
    os.symlink(tmp_path / "elsewhere" / "cats" / "1.jpg", tmp_path / "set" / "one.jpg")
    os.symlink(tmp_path / "set", tmp_path / "set" / "dogs" / "loop")
    os.symlink(tmp_path / "elsewhere", tmp_path / "elsewhere" / "cats" / "up")
    found = ["cats/1.jpg", "cats/2.jfif", "dogs/1.ppm", "one.jpg"]
    assert names(tmp_path / "set", subfolders=True) == found
    assert names(tmp_path / "set") == ["one.jpg"]


def test_pictures_below_are_told(tmp_path):
    for name in ("cats/1.png", "dogs/1.png", "dogs/deep/2.jfif"):
        put(tmp_path / name, "jpg" if name.endswith("jfif") else None)
    with pytest.raises(
        MissingFile, match=r"no picture itself, but 3 pictures lie in subfolders \(cats, dogs\); switch subfolders on"
    ):
        list_pictures(tmp_path)
    put(tmp_path / "1.png")
    lines = left_out_lines(tmp_path, False, list_pictures(tmp_path))
    assert lines == ["not taken: 3 pictures lie in subfolders (cats, dogs); switch subfolders on"]
    assert left_out_lines(tmp_path, True, list_pictures(tmp_path, True)) == []


def test_a_folder_without_any(tmp_path):
    with pytest.raises(MissingFile, match="holds no picture"):
        list_pictures(tmp_path)
    (tmp_path / "a.heic").write_bytes(b"")
    with pytest.raises(MissingFile, match=r"only a\.heic \(Pillow does not read \.heic files; convert it to PNG\)"):
        list_pictures(tmp_path)


def test_the_state_sees_what_is_taken_and_what_is_not(tmp_path):
    put(tmp_path / "elsewhere" / "1.png")
    put(tmp_path / "set" / "a.png")
    os.symlink(tmp_path / "elsewhere", tmp_path / "set" / "link")
    states = [folder_state(tmp_path / "set")]
    for change in (
        lambda: put(tmp_path / "elsewhere" / "2.jfif", "jpg"),
        lambda: put(tmp_path / "set" / "b.pgm"),
        lambda: os.utime(tmp_path / "elsewhere" / "1.png", ns=(5, 5)),
        lambda: (tmp_path / "set" / "c.heic").write_bytes(b""),
        lambda: (tmp_path / "set" / "b.pgm").unlink(),
    ):
        change()
        states.append(folder_state(tmp_path / "set"))
    assert len(set(states)) == len(states)
    (tmp_path / "set" / "notes.txt").write_text("no picture")
    assert folder_state(tmp_path / "set") == states[-1]
