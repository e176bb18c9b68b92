"""Resizes against the libraries' own, and TensorFlow's to the bit against the algorithm written down here."""

import numpy as np
import pytest
import torch
from trilemma.models.scoring.extractors.resizes import RESIZES, resize
from trilemma.tests import reference_kit
from trilemma.tests.benchmarks.extraction import gather_four
from trilemma.tests.closeness import assert_close

SIDE = 299
KIT = reference_kit.case("inception_fid")
IMAGES = {
    "48x37": (48, 37, (100, 101)),
    "64x64": (64, 64, (400, 401)),
    "299x299": (299, 299, (200,)),
    "301x417": (301, 417, (300,)),
}


def kit_images(size):
    height, width, seeds = IMAGES[size]
    return torch.from_numpy(np.stack([reference_kit.block_image(seed, height, width) for seed in seeds]))


@pytest.mark.parametrize("size", IMAGES)
def test_tensorflows_resize_is_the_reference_to_the_bit(size):
    found = resize(kit_images(size), SIDE, "TF1").float()
    differences = reference_kit.compare(KIT, {f"{size}.tf1_resize299": found}, atol=0, rtol=0)
    assert set(differences.values()) == {0.0}


@pytest.mark.parametrize("size", IMAGES)
def test_other_resizes_are_clean_fids(size):
    """Its `clean` resizer, and its `legacy_pytorch`, which is pytorch-fid's; both of the first image alone, HWC."""
    first = kit_images(size)[:1]
    found = {
        f"{size}.cleanfid_clean_resize_hwc": resize(first, SIDE, "clean"),
        f"{size}.cleanfid_legacy_pytorch_resize_hwc": resize(first, SIDE, "pytorch-fid"),
    }
    # PyTorch weighs pixels by another formula on another processor: 1.4e-6 of the largest value were seen.
    found = {name: pixels[0].movedim(0, -1).float() for name, pixels in found.items()}
    reference_kit.compare(KIT, found, atol=1e-5, rtol=0)


@pytest.mark.slow
@pytest.mark.parametrize("size", [(1, 1), (1, 9), (700, 2), (33, 900), (298, 300), (299, 5)])
def test_tensorflows_resize_of_odd_sizes(size):
    images = torch.randint(256, (2, *size, 3), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    assert torch.equal(resize(images, SIDE, "TF1").float(), gather_four(images, SIDE))


def test_antialiasing_is_torchs():
    images = kit_images("301x417")
    planar = images.movedim(-1, 1).float()
    expected = torch.nn.functional.interpolate(
        planar, (SIDE, SIDE), mode="bilinear", align_corners=False, antialias=True
    )
    assert_close(resize(images, SIDE, "torchmetrics"), expected)


@pytest.mark.parametrize("name", RESIZES)
def test_every_resize_keeps_images_of_the_size_and_takes_each_alone(name):
    images = kit_images("299x299")
    kept = resize(images, SIDE, name)
    assert kept.dtype == torch.uint8
    assert torch.equal(kept.movedim(1, -1), images)
    assert torch.equal(RESIZES[name](images, SIDE), kept.float())
    small = kit_images("48x37")
    together = resize(small, 32, name)
    assert together.shape == (2, 3, 32, 32)
    assert together.dtype == torch.float32
    assert 0 <= together.min() <= together.max() <= 255
    assert_close(together, torch.cat([resize(image[None], 32, name) for image in small]))
