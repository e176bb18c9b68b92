"""Extractors with derivatives: they see what they extract, whatever the network, and layers that are its own."""

import pytest
import torch
from trilemma.models.errors import CannotDo
from trilemma.models.scoring.extractors.host_extractor import HostExtractor
from trilemma.models.scoring.extractors.loading import EXTRACTORS
from trilemma.models.scoring.extractors.pixels import PixelExtractor
from trilemma.tests.closeness import assert_close

pytestmark = pytest.mark.slow

SPATIAL = {"VGG-16 (ImageNet)": 5, "classifier of the pack": 5}


def pictures(side, count=2):
    return torch.randint(256, (count, side, side, 3), generator=torch.Generator().manual_seed(0)).byte()


def test_every_network_sees_what_it_extracts(tmp_path):
    for family in EXTRACTORS.families:
        folder = tmp_path / family.name.replace(" ", "")
        folder.mkdir()
        extractor = EXTRACTORS.load(family.tiny(folder))
        images, taps = pictures(extractor.side), tuple(extractor.taps)
        with torch.no_grad():
            expected = extractor.extract(extractor.prepare(images), taps)
        given = (images.movedim(-1, 1) / 255).requires_grad_()
        found = extractor.see(given, taps)
        for one, other in zip(found.taps, expected.taps, strict=True):
            assert_close(one.detach(), other, 1e-4)
        assert (found.log_probabilities is None) == (expected.log_probabilities is None) == (not extractor.classes)
        if found.log_probabilities is not None:
            assert_close(found.log_probabilities.detach(), expected.log_probabilities, 1e-4)
        (derivative,) = torch.autograd.grad(sum(tap.square().sum() for tap in found.taps), given)
        assert derivative.isfinite().all() and derivative.abs().sum(dim=(1, 2, 3)).min() > 0, family.name
        assert len(extractor.class_names) in (0, extractor.classes)


def test_other_sizes_are_resampled_without_rounding():
    """By bilinear resampling with antialiasing, torch's own; a picture of small numbers stays one."""
    extractor = PixelExtractor(8)
    given = torch.rand(1, 3, 20, 14, generator=torch.Generator().manual_seed(0)) / 1000
    small = torch.nn.functional.interpolate(given, (8, 8), mode="bilinear", antialias=True)
    luma = (small * torch.tensor([0.299, 0.587, 0.114]).view(3, 1, 1)).sum(dim=1).flatten(1)
    assert_close(extractor.see(given, ("pixels",)).taps[0], luma)


def test_maps_are_of_the_layers(tmp_path):
    for family in EXTRACTORS.families:
        folder = tmp_path / family.name.replace(" ", "")
        folder.mkdir()
        extractor = EXTRACTORS.load(family.tiny(folder))
        given = torch.rand(2, 3, 40, 40, generator=torch.Generator().manual_seed(1)).requires_grad_()
        if family.name not in SPATIAL:
            with pytest.raises(CannotDo, match="tells nothing of its layers"):
                extractor.maps(given)
            continue
        found = extractor.maps(given)
        assert len(found) == SPATIAL[family.name]
        sides = [each.shape[2] for each in found]
        assert sides == sorted(sides, reverse=True) and all(len(each) == 2 for each in found)
        (derivative,) = torch.autograd.grad(found[-1].sum(), given)
        assert derivative.abs().max() > 0


def test_maps_of_vgg_are_those_of_gatys(tmp_path):
    """relu1_1, relu2_1, relu3_1, relu4_1, relu5_1, by hooks on the whole network."""
    (family,) = (each for each in EXTRACTORS.families if each.name == "VGG-16 (ImageNet)")
    extractor = EXTRACTORS.load(family.tiny(tmp_path))
    seen, images = {}, torch.rand(1, 3, 224, 224, generator=torch.Generator().manual_seed(2))
    for place in (1, 6, 11, 18, 25):
        extractor.network.features[place].register_forward_hook(
            lambda layer, given, made, place=place: seen.update({place: made.clone()})
        )
    with torch.no_grad():
        extractor.see(images, ("fc2",))
        whole = list(seen.values())
        found = extractor.maps(images)
    assert len(whole) == len(found) == 5
    for one, other in zip(found, whole, strict=True):
        assert torch.equal(one, other)


def test_what_has_no_derivatives_says_so():
    extractor = HostExtractor("vision", "x", 8, 4, lambda images: images.new_zeros(len(images), 4), lambda count: count)
    with pytest.raises(CannotDo, match="vision gives no derivatives; take one of Load Feature Extractor, or connect"):
        extractor.see(torch.rand(1, 3, 8, 8), ("embedding",))
