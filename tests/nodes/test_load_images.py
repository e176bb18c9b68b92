"""Load Images: the pixels of Folder Features, and how they differ from those of ComfyUI's own Load Image."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from trilemma.host import standalone
from trilemma.models.errors import BadInput, MissingFile
from trilemma.models.pictures.image_files import read_eight_bit, read_with_mask
from trilemma.models.pictures.png import eight_bit
from trilemma.nodes import NODE_CLASS_MAPPINGS
from trilemma.tests.reference_kit import KIT

LoadImages = NODE_CLASS_MAPPINGS["TrilemmaLoadImages"]
RECORDED = KIT / "load_image" / "pictures.npz"
PAGE = Path(__file__).resolve().parents[2] / "web" / "docs" / "TrilemmaLoadImages.md"
BEGIN, END = "<!-- list: tests/nodes/test_load_images.py writes it -->\n", "<!-- end of the list -->\n"
KINDS = {
    "rgb.png": "PNG, RGB",
    "rgba.png": "PNG, RGBA",
    "grey.png": "PNG, grey",
    "grey_alpha.png": "PNG, grey and alpha",
    "grey16.png": "PNG, grey of 16 bits",
    "bits.png": "PNG, 1 bit",
    "palette.png": "PNG, palette",
    "palette_clear.png": "PNG, palette with a transparent colour",
    "rgb_clear.png": "PNG, RGB with a transparent colour",
    "moving.png": "PNG, animated",
    "444.jpg": "JPEG 4:4:4",
    "422.jpg": "JPEG 4:2:2",
    "420.jpg": "JPEG 4:2:0",
    "grey.jpg": "JPEG, grey",
    "cmyk.jpg": "JPEG, CMYK",
    "exif6.jpg": "JPEG, EXIF turned",
    "exif2.jpg": "JPEG, EXIF mirrored",
    "exif5.jpg": "JPEG, EXIF turned and mirrored",
    "exif6.png": "PNG, EXIF turned",
    "phone.mpo": "MPO of two pictures",
    "rgb.bmp": "BMP, colour",
    "grey.bmp": "BMP, grey",
    "rgb.gif": "GIF",
    "rgba.gif": "GIF, transparent",
    "moving.gif": "GIF, animated",
    "lossy.webp": "WebP, lossy",
    "lossy_alpha.webp": "WebP, lossy with alpha",
    "lossless.webp": "WebP, lossless",
    "lossless_alpha.webp": "WebP, lossless with alpha",
    "moving.webp": "WebP, animated",
    "rgb.tif": "TIFF, RGB",
    "rgba.tif": "TIFF, RGBA",
    "grey.tif": "TIFF, grey",
    "grey16.tif": "TIFF, grey of 16 bits",
    "float.tif": "TIFF, floats of 0 to 1",
    "int32.tif": "TIFF, integers of 32 bits",
    "pages.tif": "TIFF of two pages",
    "rgb.ppm": "PPM",
    "rgb.tga": "TGA, RGB",
    "rgb.jp2": "JPEG 2000",
    "rgb.avif": "AVIF",
    "rgba.avif": "AVIF with alpha",
}


@pytest.fixture(autouse=True)
def folders(tmp_path, monkeypatch):
    for name in ("input", "output"):
        monkeypatch.setitem(standalone._places, name, tmp_path / name)
        (tmp_path / name).mkdir()


@pytest.fixture
def kinds(tmp_path):
    """Every recorded file, below the input folder."""
    with np.load(RECORDED) as arrays:
        for key in arrays.files:
            if key.endswith("|file"):
                (tmp_path / "input" / key.split("|")[0]).write_bytes(arrays[key].tobytes())
    return tmp_path / "input"


def load(path=".", **settings):
    return LoadImages().run("input", path, **settings)["result"]


def listed(folder: Path) -> str:
    """The host's reading beside ours."""
    lines = []
    with np.load(RECORDED) as arrays:
        for name, kind in KINDS.items():
            theirs, mask = (torch.from_numpy(arrays[f"{name}|{what} 0.28.0"]) for what in ("image", "mask"))
            ours, our_mask = read_with_mask(folder / name)
            far = (theirs[0] - ours).abs() * 255 if theirs[0].shape == ours.shape else None
            most, mean = ("other size", "") if far is None else (f"{float(far.max()):.0f}", f"{float(far.mean()):.1f}")
            shown = f"{len(theirs)} pictures, " if len(theirs) > 1 else ""
            there = f"{float(mask.min()):.2g} to {float(mask.max()):.2g}" if mask.any() else "0"
            size = "x".join(str(side) for side in (mask.shape[2], mask.shape[1]))
            here = "0" if not our_mask.any() else f"{float(our_mask.min()):.2g} to {float(our_mask.max()):.2g}"
            white = f"{float(theirs.max()):.4f} there, {float(ours.max()):.4f} here"
            pixels = f"most {shown}{most}, mean {mean}" if mean else f"{shown}{most}"
            lines.append(f"- **{kind}**: {pixels}; white {white}; mask {size}: {there} there, {here} here")
    return "\n".join(lines) + "\n"


