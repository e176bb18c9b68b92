"""Bands of rows change nothing, whatever the height."""

import pytest
import torch
import torch.nn.functional as F
from trilemma.models.segmentation.sam import tiny_vit
from trilemma.tests.closeness import assert_close


def _random(module: torch.nn.Module) -> torch.nn.Module:
    generator = torch.Generator().manual_seed(0)
    for parameter in module.parameters():
        parameter.data.normal_(0, 0.5, generator=generator)
    return module


@pytest.mark.parametrize("height", [1, 2, 7, 8, 15])
@pytest.mark.parametrize("stride", [1, 2])
@torch.inference_mode()
def test_bands_of_rows_are_the_whole(monkeypatch, height, stride):
    merging = _random(tiny_vit.PatchMerging(3, 5, stride))
    maps = torch.randn(2, 3, height, 6, generator=torch.Generator().manual_seed(1))
    whole = merging.conv3(F.gelu(merging.conv2(F.gelu(merging.conv1(maps)))))
    for rows in (1, 2, 5, 100):
        monkeypatch.setattr(tiny_vit, "BAND_BYTES", rows * 2 * 6 * 5 * 4)
        assert_close(merging(maps), whole)


@torch.inference_mode()
def test_some_places_at_a_time_are_all(monkeypatch):
    mlp = _random(tiny_vit.Mlp(3, 7))
    places = torch.randn(2, 3, 5, 3, generator=torch.Generator().manual_seed(1))
    whole = mlp(places)
    monkeypatch.setattr(tiny_vit, "BAND_BYTES", 7 * 4 * 4)
    assert_close(mlp(places), whole)
