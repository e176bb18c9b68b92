"""Fixtures of the segmentation tests."""

import numpy as np
import pytest
import torch
from trilemma.models.segmentation.loading import load_segmenter
from trilemma.tests.segmentation import tiny


@pytest.fixture(scope="session")
def network():
    return tiny.build()


@pytest.fixture(scope="session")
def segmenter(network, tmp_path_factory):
    return load_segmenter(tiny.save(network, tmp_path_factory.mktemp("segmenter")))


@pytest.fixture(scope="session")
def eight_bit():
    """Two pictures, uint8 [2, 50, 90, 3]: wider than high, larger than the network's input."""
    rng = np.random.default_rng(3)
    return np.kron(rng.integers(0, 256, (2, 5, 9, 3)), np.ones((1, 10, 10, 1))).astype(np.uint8)


@pytest.fixture(scope="session")
def images(eight_bit):
    return torch.from_numpy(eight_bit).float() / 255


@pytest.fixture(scope="session")
def embedding(segmenter, images):
    return segmenter.encode(images)
