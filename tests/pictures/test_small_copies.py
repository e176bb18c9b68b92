"""Small copies of pictures."""

import torch
from PIL import Image
from trilemma.models.pictures.small_copies import LONGEST, small_copy


def test_a_long_picture_is_made_smaller_and_its_size_told(tmp_path):
    picture = torch.zeros(100, 2 * LONGEST, 3)
    picture[:, LONGEST:, 1] = 1
    told = small_copy(picture, tmp_path / "temp")
    copy = Image.open(tmp_path / "temp" / told["filename"])
    assert (told["width"], told["height"]) == (2 * LONGEST, 100)
    assert copy.size == (LONGEST, 50)
    assert copy.getpixel((LONGEST // 2 - 1, 25)) == (0, 0, 0)
    assert copy.getpixel((LONGEST // 2, 25)) == (0, 255, 0)


def test_the_name_tells_the_content(tmp_path):
    picture = torch.rand(8, 9, 3)
    assert small_copy(picture, tmp_path) == small_copy(picture.clone(), tmp_path)
    assert small_copy(1 - picture, tmp_path) != small_copy(picture, tmp_path)
    assert len(list(tmp_path.iterdir())) == 2
