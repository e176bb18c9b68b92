"""Pictures as a generator: which one a seed draws, how files are read, and what is refused."""

import os

import numpy as np
import pytest
import torch
from PIL import Image
from trilemma import host
from trilemma.host import standalone
from trilemma.models.errors import BadInput, MissingFile
from trilemma.models.generators import binding
from trilemma.models.generators.base import Condition
from trilemma.models.generators.images import Images, from_batch, from_folder
from trilemma.models.pictures.image_files import read_picture
from trilemma.models.pictures.picture_folders import folder_inside, list_pictures
from trilemma.models.pictures.resizing import FITS, fit
from trilemma.models.steps import quiet
from trilemma.nodes.generate_sources import ImagesAsGenerator
from trilemma.tests.peak_memory import peak_bytes

NODE = {"location": "input", "folder": "", "resize": "none", "width": 0, "height": 0, "order": "sequential"}


def save(folder, name, value=128, size=(6, 4), **options):
    """A picture of one shade, of `size` width and height."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, (value, 0, 255)).save(path, **options)
    return path


@pytest.fixture
def folder(tmp_path):
    for number in range(7):
        save(tmp_path, f"{number}.png", value=number)
    return tmp_path


@pytest.fixture
def inputs(tmp_path):
    """The standalone host's input folder, empty."""
    before = standalone.input_folder()
    standalone.use_folders(input=tmp_path)
    yield tmp_path
    standalone.use_folders(input=before)


def shades(generator, count, seed, batch_size):
    """First channel of each sample, 0..255."""
    batches = list(binding.sample(binding.Bound(generator), count, seed, batch_size))
    assert all(len(batch.images) <= batch_size for batch in batches)
    images = torch.cat([batch.images for batch in batches])
    assert images.shape == (count, generator.descriptor.height, generator.descriptor.width, 3)
    return images[:, 0, 0, 0].mul(255).round().int().tolist()


@pytest.mark.parametrize("batch_size", [1, 3, 8])
def test_a_seed_draws_its_picture_whatever_the_batch(folder, batch_size):
    generator = Images(from_folder(folder))
    assert shades(generator, 10, 0, batch_size) == [0, 1, 2, 3, 4, 5, 6, 0, 1, 2]
    assert shades(generator, 3, 5, batch_size) == [5, 6, 0]


def test_shuffled_pictures_come_once_each_in_an_order_of_their_own(folder):
    orders = [shades(Images(from_folder(folder), order="shuffled", shuffle_seed=seed), 7, 0, 3) for seed in range(5)]
    assert all(sorted(order) == list(range(7)) for order in orders)
    assert len({tuple(order) for order in orders}) == 5
    again = Images(from_folder(folder), order="shuffled", shuffle_seed=2)
    assert shades(again, 7, 7, 2) == orders[2]


def test_a_batch_is_drawn_bit_identical():
    images = torch.rand(5, 9, 7, 4)
    kept = images.clone()
    generator = Images(from_batch(images))
    (batch,) = binding.sample(binding.Bound(generator), 5, 2, 8)
    assert torch.equal(batch.images, images[[2, 3, 4, 0, 1], ..., :3])
    batch.images.zero_()
    assert torch.equal(images, kept)
    assert generator.descriptor.family == "images"
    assert (generator.descriptor.height, generator.descriptor.width) == (9, 7)


def test_files_are_sorted_and_only_pictures_count(tmp_path):
    for name in ("b.PNG", "a.jpg", "deep/c.webp", ".hidden.png", ".thumbs/d.png"):
        save(tmp_path, name)
    (tmp_path / "notes.txt").write_text("no picture")
    names = [path.relative_to(tmp_path).as_posix() for path in list_pictures(tmp_path).files]
    assert names == ["a.jpg", "b.PNG"]
    names = [path.relative_to(tmp_path).as_posix() for path in list_pictures(tmp_path, subfolders=True).files]
    assert names == ["a.jpg", "b.PNG", "deep/c.webp"]


def test_files_are_read_when_they_are_drawn(folder):
    generator = Images(from_folder(folder))
    os.remove(folder / "3.png")
    assert shades(generator, 3, 0, 3) == [0, 1, 2]
    with pytest.raises(BadInput, match=r"3\.png"):
        shades(generator, 1, 3, 1)


