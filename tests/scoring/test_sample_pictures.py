"""Small pictures of samples, in memory and in JSON."""

import base64
import io
import json

import pytest
import torch
from PIL import Image
from trilemma.models.errors import BadInput
from trilemma.models.pictures.resizing import resize
from trilemma.models.scoring import sample_pictures
from trilemma.models.scoring.scores import from_json, to_json
from trilemma.tests.scoring.boards import model


def test_small_pictures_keep_their_pixels_and_no_more_than_eight_are_kept():
    strip = torch.rand(1, 5, 10 * 4, 3)
    found = sample_pictures.small(strip, 10)
    assert found.shape == (8, 5, 4, 3)
    assert (found[7] / 255 - strip[0, :, 28:32]).abs().max() <= 0.5 / 255 + 1e-6


@pytest.mark.parametrize(
    ("height", "width", "size"), [(256, 256, (128, 128)), (64, 400, (20, 128)), (1, 999, (1, 128))]
)
def test_large_pictures_become_small(height, width, size):
    strip = torch.rand(1, height, 2 * width, 3)
    found = sample_pictures.small(strip, 2)
    assert found.shape == (2, *size, 3)
    expected = resize(strip[0, :, width:], *size)
    assert (found[1] / 255 - expected).abs().max() <= 0.5 / 255 + 1e-6


def test_texts_are_read_back_bit_by_bit():
    pictures = {"best": torch.randint(256, (3, 20, 17, 3), dtype=torch.uint8)}
    texts = {"best": sample_pictures.to_texts(pictures["best"]), "other": ["?"], "worst": []}
    found = sample_pictures.read(json.loads(json.dumps(texts)))
    assert set(found) == {"best"} and torch.equal(found["best"], pictures["best"])


def png(width, height):
    file = io.BytesIO()
    Image.new("RGB", (width, height)).save(file, "PNG")
    return file.getvalue()


@pytest.mark.parametrize(
    "pictures",
    [
        {"best": ["no base64"]},
        {"best": [7]},
        {"best": 7},
        {"best": [base64.b64encode(b"no picture").decode()]},
        {"best": [base64.b64encode(png(9, 9)[:-30]).decode()]},
        {"best": [base64.b64encode(png(129, 1)).decode()]},
        {"best": [base64.b64encode(png(*size)).decode() for size in ((3, 4), (4, 3))]},
        ["best"],
        "best",
    ],
)
def test_what_is_no_picture_is_told(pictures):
    report = {**json.loads(to_json(model("a"))), "pictures": pictures}
    with pytest.raises(BadInput, match="scores: not a report of this pack"):
        from_json(json.dumps(report))
