"""Boxes, labels and masks on images: what changes, what stays, and whether one can read it."""

import itertools

import numpy as np
import pytest
import torch
from trilemma.models.errors import BadInput
from trilemma.models.pictures.drawing import BLACK, PALETTE, caption, colours_of, contrast, draw, text_colour
from trilemma.models.pictures.packed import pack
from trilemma.models.values import Objects, SegmentedObject

BOX = {"x": 30, "y": 40, "width": 60, "height": 50, "label": "axolotl", "score": 0.876}


def plain(colour: tuple[int, int, int], height: int = 128, width: int = 160) -> torch.Tensor:
    return (torch.tensor(colour) / 255).expand(1, height, width, 3).clone()


def colours_in(image: torch.Tensor) -> set[tuple[int, ...]]:
    pixels = (image * 255).round().to(torch.uint8).reshape(-1, 3)
    return {tuple(row) for row in pixels.unique(dim=0).tolist()}


def test_pixels_without_drawing_are_bit_identical():
    image = torch.rand(2, 128, 160, 4)
    kept = image.clone()
    drawn = draw(image, [[BOX], []])
    assert torch.equal(image, kept)
    assert torch.equal(drawn[1], image[1])
    assert torch.equal(drawn[..., 3], image[..., 3])
    assert torch.equal(drawn[0, 100:], image[0, 100:])
    assert torch.equal(drawn[0, 45:85, 35:85], image[0, 45:85, 35:85])
    assert not torch.equal(drawn[0], image[0])


def test_frame_lies_on_the_boxs_edge():
    drawn = draw(plain((255, 255, 255)), [{**BOX, "label": ""}], show_scores=False)[0]
    assert torch.allclose(drawn[40, 60], torch.tensor(PALETTE[0]) / 255)
    assert torch.allclose(drawn[89, 60], torch.tensor(PALETTE[0]) / 255)
    assert torch.allclose(drawn[60, 30], torch.tensor(PALETTE[0]) / 255)
    assert torch.allclose(drawn[60, 89], torch.tensor(PALETTE[0]) / 255)
    for y, x in ((39, 60), (41, 60), (60, 29), (60, 90)):
        assert drawn[y, x].sum() == 0


@pytest.mark.slow
@pytest.mark.parametrize("background", [BLACK, (255, 255, 255), (128, 128, 128), *PALETTE])
def test_frame_and_label_stand_out_from_any_background(background):
    image = plain(background)
    drawn = draw(image, [BOX])[0]
    frame = colours_in(drawn[60:80, 27:34])
    assert max(contrast(colour, background) for colour in frame) > 3
    plate = drawn[20:39, 30:100]
    assert colours_in(plate) > {PALETTE[0], text_colour(PALETTE[0])}


@pytest.mark.parametrize("plate", PALETTE)
def test_text_is_readable_on_its_plate(plate):
    assert contrast(text_colour(plate), plate) > 4.5


# Machado, Oliveira and Fernandes 2009, severity 1, on linear RGB.
BLINDNESS = {
    "normal": np.eye(3),
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.01182, 0.04294, 0.968881]],
    "tritanopia": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.3039]],
}


@pytest.mark.parametrize("kind", BLINDNESS)
def test_colours_differ_for_any_colour_vision(kind):
    srgb = np.array(PALETTE) / 255
    linear = np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)
    seen = (linear @ np.array(BLINDNESS[kind]).T).clip(0, 1)
    to_xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
    xyz = seen @ to_xyz.T / np.array([0.9505, 1, 1.089])
    f = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    lab = np.stack([116 * f[:, 1] - 16, 500 * (f[:, 0] - f[:, 1]), 200 * (f[:, 1] - f[:, 2])], axis=1)
    # CIE76 distances: 2.3 is just noticeable.
    assert min(np.linalg.norm(a - b) for a, b in itertools.combinations(lab, 2)) > 9


def test_any_label_is_written():
    for label in ("axolotl", "a very, very long label indeed " * 3, "Übergröße", "猫", "[]"):
        drawn = draw(plain((90, 90, 90)), [{**BOX, "label": label}])
        unlabelled = draw(plain((90, 90, 90)), [{**BOX, "label": ""}], show_scores=False)
        assert not torch.equal(drawn, unlabelled)


