"""Pixels against transformers' image processors, and preprocessors that make no sense."""

import pytest
import torch
from trilemma.models.detection.stretching import read_input, stretched
from trilemma.models.errors import BadCheckpoint
from trilemma.tests import reference_kit

pytestmark = pytest.mark.slow

SIZE = {"size": {"height": 48, "width": 64}}
BYTES = {"do_rescale": False, "image_mean": [123.675, 116.28, 103.53], "image_std": [58.395, 57.12, 57.375]}


@pytest.mark.parametrize(
    ("processor", "told", "normalised"),
    [
        ("RTDetrImageProcessor", SIZE, False),
        ("RTDetrImageProcessor", {**SIZE, "do_normalize": True, "resample": 2}, False),
        ("DetrImageProcessor", SIZE, True),
        ("DetrImageProcessor", {**SIZE, **BYTES}, True),
    ],
)
def test_pixels_are_the_image_processors(processor, told, normalised):
    import transformers

    image = reference_kit.block_image(5, 100, 80)
    given = {**told, "do_pad": False}
    expected = getattr(transformers, processor)(**given)(
        images=image, return_tensors="pt", input_data_format="channels_last"
    )["pixel_values"]
    found = stretched(torch.from_numpy(image)[None] / 255, read_input(told, normalised))
    assert found.shape == expected.shape
    # It rounds resized values to 8 bits: 1 / 255 is 0.0175 after normalisation, two roundings 0.02.
    assert (found - expected).abs().max() < 0.04
    assert (found - expected).abs().mean() < 0.01


def test_numbers_that_are_not_rescaled_are_those_of_8_bits():
    picture = torch.rand(1, 48, 64, 3)
    plain = read_input({**SIZE, "do_rescale": False, "do_normalize": False}, True)
    torch.testing.assert_close(stretched(picture, plain), picture.permute(0, 3, 1, 2) * 255)


@pytest.mark.parametrize(
    ("told", "message"),
    [
        ({"size": {"shortest_edge": 640}}, "is not one that the detector knows"),
        ({"size": 640}, "is not one that the detector knows"),
        ({"do_normalize": True, "image_mean": [1, 2]}, r"image_mean is \[1, 2\]; write three numbers"),
        ({"resample": 0}, "resample is 0; the detector knows 2, bilinear"),
    ],
)
def test_preprocessors_that_it_does_not_know_are_refused(told, message):
    with pytest.raises(BadCheckpoint, match=rf"preprocessor_config\.json: .*{message}"):
        read_input(told, False)