@pytest.mark.slow
def test_the_list_of_the_help_is_measured(kinds):
    page = PAGE.read_text(encoding="utf-8")
    assert page.split(BEGIN)[1].split(END)[0] == listed(kinds), "run write_list of this file"


def write_list() -> None:
    """Measure the list of the help anew."""
    import tempfile

    with tempfile.TemporaryDirectory() as folder, np.load(RECORDED) as arrays:
        for key in arrays.files:
            if key.endswith("|file"):
                (Path(folder) / key.split("|")[0]).write_bytes(arrays[key].tobytes())
        before, rest = PAGE.read_text(encoding="utf-8").split(BEGIN)
        PAGE.write_text(before + BEGIN + listed(Path(folder)) + END + rest.split(END)[1], encoding="utf-8")


@pytest.mark.slow
def test_pixels_are_those_of_folder_features(kinds):
    (kinds / "cut.jpg").unlink()
    for name in ("cut.png", "cut.tif", "rgb.ico"):
        (kinds / name).unlink(missing_ok=True)
    for path in sorted(kinds.iterdir()):
        images, masks, count, names, report = load(path.name)
        assert (count, names) == (1, path.name)
        assert torch.equal(eight_bit(images[0]), read_eight_bit(path)), path.name
        assert masks.shape == images.shape[:3]
        assert "read by Pillow" in report


def put(folder, name, value, size=(4, 3)):
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, (value, 0, 0)).save(folder / name)


def test_a_folder_becomes_a_sorted_batch(tmp_path):
    for name, value in (("b.png", 102), ("a.bmp", 51), ("c/d.png", 204)):
        put(tmp_path / "input" / "set", name, value)
    images, masks, count, names, report = load("set")
    assert (count, names.split()) == (2, ["a.bmp", "b.png"])
    assert torch.equal((images[:, 0, 0, 0] * 255).round(), torch.tensor([51.0, 102.0]))
    assert masks.shape == (2, 3, 4) and not masks.any()
    assert "1 picture lies in subfolders (c); switch subfolders on" in report
    assert load("set", subfolders=True)[3].split() == ["a.bmp", "b.png", "c/d.png"]
    assert load("set", subfolders=True, first=1, count=1)[3] == "b.png"
    assert load("set\\b.png")[3] == "b.png"


def test_sizes_are_brought_to_one_or_refused(tmp_path):
    put(tmp_path / "input", "a.png", 51)
    put(tmp_path / "input", "b.png", 51, (8, 8))
    with pytest.raises(BadInput, match=r"resize: b\.png has 8 x 8 pixels, a\.png 4 x 3"):
        load()
    for how in ("crop", "resize", "pad"):
        assert load(resize=how)[0].shape == (2, 3, 4, 3)
    assert load(resize="crop", width=6, height=5)[1].shape == (2, 5, 6)


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_transparency_becomes_the_mask(tmp_path, mode):
    pixels = np.full((2, 2, 4), 255, dtype=np.uint8)
    pixels[0, 0, 3] = 0
    Image.fromarray(pixels).convert(mode).save(tmp_path / "input" / "a.png")
    assert load()[1].tolist() == [[[1.0, 0.0], [0.0, 0.0]]]


def test_broken_files_and_places(tmp_path):
    put(tmp_path / "input", "a.png", 51)
    (tmp_path / "input" / "b.png").write_bytes((tmp_path / "input" / "a.png").read_bytes()[:50])
    with pytest.raises(BadInput, match=r"b\.png cannot be read as a picture"):
        load()
    _, _, count, _, report = load(skip_corrupt=True)
    assert count == 1 and "left out, not readable: b.png" in report
    for path, error, said in (
        ("", BadInput, "path: it is empty"),
        ("none", MissingFile, "there is no 'none'"),
        ("../x", BadInput, "leads out"),
    ):
        with pytest.raises(error, match=said):
            load(path)
    with pytest.raises(BadInput, match="first: 9"):
        load(first=9)


def test_it_sees_changes(tmp_path):
    put(tmp_path / "input", "a.png", 51)
    states = [LoadImages.IS_CHANGED("input", "."), LoadImages.IS_CHANGED("input", "a.png")]
    put(tmp_path / "input", "a.png", 52, (9, 9))
    put(tmp_path / "input", "b.jfif.png", 52)
    states += [LoadImages.IS_CHANGED("input", "."), LoadImages.IS_CHANGED("input", "a.png")]
    assert len(set(states)) == 4
    assert LoadImages.IS_CHANGED("input", "none") == ""
