import pytest
import torch
from trilemma.models.pictures import packed
from trilemma.models.values import Objects, SegmentedObject


@pytest.mark.parametrize("width", [1, 7, 8, 9, 33])
def test_round_trip(width):
    mask = torch.zeros(20, 40, dtype=torch.bool)
    mask[4:9, 3 : 3 + width] = torch.rand(5, width, generator=torch.Generator().manual_seed(width)) > 0.3
    canvas = torch.zeros_like(mask)
    packed.paint(canvas, packed.pack(mask))
    assert torch.equal(canvas, mask)
    assert packed.area(packed.pack(mask)) == mask.sum()


def test_empty_mask():
    empty = packed.pack(torch.zeros(5, 5, dtype=torch.bool))
    canvas = torch.zeros(5, 5, dtype=torch.bool)
    packed.paint(canvas, empty)
    assert not canvas.any()
    assert packed.area(empty) == 0


def test_two_hundred_full_frames_of_4096_pixels_fit_in_a_gigabyte():
    mask = packed.pack(torch.ones(4096, 4096, dtype=torch.bool))
    thing = SegmentedObject(0, (0, 0, 4096, 4096), "wall", 1.0, mask)
    objects = Objects((thing,) * 200, 1, 4096, 4096)
    assert sum(o.mask.bits.numel() * o.mask.bits.element_size() for o in objects.objects) < 1e9
