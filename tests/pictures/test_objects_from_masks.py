"""Objects of the masks and boxes that other nodes give: whose pixels are whose, and what they are called."""

import pytest
import torch
from trilemma.models.errors import BadInput
from trilemma.models.pictures.islands import islands
from trilemma.models.pictures.objects import separate, union
from trilemma.models.pictures.objects_from_masks import read_objects

HEIGHT, WIDTH = 40, 60
ONE = (1, HEIGHT, WIDTH)
TWO = (2, HEIGHT, WIDTH)


def box(x: float, y: float, width: float, height: float, **more) -> dict:
    return {"x": x, "y": y, "width": width, "height": height, **more}


def filled(*boxes: tuple[int, int, int, int]) -> torch.Tensor:
    """A mask [H, W] that is 1 in boxes of x, y, width, height."""
    mask = torch.zeros(HEIGHT, WIDTH)
    for x, y, width, height in boxes:
        mask[y : y + height, x : x + width] = 1
    return mask


LEFT, RIGHT, LOW = (5, 5, 10, 8), (40, 4, 12, 20), (8, 25, 20, 10)


def test_islands_are_apart_from_each_other():
    ring = filled((10, 10, 20, 20)) - filled((12, 12, 16, 16)) + filled((18, 18, 3, 3))
    found = islands((ring + filled((31, 30, 4, 4)) + filled((30, 29, 1, 1))) > 0)
    assert [(part.rows.start, part.columns.start, int(part.pixels.sum())) for part in found] == [
        (10, 10, 20 * 20 - 16 * 16 + 16 + 1),  # the ring, and by a corner the block and its link
        (18, 18, 9),
    ]
    assert islands(torch.zeros(4, 5, dtype=torch.bool)) == []


def test_every_island_of_every_image_is_an_object():
    read = read_objects(TWO, torch.stack([filled(LEFT, RIGHT), filled(LOW)]), label="cat")
    assert [(found.frame, found.box, found.label, found.score) for found in read.objects.objects] == [
        (0, RIGHT, "cat", 1.0),
        (0, LEFT, "cat", 1.0),
        (1, LOW, "cat", 1.0),
    ]
    assert torch.equal(union(read.objects), torch.stack([filled(LEFT, RIGHT), filled(LOW)]))
    whole = read_objects(TWO, torch.stack([filled(LEFT, RIGHT), torch.zeros(HEIGHT, WIDTH)]), split_islands=False)
    assert [(found.frame, found.box) for found in whole.objects.objects] == [(0, (5, 4, 47, 20))]
    assert whole.objects.frames == 2


def test_one_mask_serves_all_images_and_is_resized():
    small = torch.nn.functional.interpolate(filled(LOW)[None, None], scale_factor=0.5)[0]
    read = read_objects((3, HEIGHT, WIDTH), small)
    assert [found.frame for found in read.objects.objects] == [0, 1, 2]
    # What bilinear resizing leaves above the threshold: a pixel more on each side.
    assert torch.equal(union(read.objects)[2], filled((7, 25, 22, 12)))
    assert not read_objects(ONE, torch.zeros(1, 64, 64)).objects.objects
    assert not read_objects(TWO, torch.zeros(0, HEIGHT, WIDTH), [[], []]).objects.objects


def test_masks_of_a_single_image_are_objects_each():
    masks = torch.stack([filled(LEFT, LOW), filled(RIGHT), filled(LEFT)])
    read = read_objects(ONE, masks)
    assert [found.frame for found in read.objects.objects] == [0, 0, 0]
    assert torch.equal(separate(read.objects)[0], masks)


def test_boxes_alone_are_whole_boxes_with_their_names():
    """As ComfyUI's RT-DETR gives them."""
    boxes = [[box(5.4, 5.2, 10.1, 7.9, label="dog", score=0.8)], [box(-3, 30, 10, 30), box(59.7, 0, 0.3, 40)]]
    read = read_objects(TWO, boxes=boxes, label="thing")
    dog, corner, strip = read.objects.objects
    assert (dog.frame, dog.label, dog.score) == (0, "dog", 0.8)
    assert dog.box == pytest.approx((5.4, 5.2, 10.1, 7.9))
    assert (corner.frame, corner.label, corner.score, corner.box) == (1, "thing", 1.0, (0, 30, 7, 10))
    masks, frames = separate(read.objects)
    assert frames == [0, 1, 1]
    assert torch.equal(masks[0], filled((5, 5, 11, 8)))
    assert torch.equal(masks[1], filled((0, 30, 7, 10)))
    assert strip.mask.x == WIDTH - 1 and masks[2].sum() == HEIGHT