def test_pictures_are_turned_as_their_exif_says(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    picture = Image.new("RGB", (6, 4))
    picture.putpixel((0, 0), (255, 255, 255))
    picture.save(tmp_path / "turned.png", exif=exif)
    read = read_picture(tmp_path / "turned.png")
    assert read.shape == (6, 4, 3)
    assert read.sum() == read[0, 3].sum() == 3


@pytest.mark.parametrize(
    ("picture", "expected"),
    [
        (Image.new("L", (2, 2), 51), [0.2, 0.2, 0.2]),
        (Image.new("RGBA", (2, 2), (255, 0, 51, 0)), [1.0, 0.0, 0.2]),
        (Image.new("1", (2, 2), 1), [1.0, 1.0, 1.0]),
        (Image.new("RGB", (2, 2), (51, 0, 0)).quantize(), [0.2, 0.0, 0.0]),
        (Image.fromarray(np.full((2, 2), 13107, np.uint16)), [0.2, 0.2, 0.2]),
    ],
)
def test_every_kind_of_pixel(tmp_path, picture, expected):
    picture.save(tmp_path / "x.png")
    read = read_picture(tmp_path / "x.png")
    assert read.dtype == torch.float32
    assert torch.allclose(read, torch.tensor(expected).expand(2, 2, 3), atol=1e-6)


@pytest.mark.parametrize("content", [b"", b"not a picture", None])
def test_a_corrupt_file_is_named(folder, content):
    bad = folder / "4.png"
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    Image.fromarray(noise).save(folder / "whole.png")
    whole = (folder / "whole.png").read_bytes()
    bad.write_bytes(whole[: len(whole) // 2] if content is None else content)
    with pytest.raises(BadInput, match=r"4\.png cannot be read as a picture"):
        shades(Images(from_folder(folder)), 7, 0, 3)


def test_sizes_need_a_named_way(tmp_path):
    save(tmp_path, "a.png", size=(6, 4))
    save(tmp_path, "b.png", size=(12, 4))
    with pytest.raises(BadInput, match=r"b\.png has 12 x 4 pixels, the first picture 6 x 4; .*crop, resize, pad"):
        shades(Images(from_folder(tmp_path)), 2, 0, 2)
    with pytest.raises(BadInput, match="'none' keeps sizes, yet 8 x 8"):
        Images(from_folder(tmp_path), "none", 8, 8)
    for how in FITS:
        generator = Images(from_folder(tmp_path), how)
        assert (generator.descriptor.height, generator.descriptor.width) == (4, 6)
        assert len(shades(generator, 2, 0, 2)) == 2


def test_ways_to_another_size():
    picture = torch.zeros(4, 8, 3)
    picture[:, 2:6] = 1
    assert fit(picture, 4, 4, "crop").eq(1).all()
    resized = fit(picture, 4, 4, "resize")
    assert torch.allclose(resized[:, 0], torch.zeros(4, 3), atol=0.1)
    assert torch.allclose(resized[:, 1:3], torch.ones(4, 2, 3), atol=0.1)
    padded = fit(picture, 8, 8, "pad", background=0.5)
    assert torch.equal(padded[2:6], picture)
    assert padded[:2].eq(0.5).all()
    assert padded[6:].eq(0.5).all()
    assert fit(picture, 4, 8, "crop") is picture


def test_the_resize_is_antialiased():
    """Clean-fid's point: without a filter a checkerboard would come out black or white, not grey."""
    board = torch.zeros(64, 64, 3)
    board[::2, ::2] = 1
    board[1::2, 1::2] = 1
    assert (fit(board, 16, 16, "resize") - 0.5).abs().max() < 0.02


def test_identity_follows_files_and_settings(folder):
    def identity(*settings):
        return Images(from_folder(folder), *settings).identity

    first = identity()
    assert identity() == first
    assert len({first, identity("crop"), identity("crop", 8), identity("none", 0, 0, "shuffled")}) == 4
    save(folder, "3.png", value=99)
    assert identity() != first
    images = torch.rand(2, 4, 4, 3)
    changed = images.clone()
    changed[1, 3, 3, 2] += 1 / 255
    assert Images(from_batch(images)).identity != Images(from_batch(changed)).identity


@pytest.mark.parametrize("batch_size", [1, 3, 8])
def test_memory(batch_size):
    generator = Images(from_batch(torch.rand(3, 40, 64, 3)), "resize", 64, 64)
    requests = binding.noise.requests(batch_size, 0, [Condition()])
    measured = peak_bytes(lambda: generator.draw(requests, {}, quiet))
    assert 0.7 <= generator.memory_bytes(batch_size) / measured <= 1.5


@pytest.mark.parametrize("name", ["../x", "a/../../x", "/etc", "C:\\x", "..\\x", "\\\\server\\x"])
def test_no_path_leads_out(tmp_path, name):
    with pytest.raises(BadInput, match="leads out of"):
        folder_inside(tmp_path / "input", name)


def test_node(inputs):
    for number in range(3):
        save(inputs, f"real/faces/{number}.png", value=number)
    before = ImagesAsGenerator.IS_CHANGED(**{**NODE, "folder": "real/faces"})
    handle, count = ImagesAsGenerator().run(**{**NODE, "folder": "real\\faces"})
    assert count == 3
    assert handle.model.generator.descriptor.architecture == "faces"
    with host.placed(handle, memory=0):
        (batch,) = binding.sample(handle.model, count, 0, 8)
    assert batch.images.shape == (3, 4, 6, 3)
    save(inputs, "real/faces/3.png")
    assert ImagesAsGenerator.IS_CHANGED(**{**NODE, "folder": "real/faces"}) != before
    assert ImagesAsGenerator().run(**NODE, images=torch.rand(2, 4, 4, 3))[1] == 2


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({}, BadInput, "neither is there"),
        ({"folder": "x", "images": torch.rand(1, 2, 2, 3)}, BadInput, "'x' and 1 images are there"),
        ({"folder": "nowhere"}, MissingFile, "no folder 'nowhere'"),
        ({"folder": "."}, MissingFile, r"holds no picture \(\.bmp"),
        ({"folder": "../x"}, BadInput, "leads out"),
        ({"images": torch.rand(0, 2, 2, 3)}, BadInput, "is empty"),
    ],
)
def test_node_errors(inputs, settings, error, message):
    with pytest.raises(error, match=message):
        ImagesAsGenerator().run(**{**NODE, **settings})
