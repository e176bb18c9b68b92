"""EfficientNet-lite0: its arithmetic against plain convolutions, and photographs, where its package is installed."""

import hashlib
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from trilemma.models.errors import MissingFile
from trilemma.models.imagenet import class_names
from trilemma.models.scoring.extractors import photo_package
from trilemma.models.scoring.extractors.efficientnet_lite import SameConv
from trilemma.models.scoring.extractors.loading import EXTRACTORS
from trilemma.models.scoring.extractors.photo_package import NAME, installed_file
from trilemma.nodes.score_extractors import LoadFeatureExtractor

INSTALLED = pytest.mark.skipif(installed_file() is None, reason=f"{photo_package.PACKAGE} is not installed")
SHA256 = "57934424"
"""Beginning, which the file's name has."""


@pytest.mark.parametrize(("side", "kernel", "stride"), [(8, 3, 1), (8, 3, 2), (7, 5, 2), (9, 5, 1), (6, 1, 2)])
def test_padding_is_tensorflows(side, kernel, stride):
    """The result has ceil(side / stride) places, and what is odd goes to the end."""
    layer = SameConv(2, 3, kernel, stride, bias=False)
    x = torch.randn(1, 2, side, side, generator=torch.Generator().manual_seed(0))
    found = layer(x)
    places = -(-side // stride)
    assert found.shape[2:] == (places, places)
    needed = max((places - 1) * stride + kernel - side, 0)
    padded = torch.zeros(1, 2, side + needed, side + needed)
    begin = needed // 2
    padded[..., begin : begin + side, begin : begin + side] = x
    assert torch.allclose(found, F.conv2d(padded, layer.weight, None, stride))


def test_a_missing_package_is_named(monkeypatch):
    monkeypatch.setattr(photo_package, "PACKAGE", "no-such-package-anywhere")
    assert installed_file() is None
    with pytest.raises(MissingFile, match=r"pip install no-such-package-anywhere==0\.1\.0"):
        LoadFeatureExtractor.path(NAME)
    assert NAME in LoadFeatureExtractor.INPUT_TYPES()["required"]["model"][0]


@INSTALLED
@pytest.mark.slow
def test_a_photograph_is_what_it_shows():
    matplotlib = pytest.importorskip("matplotlib")
    from trilemma.models.pictures.image_files import read_eight_bit

    file = installed_file()
    assert hashlib.sha256(file.read_bytes()).hexdigest().startswith(SHA256)
    extractor = EXTRACTORS.load(LoadFeatureExtractor.path(NAME)).with_resize("clean")
    assert (extractor.name, extractor.taps, extractor.classes) == (NAME, {"1280": 1280}, 1000)
    photograph = Path(matplotlib.get_data_path()) / "sample_data" / "grace_hopper.jpg"
    pixels = read_eight_bit(photograph)[None, :512]
    with torch.no_grad():
        answers = extractor.extract(extractor.prepare(pixels), ("1280",))
    assert answers.taps[0].shape == (1, 1280)
    assert class_names()[int(answers.log_probabilities.argmax())] == "military uniform"
