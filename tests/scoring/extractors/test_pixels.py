"""Pixels as features: values, names, and what they compare with."""

import pytest
import torch
from trilemma.models.errors import BadInput
from trilemma.models.scoring.extractors.pixels import PixelExtractor


def test_features_are_the_luminance_of_pixels():
    extractor = PixelExtractor(8).with_resize("torchmetrics")
    pixels = torch.randint(0, 256, (3, 8, 8, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    answers = extractor.extract(extractor.prepare(pixels), (extractor.main,))
    red, green, blue = (pixels.double() / 255).unbind(dim=3)
    expected = (0.299 * red + 0.587 * green + 0.114 * blue).flatten(1)
    torch.testing.assert_close(answers.taps[0].double(), expected, atol=1e-6, rtol=0)
    assert answers.log_probabilities is None and extractor.taps == {"pixels": 64}


def test_other_sides_never_compare():
    assert PixelExtractor(8).source.key != PixelExtractor(16).source.key
    assert PixelExtractor(16).prepare(torch.zeros(2, 30, 20, 3, dtype=torch.uint8)).shape == (2, 3, 16, 16)


@pytest.mark.parametrize("side", [7, 65])
def test_a_side_out_of_range_is_refused(side):
    with pytest.raises(BadInput, match="8 to 64 pixels"):
        PixelExtractor(side)
