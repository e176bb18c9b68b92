"""Headless Load Image against what ComfyUI 0.28.0 (PyAV 18.1, Pillow 13) and 0.3.64 (Pillow 13) read, file by file."""

import logging

import numpy as np
import pytest
import torch
from trilemma.host import image_reading
from trilemma.host.image_reading import read_image
from trilemma.models.errors import BadInput
from trilemma.tests.reference_kit import KIT

RECORDED = KIT / "load_image" / "pictures.npz"
NAMES = sorted({key.split("|")[0] for key in np.load(RECORDED).files})
EXACT = 1e-6
LOSSY = 1.01 / 255
"""Decoders of lossy files and of colours that are not RGB may round otherwise on other processors."""


def recorded(name, version):
    """Image and mask as the host read them."""
    with np.load(RECORDED) as arrays:
        return tuple(torch.from_numpy(arrays[f"{name}|{what} {version}"]) for what in ("image", "mask"))


@pytest.fixture
def written(tmp_path):
    def write(name):
        with np.load(RECORDED) as arrays:
            (tmp_path / name).write_bytes(arrays[f"{name}|file"].tobytes())
        return tmp_path / name

    return write


def assert_read(found, expected, name):
    lossy = name.endswith((".jpg", ".webp", ".avif", ".jfif", ".mpo", ".jp2"))
    for got, wanted in zip(found, expected, strict=True):
        assert got.shape == wanted.shape
        assert got.dtype == torch.float32
        torch.testing.assert_close(got, wanted, rtol=0, atol=LOSSY if lossy else EXACT)


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_pixels_and_masks_are_the_hosts(written, name):
    pytest.importorskip("av")
    assert_read(read_image(written(name)), recorded(name, "0.28.0"), name)


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in NAMES if name != "cut.jpg"])
def test_without_pyav_they_are_those_of_0_3_64(written, monkeypatch, caplog, name):
    monkeypatch.setattr(image_reading, "find_spec", lambda _: None)
    image_reading._tell_once.cache_clear()
    with caplog.at_level(logging.WARNING):
        assert_read(read_image(written(name)), recorded(name, "0.3.64"), name)
    assert "PyAV is not installed, so Load Image reads by Pillow, as ComfyUI 0.3.64 does" in caplog.text


@pytest.mark.slow
def test_white_and_masks_differ_between_the_two(written):
    """What the warnings about readers are for."""
    pytest.importorskip("av")
    grey, _ = read_image(written("grey.png"))
    assert float(grey.max()) == pytest.approx(255 / 256, abs=1e-4)
    image, mask = read_image(written("rgb.gif"))
    assert mask.shape == image.shape[:3]
    assert 0 < float(mask.max()) < 0.004


@pytest.mark.slow
@pytest.mark.parametrize(("name", "count"), [("phone.mpo", 1), ("pages.tif", 1), ("moving.gif", 3), ("moving.webp", 2)])
def test_one_picture_of_a_phone_and_of_pages(written, name, count):
    pytest.importorskip("av")
    assert len(read_image(written(name))[0]) == count


@pytest.mark.slow
@pytest.mark.parametrize("content", [b"", b"no picture", b"RIFF\x00\x00\x00\x00WEBPVP8L"])
@pytest.mark.parametrize("by_pyav", [True, False])
def test_an_error_names_the_file(tmp_path, monkeypatch, content, by_pyav):
    if by_pyav:
        pytest.importorskip("av")
    else:
        monkeypatch.setattr(image_reading, "find_spec", lambda _: None)
    (tmp_path / "cut.webp").write_bytes(content)
    with pytest.raises(BadInput, match=r"image: .*cut\.webp cannot be read as a picture \(.+\); repair it"):
        read_image(tmp_path / "cut.webp")


@pytest.mark.slow
def test_small_pictures_are_read_though_the_host_fails(tmp_path):
    """Of less than half of what FFmpeg's rows are aligned to."""
    from PIL import Image

    Image.new("L", (5, 3), 255).save(tmp_path / "small.png")
    image, _ = read_image(tmp_path / "small.png")
    assert image.shape == (1, 3, 5, 3)
    assert image.min() > 0.99
