"""Sizes and pixels against transformers' image processor; boxes back from padded canvases."""

import numpy as np
import pytest
import torch
from trilemma.models.detection.preprocessing import MIN_SIDE, InputSize, input_size, pixels, sizes, to_picture
from trilemma.tests import reference_kit

pytestmark = pytest.mark.slow

PUBLISHED = InputSize()


@pytest.fixture(scope="module")
def processor():
    from transformers import GroundingDinoImageProcessor

    return GroundingDinoImageProcessor()


@pytest.mark.parametrize(
    ("height", "width"),
    [(480, 640), (640, 480), (100, 100), (800, 1333), (800, 1200), (600, 1334), (333, 1000), (97, 501), (1, 1)],
)
def test_size_and_pixels_are_the_image_processors(processor, height, width):
    image = reference_kit.block_image(3, height, width)
    expected = processor(images=image, return_tensors="pt", input_data_format="channels_last")["pixel_values"]
    placed = sizes(PUBLISHED, height, width)
    found = pixels(torch.from_numpy(image)[None] / 255, placed)
    assert found.shape == expected.shape
    # The processor rounds resized values to 8 bits; 1 / 255 is 0.0175 after normalisation, two roundings 0.02.
    assert (found - expected).abs().max() < 0.04
    assert (found - expected).abs().mean() < 0.01


@pytest.mark.parametrize(("height", "width"), [(1, 4000), (4000, 3), (20, 1333)])
def test_thin_pictures_are_padded_to_enough_cells(height, width):
    placed = sizes(PUBLISHED, height, width)
    assert min(placed.height, placed.width) >= 1
    assert max(placed.height, placed.width) <= 1333
    assert min(placed.canvas_height, placed.canvas_width) == MIN_SIDE
    canvas = pixels(torch.rand(1, height, width, 3), placed)
    assert canvas.shape == (1, 3, placed.canvas_height, placed.canvas_width)


def test_networks_of_squares_see_squares():
    placed = sizes(InputSize(128, 128), 100, 400)
    assert placed == (32, 128, 128, 128)
    canvas = pixels(torch.ones(1, 100, 400, 3), placed)
    assert bool((canvas[:, :, :32] > 1).all()) and bool((canvas[:, :, 32:] == 0).all())


def test_boxes_leave_the_canvas_for_the_picture():
    placed = sizes(InputSize(128, 128), 100, 400)
    whole = torch.tensor([[[0.5, 0.125, 1.0, 0.25]]])
    np.testing.assert_allclose(to_picture(whole, placed), [[[0.5, 0.5, 1.0, 1.0]]])


def test_pictures_that_fit_are_not_resampled():
    image = torch.rand(1, 800, 1000, 3)
    found = pixels(image, sizes(PUBLISHED, 800, 1000))
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    torch.testing.assert_close(found, ((image - mean) / std).permute(0, 3, 1, 2), rtol=0, atol=1e-5)


def test_rules_of_preprocessor_files():
    assert input_size({}) == InputSize(800, 1333)
    assert input_size({"size": {"shortest_edge": 640, "longest_edge": 1000}}) == InputSize(640, 1000)
    assert input_size({"size": {"height": 128, "width": 128}}) == InputSize(128, 128)
