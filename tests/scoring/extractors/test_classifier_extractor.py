"""The starter classifier as an extractor: one image's features do not depend on the others."""

import pytest
import torch
from trilemma.models.files.catalog import starter_folder
from trilemma.models.scoring.extractors.base import chosen_taps, eight_bit
from trilemma.models.scoring.extractors.classifier_network import load_classifier
from trilemma.models.scoring.extractors.loading import EXTRACTORS
from trilemma.models.scoring.extractors.resizes import RESIZES

STARTER = "starter emoji classifier"
IDENTITY = "b218ee474772a99ff3e77a88dea67b3d92390f3cde982e4248425c9271464ac6"
"""Of the starter since it is there: features that were saved with it stay comparable only as long as it stays."""
FOLDER = starter_folder("extractor", STARTER)


@pytest.fixture(scope="module")
def extractor():
    return EXTRACTORS.load(FOLDER)


def pictures(count, height, width, seed=0):
    shape = (count, height, width, 3)
    return torch.randint(256, shape, generator=torch.Generator().manual_seed(seed), dtype=torch.uint8)


def test_what_it_says_of_itself(extractor):
    assert extractor.source.extractor == STARTER
    assert extractor.source.identity == IDENTITY
    assert extractor.source.resize == "TF1"
    assert extractor.taps == {"features": 128}
    assert extractor.classes == 32
    assert chosen_taps(extractor) == ("features",)


def test_answers_are_the_networks_own(extractor):
    images = torch.rand(2, 32, 32, 3, generator=torch.Generator().manual_seed(0))
    answers = extractor.extract(extractor.prepare(eight_bit(images)), ("features",))
    network = load_classifier(FOLDER)
    rounded = (images * 255).round().permute(0, 3, 1, 2) / 255 * 2 - 1
    torch.testing.assert_close(answers.taps[0], network.features(rounded), rtol=0, atol=1e-5)
    torch.testing.assert_close(answers.log_probabilities.exp(), network(rounded).softmax(dim=1), rtol=0, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("resize", RESIZES)
def test_an_image_does_not_depend_on_its_batch(resize):
    extractor = EXTRACTORS.load(FOLDER).with_resize(resize)
    images = pictures(8, 48, 37)

    def answers(size):
        parts = [extractor.extract(extractor.prepare(batch), ("features",)) for batch in images.split(size)]
        return torch.cat([part.taps[0] for part in parts]), torch.cat([part.log_probabilities for part in parts])

    expected = answers(8)
    for size in (1, 3):
        for found, whole in zip(answers(size), expected, strict=True):
            assert (found - whole).abs().max() <= 1e-6 * whole.abs().max()