def test_captions():
    assert caption(BOX, True) == "axolotl 0.88"
    assert caption(BOX, False) == "axolotl"
    assert caption({"x": 1, "y": 1, "width": 1, "height": 1}, True) == ""
    assert caption({"x": 1, "y": 1, "width": 1, "height": 1, "score": 0.5}, True) == "0.50"


@pytest.mark.slow
def test_labels_keep_their_colour_through_the_batch():
    boxes = [[{**BOX, "label": "cat"}, {**BOX, "x": 90, "label": "dog"}], [{**BOX, "label": "dog"}]]
    drawn = draw(plain((255, 255, 255)).expand(2, -1, -1, -1), boxes)
    dog = colours_of(["cat", "dog"])["dog"]
    assert dog in colours_in(drawn[0]) and dog in colours_in(drawn[1])
    assert len(set(colours_of(map(str, range(7))).values())) == 7


@pytest.mark.slow
def test_lines_grow_with_the_image():
    def frame_pixels(size: int, line_width: int = 0) -> int:
        box = {"x": size // 4, "y": size // 4, "width": size // 2, "height": size // 2}
        row = draw(plain((255, 255, 255), size, size), [box], line_width=line_width)[0, size // 2]
        return int((row.sum(dim=-1) < 3).sum())

    assert frame_pixels(128) == 2 * 3
    assert frame_pixels(1024) == 2 * (4 + 2 * 2)
    assert frame_pixels(128, line_width=8) == 2 * (8 + 2 * 4)


def test_masks_are_laid_over_their_pixels():
    mask = torch.zeros(128, 160, dtype=torch.bool)
    mask[10:30, 20:60] = True
    item = SegmentedObject(frame=1, box=(20, 10, 40, 20), label="cat", score=0.9, mask=pack(mask))
    image = torch.rand(2, 128, 160, 3)
    drawn = draw(image, [], Objects((item,), 2, 128, 160), mask_opacity=0.25)
    assert torch.equal(drawn[0], image[0])
    assert torch.equal(drawn[1][~mask], image[1][~mask])
    expected = image[1][mask] * 0.75 + torch.tensor(PALETTE[0]) / 255 * 0.25
    torch.testing.assert_close(drawn[1][mask], expected)


@pytest.mark.parametrize("boxes", [BOX, [BOX], [[BOX]], [[BOX], [BOX], [BOX]]])
def test_all_shapes_of_boxes_serve_a_batch(boxes):
    image = torch.rand(3, 128, 160, 3)
    drawn = draw(image, boxes)
    assert drawn.shape == image.shape
    assert all(not torch.equal(a, b) for a, b in zip(drawn, image, strict=True))


def test_box_over_the_border_is_clipped():
    image = plain((255, 255, 255))
    over = draw(image, [{**BOX, "x": -20, "y": 100, "width": 500, "height": 90}])
    inside = draw(image, [{**BOX, "x": 0, "y": 100, "width": 160, "height": 28}])
    assert torch.equal(over, inside)


def test_bad_input():
    image = torch.rand(2, 64, 64, 3)
    with pytest.raises(BadInput, match="lies outside the image of 64 x 64"):
        draw(image, [{**BOX, "x": 64}])
    with pytest.raises(BadInput, match="3 lists of boxes for 2 images"):
        draw(image, [[], [], []])
    with pytest.raises(BadInput, match="needs numbers"):
        draw(image, [{"x": 1}])
    with pytest.raises(BadInput, match="they belong to 1 images of 64 x 64 pixels, the batch has 2"):
        draw(image, [], Objects((), 1, 64, 64))
    with pytest.raises(BadInput, match="NaN"):
        draw(torch.full((1, 8, 8, 3), float("nan")), [])


def test_smallest_image_and_no_boxes():
    image = torch.rand(1, 1, 1, 3)
    assert draw(image, [{**BOX, "x": 0, "y": 0, "width": 1, "height": 1}]).shape == (1, 1, 1, 3)
    assert torch.equal(draw(image, []), image)
