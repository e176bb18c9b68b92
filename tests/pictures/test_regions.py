"""Crops are cut and pasted back without touching a pixel outside their masks."""

import pytest
import torch
from trilemma.models.errors import BadInput
from trilemma.models.pictures.packed import pack
from trilemma.models.pictures.regions import Cropped, crop, holes_of_masks, holes_of_objects, pasted, stitch
from trilemma.models.values import Objects, SegmentedObject

SIZES = [(1, 1), (7, 13), (64, 64), (97, 130), (256, 40)]


def pictures(frames: int, height: int, width: int, channels: int = 3, seed: int = 0) -> torch.Tensor:
    return torch.rand(frames, height, width, channels, generator=torch.Generator().manual_seed(seed))


def discs(frames: int, height: int, width: int) -> torch.Tensor:
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    radius = max(min(height, width) / 4, 0.5)
    return ((y - height // 2) ** 2 + (x - width // 3) ** 2 < radius**2).float().expand(frames, -1, -1)


def objects_of(*masks: tuple[int, torch.Tensor], frames: int, height: int, width: int) -> Objects:
    items = tuple(SegmentedObject(frame, (0, 0, 1, 1), "cat", 1.0, pack(mask)) for frame, mask in masks)
    return Objects(items, frames, height, width)


def rectangle(height: int, width: int, top: int, left: int, bottom: int, right: int) -> torch.Tensor:
    mask = torch.zeros(height, width, dtype=torch.bool)
    mask[top:bottom, left:right] = True
    return mask


def cropped(images: torch.Tensor, masks: torch.Tensor, **options) -> Cropped:
    return crop(images, holes_of_masks(masks, images), **options)


@pytest.mark.slow
@pytest.mark.parametrize("channels", [3, 4])
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("soften", [0, 3])
def test_outside_the_mask_is_bit_identical(size, channels, soften):
    images = pictures(2, *size, channels)
    kept = images.clone()
    cut = cropped(images, discs(2, *size), size=24, soften=soften)
    result = stitch(cut.crops, torch.ones_like(cut.images)).images
    pasted = torch.zeros(2, *size, dtype=torch.bool)
    for region in cut.crops.regions:
        rows, columns = region.mask.shape
        area = pasted[region.frame, region.mask_y : region.mask_y + rows, region.mask_x : region.mask_x + columns]
        area |= region.mask > 0
    assert torch.equal(result[~pasted], kept[~pasted])
    assert torch.equal(result[..., 3:], kept[..., 3:])
    full = discs(2, *size) > 0
    assert torch.allclose(result[full][:, :3], torch.ones(int(full.sum()), 3), atol=1e-6)
    assert torch.equal(images, kept)
    assert result.dtype == torch.float32


def test_same_size_round_trip_is_exact():
    images = pictures(1, 64, 64)
    masks = rectangle(64, 64, 16, 16, 48, 48)[None].float()
    cut = cropped(images, masks, size=48, context_factor=1.5)
    assert torch.equal(stitch(cut.crops, cut.images).images, images)
    assert torch.equal(cut.images[0], images[0, 8:56, 8:56])


def test_crops_are_square_at_the_asked_size_and_show_the_whole_hole():
    images = pictures(1, 60, 200)
    cut = cropped(images, rectangle(60, 200, 10, 20, 40, 190)[None].float(), size=96, context_factor=1.2)
    assert cut.images.shape == (1, 96, 96, 3)
    assert cut.masks.shape == (1, 96, 96)
    region = cut.crops.regions[0]
    assert region.width == region.height == 200
    assert region.y == -70
    assert torch.allclose(cut.images[0, 0], cut.images[0, 1], atol=1e-6)  # filled with the border row


def test_region_moves_inside_where_it_fits():
    images = pictures(1, 100, 100)
    region = cropped(images, rectangle(100, 100, 0, 90, 10, 100)[None].float(), context_factor=3).crops.regions[0]
    assert (region.x, region.y, region.width, region.height) == (70, 0, 30, 30)


def test_mask_covers_all_that_is_pasted():
    images = pictures(1, 100, 100)
    cut = cropped(images, discs(1, 100, 100), size=100, context_factor=4, grow=2, soften=4)
    weight = torch.zeros(100, 100)
    region = cut.crops.regions[0]
    rows, columns = region.mask.shape
    weight[region.mask_y : region.mask_y + rows, region.mask_x : region.mask_x + columns] = region.mask
    assert (region.x, region.y, region.width) == (0, 0, 100)
    assert torch.equal(cut.masks[0] > 0, weight > 0)


def test_grow_and_soften_follow_the_distance():
    mask = rectangle(41, 41, 20, 20, 21, 21)[None].float()
    region = cropped(pictures(1, 41, 41), mask, grow=2, soften=3).crops.regions[0]
    middle = region.mask[5]
    assert torch.allclose(middle, torch.tensor([0.25, 0.5, 0.75, 1, 1, 1, 1, 1, 0.75, 0.5, 0.25]))
    assert (region.mask_x, region.mask_y) == (15, 15)


def test_later_crops_lie_on_top():
    images = pictures(1, 40, 40)
    first, second = rectangle(40, 40, 5, 5, 25, 25), rectangle(40, 40, 15, 15, 35, 35)
    objects = objects_of((0, first), (0, second), frames=1, height=40, width=40)
    cut = crop(images, holes_of_objects(objects, images), size=16)
    result = stitch(cut.crops, torch.stack([torch.zeros(16, 16, 3), torch.ones(16, 16, 3)])).images[0]
    assert torch.allclose(result[second], torch.ones(3), atol=1e-6)
    assert bool((result[first & ~second] == 0).all())


def test_the_share_of_repainted_pictures_tells_what_a_stitch_gives():
    """White pasted on black shows the weights, where pastes overlap too."""
    first, second = rectangle(40, 40, 5, 5, 25, 25), rectangle(40, 40, 15, 15, 35, 35)
    objects = objects_of((1, first), (1, second), frames=2, height=40, width=40)
    images = torch.zeros(2, 40, 40, 3)
    cut = crop(images, holes_of_objects(objects, images), size=16, grow=1, soften=3)
    result = stitch(cut.crops, torch.ones_like(cut.images)).images
    share = pasted(cut.crops)
    assert share.shape == (2, 40, 40)
    assert not bool(share[0].any())
    assert torch.allclose(share, result[..., 0], atol=1e-6)
    assert torch.equal(share > 0, (result > 0).all(dim=-1))


def test_one_crop_per_object_or_per_image():
    images = pictures(3, 30, 30)
    one, two = rectangle(30, 30, 2, 2, 8, 8), rectangle(30, 30, 20, 20, 28, 28)
    objects = objects_of((0, one), (0, two), (2, one), frames=3, height=30, width=30)
    assert [hole.frame for hole in holes_of_objects(objects, images)] == [0, 0, 2]
    holes = holes_of_objects(objects, images, per="image")
    assert [hole.frame for hole in holes] == [0, 2]
    assert holes[0].weight.shape == (26, 26)
    assert holes[0].weight.sum() == one.sum() + two.sum()


def test_a_box_hole_fills_the_bounds():
    images = pictures(1, 64, 64)
    objects = objects_of((0, discs(1, 64, 64)[0].bool()), frames=1, height=64, width=64)
    shape, box = (holes_of_objects(objects, images, hole=hole)[0].weight for hole in ("object", "box"))
    assert shape.shape == box.shape
    assert shape.min() == 0
    assert box.min() == 1


def test_an_objects_own_mask_comes_untouched():
    """At the picture's own scale to the bit, and whatever the hole is grown, softened or widened to."""
    images, disc = pictures(1, 64, 64), discs(1, 64, 64)
    objects = objects_of((0, disc[0].bool()), frames=1, height=64, width=64)
    for hole in ("object", "box"):
        cut = crop(images, holes_of_objects(objects, images, hole=hole), 64, 10, grow=3, soften=5)
        assert torch.equal(cut.objects, disc)
        assert cut.masks.sum() > 2 * disc.sum()
    soft = disc * 0.6
    assert torch.equal(cropped(images, soft, size=64, context_factor=10, grow=2).objects, soft)
    small = crop(images, holes_of_objects(objects, images), 32, 10, grow=3, soften=5).objects
    assert small.shape == (1, 32, 32)
    assert small.mean() == pytest.approx(float(disc.mean()), rel=1e-3)
    assert not bool(crop(images, [], 16).objects.any())


def test_only_what_is_cut_is_looked_at():
    images = pictures(1, 64, 64)
    images[0, 60, 60] = torch.nan
    mask = rectangle(64, 64, 8, 8, 20, 20)[None].float()
    cut = cropped(images, mask, size=16)
    assert torch.equal(stitch(cut.crops, cut.images).images.isnan(), images.isnan())
    images[0, 10, 10] = torch.inf
    with pytest.raises(BadInput, match="image 0 of the batch holds NaN"):
        cropped(images, mask, size=16)


@pytest.mark.parametrize("threshold", [0.1, 0.0])
def test_the_hole_of_a_mask_has_its_values(threshold):
    images = pictures(2, 40, 50)
    masks = torch.full((1, 40, 50), 0.05)
    masks[0, 10:20, 5:30] = torch.rand(10, 25, generator=torch.Generator().manual_seed(0)) * 0.8 + 0.15
    first, second = holes_of_masks(masks, images, threshold)
    assert (first.frame, second.frame) == (0, 1)
    assert torch.equal(first.weight, masks[0, 10:20, 5:30] if threshold else masks[0])
    assert (first.x, first.y) == ((5, 10) if threshold else (0, 0))


def test_objects_of_one_frame_serve_every_image():
    images = pictures(3, 30, 30)
    objects = objects_of((0, rectangle(30, 30, 2, 2, 8, 8)), frames=1, height=30, width=30)
    assert [hole.frame for hole in holes_of_objects(objects, images)] == [0, 1, 2]


@pytest.mark.parametrize("masks", [torch.zeros(1, 64, 64), torch.zeros(2, 30, 50)])
def test_nothing_to_repaint_passes_the_images_through(masks):
    images = pictures(2, 30, 50, 4)
    cut = cropped(images, masks, size=32)
    assert cut.images.shape == (1, 32, 32, 3)
    assert cut.masks.shape == (1, 32, 32)
    assert cut.masks.sum() == 0
    result = stitch(cut.crops, torch.zeros(1, 32, 32, 3))
    assert torch.equal(result.images, images)
    assert result.seams == ()


def test_no_objects_pass_the_images_through():
    images = pictures(2, 30, 30)
    cut = crop(images, holes_of_objects(objects_of(frames=2, height=30, width=30), images))
    assert torch.equal(stitch(cut.crops, cut.images).images, images)


def test_an_image_without_a_hole_stays_in_the_batch():
    images = pictures(3, 20, 20)
    masks = torch.zeros(3, 20, 20)
    masks[1, 5:9, 5:9] = 1
    cut = cropped(images, masks, size=16)
    result = stitch(cut.crops, torch.zeros(1, 16, 16, 3)).images
    assert len(result) == 3
    assert torch.equal(result[[0, 2]], images[[0, 2]])
    assert not torch.equal(result[1], images[1])


def test_repainted_pictures_may_come_back_larger():
    images = pictures(1, 40, 40)
    cut = cropped(images, discs(1, 40, 40), size=32)
    assert stitch(cut.crops, torch.ones(1, 64, 64, 3)).images.shape == images.shape


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda cut: stitch(cut.crops, torch.zeros(2, 16, 16, 3)), "2 repainted pictures for 1 crops"),
        (lambda cut: stitch(cut.crops, torch.zeros(1, 16, 12, 3)), "square"),
        (lambda cut: stitch(cut.crops, torch.full((1, 16, 16, 3), torch.nan)), "NaN"),
        (lambda cut: cropped(cut.crops.images, torch.ones(1, 20, 40)), "aspect"),
        (lambda cut: cropped(cut.crops.images, torch.ones(3, 20, 20)), "3 masks for 1 images"),
        (lambda cut: cropped(cut.crops.images * torch.nan, torch.ones(1, 20, 20)), "NaN"),
        (
            lambda cut: holes_of_objects(objects_of(frames=1, height=9, width=9), cut.crops.images),
            "objects: they were segmented",
        ),
        (
            lambda cut: holes_of_objects(objects_of(frames=2, height=20, width=20), cut.crops.images),
            "objects: they were segmented",
        ),
    ],
)
def test_bad_input(call, words):
    cut = cropped(pictures(1, 20, 20), discs(1, 20, 20), size=16)
    with pytest.raises(BadInput, match=words):
        call(cut)
