"""What nodes show on themselves."""

import pytest
import torch
from PIL import Image
from trilemma import host
from trilemma.host import standalone
from trilemma.models.generators import noise
from trilemma.models.generators.base import Condition
from trilemma.nodes.common import showing


@pytest.fixture(autouse=True)
def temp(tmp_path, monkeypatch):
    monkeypatch.setitem(standalone._places, "temp", tmp_path / "temp")
    return tmp_path / "temp"


def test_pictures_are_files_of_the_temporary_folder(temp):
    images = torch.rand(3, 5, 4, 3)
    files = showing.previews(images)
    assert [(file["subfolder"], file["type"]) for file in files] == [("", "temp")] * 3
    for file, image in zip(files, images, strict=True):
        with Image.open(temp / file["filename"]) as picture:
            assert picture.size == (4, 5)
            pixels = torch.tensor(list(picture.getdata())).reshape(5, 4, 3) / 255
        assert (pixels - image).abs().max() <= 0.5 / 255 + 1e-6


def test_equal_pictures_are_one_file(temp):
    images = torch.rand(2, 5, 4, 4)
    assert showing.previews(images) == showing.previews(images.clone())
    assert len(list(temp.iterdir())) == 2
    assert showing.previews(images.reshape(2, 4, 5, 4)) != showing.previews(images)


@pytest.mark.parametrize(
    ("size", "shown"), [((70, 32, 32), 64), ((3, 32, 32), 3), ((70, 1024, 1024), 16), ((2, 5000, 5000), 1)]
)
def test_many_or_large_pictures_are_shown_in_part(size, shown):
    assert showing.how_many(*size) == shown


def test_without_a_page_nothing_is_written(temp):
    assert not host.has_page()
    shown = showing.show_samples([{"seed": "1"}], torch.zeros(1, 2, 3, 3), "more", text="said")
    assert shown["ui"]["trilemma_samples"] == [{"pictures": [], "count": 1, "width": 3, "height": 2}]
    assert shown["ui"]["text"] == ["said"]
    assert shown["result"][1] == "more"
    assert not temp.exists()


def test_a_caption_has_its_seed_as_text():
    asked = noise.requests(2, noise.SEEDS - 1, [Condition("cat"), Condition()])
    assert showing.captions_of(asked) == [
        {"seed": "18446744073709551615", "condition": "cat"},
        {"seed": "0", "condition": ""},
    ]


def test_values_for_the_page_are_lists():
    shown = showing.show_text("said", 1, 2, board={"a": 1})
    assert shown == {"ui": {"text": ["said"], "trilemma_board": [{"a": 1}]}, "result": (1, 2)}