def test_individual_masks_are_paired_with_their_boxes():
    """As ComfyUI's SAM3 Detect gives them: masks of all images in a row, boxes for each image."""
    masks = torch.stack([filled(LEFT), filled(RIGHT), filled(LOW)])
    boxes = [[box(*LEFT, score=0.9), box(*RIGHT, score=0.7)], [box(*LOW, score=0.6)]]
    read = read_objects(TWO, masks, boxes, label="cat")
    assert [(found.frame, found.score, found.label) for found in read.objects.objects] == [
        (0, 0.9, "cat"),
        (0, 0.7, "cat"),
        (1, 0.6, "cat"),
    ]
    assert torch.equal(separate(read.objects)[0], masks)


@pytest.mark.parametrize("masks_are", ["automatic", "one per object"])
def test_as_many_masks_as_images_may_still_be_of_one_image(masks_are):
    masks = torch.stack([filled(LEFT), filled(RIGHT)])
    read = read_objects(TWO, masks, [[box(*LEFT), box(*RIGHT)], []], masks_are=masks_are)
    assert [found.frame for found in read.objects.objects] == [0, 0]
    assert torch.equal(separate(read.objects)[0], masks)


def test_a_mask_of_all_objects_is_shared_out_among_boxes():
    """As SAM3 Detect gives them without individual masks, or a background removal beside a detector."""
    masks = torch.stack([filled(LEFT, RIGHT), torch.zeros(HEIGHT, WIDTH)])
    read = read_objects(TWO, masks, [[box(*LEFT, label="a"), box(39, 3, 14, 22, label="b")], []])
    assert [(found.frame, found.label) for found in read.objects.objects] == [(0, "a"), (0, "b")]
    assert torch.equal(separate(read.objects)[0], torch.stack([filled(LEFT), filled(RIGHT)]))
    assert read.remarks == ()


def test_an_island_in_several_boxes_belongs_to_the_one_that_it_fills():
    around = box(0, 0, 30, 40, label="wide")
    read = read_objects(ONE, filled(LEFT, LOW)[None], [around, box(*LEFT, label="tight")])
    assert torch.equal(separate(read.objects)[0], torch.stack([filled(LOW), filled(LEFT)]))


def test_an_island_larger_than_the_boxes_is_divided():
    band = filled((0, 10, 60, 10))[None]
    read = read_objects(ONE, band, [box(5, 5, 20, 20, label="a"), box(30, 5, 10, 20, label="b")])
    assert torch.equal(separate(read.objects)[0], torch.stack([filled((5, 10, 20, 10)), filled((30, 10, 10, 10))]))
    assert read.remarks == ("mask: 300 pixels lie in no box and belong to no object",)


def test_a_mask_reaches_a_little_beyond_its_box():
    read = read_objects(ONE, filled(RIGHT)[None], [box(40.6, 4.5, 11.2, 19, score=0.5)])
    assert torch.equal(union(read.objects)[0], filled(RIGHT))


def test_boxes_without_pixels_stay_until_they_are_dropped():
    boxes = [box(*LEFT), box(*RIGHT)]
    kept = read_objects(ONE, filled(LEFT)[None], boxes)
    assert [found.mask.width for found in kept.objects.objects] == [10, 0]
    dropped = read_objects(ONE, filled(LEFT)[None], boxes, min_area=1)
    assert len(dropped.objects.objects) == 1
    assert dropped.remarks == ("min_area: 1 smaller object left out",)


def test_dust_is_no_object():
    assert not read_objects(ONE, torch.full((1, HEIGHT, WIDTH), 1 / 255)).objects.objects
    assert len(read_objects(ONE, torch.full((1, HEIGHT, WIDTH), 1 / 255), threshold=0.0).objects.objects) == 1


@pytest.mark.parametrize(
    ("size", "masks", "boxes", "more", "words"),
    [
        (ONE, None, None, {}, "neither is connected"),
        (TWO, torch.ones(3, HEIGHT, WIDTH), None, {}, "3 masks for 2 images and 0 boxes"),
        (TWO, torch.ones(3, HEIGHT, WIDTH), [[box(*LEFT)], []], {}, "3 masks for 2 images and 1 boxes"),
        (TWO, torch.ones(2, HEIGHT, WIDTH), None, {"masks_are": "one per object"}, "give a mask for each box"),
        (ONE, torch.ones(1, 50, 50), None, {}, "aspect ratio"),
        (ONE, None, [box(100, 0, 5, 5)], {}, "lies outside the image"),
        (TWO, None, [[], [], []], {}, "3 lists of boxes for 2 images"),
    ],
)
def test_bad_input(size, masks, boxes, more, words):
    with pytest.raises(BadInput, match=words):
        read_objects(size, masks, boxes, **more)
