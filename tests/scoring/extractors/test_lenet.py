"""LeNet of digits: against its reference, under random and under its published weights."""

import pytest
import torch
from trilemma.models.scoring.extractors.lenet import NAME, TAP
from trilemma.models.scoring.extractors.loading import EXTRACTORS
from trilemma.tests import reference_kit
from trilemma.tests.closeness import assert_close
from trilemma.tests.generators.vae import autoencoders

REAL_ROW = {"golden_dev": "mnist_small/golden_real_lenet_dev.npz"}


def answers(extractor, inputs):
    """Of pixels 0..1; the extractor takes 0..255."""
    found = extractor.extract(255 * torch.from_numpy(inputs["img"]), (TAP,))
    return {"logp": found.log_probabilities}


@pytest.fixture
def extractor(tmp_path):
    row = reference_kit.case("mnist_small", "golden_lenet")
    torch.save(reference_kit.weights(row), tmp_path / "lenet.pth")
    return EXTRACTORS.load(tmp_path / "lenet.pth")


def test_parity(extractor):
    row = reference_kit.case("mnist_small", "golden_lenet")
    reference_kit.compare(row, answers(extractor, reference_kit.inputs(row)))
    assert extractor.source.extractor == NAME
    assert extractor.taps == {TAP: 84}


@pytest.mark.weights
def test_parity_of_the_published_weights():
    extractor = EXTRACTORS.load(autoencoders.real_weights("mnist/lenet_epoch=12_test_acc=0.991.pth"))
    reference_kit.compare(REAL_ROW, answers(extractor, reference_kit.inputs(REAL_ROW)))


def test_colours_become_their_luma(extractor):
    grey = torch.randint(256, (2, 28, 28, 1), dtype=torch.uint8).expand(-1, -1, -1, 3)
    prepared = extractor.prepare(grey)
    assert prepared.shape == (2, 1, 32, 32)
    assert_close(prepared, extractor.prepare(grey[..., [1, 0, 2]]))
    red = torch.zeros(1, 32, 32, 3, dtype=torch.uint8)
    red[..., 0] = 200
    assert_close(extractor.prepare(red), torch.full((1, 1, 32, 32), 0.299 * 200))
