import pytest
import torch
from trilemma.models.errors import BadInput
from trilemma.models.pictures import boxes

BOX = {"x": 2, "y": 3, "width": 4, "height": 5, "label": "cat", "score": 0.5}


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (BOX, [[BOX], [BOX]]),
        ([BOX], [[BOX], [BOX]]),
        ([[BOX]], [[BOX], [BOX]]),
        ([[BOX], []], [[BOX], []]),
        ([[], [BOX, BOX]], [[], [BOX, BOX]]),
        ([], [[], []]),
        ([[]], [[], []]),
    ],
)
def test_every_shape_of_the_host_becomes_one_list_per_image(value, expected):
    assert boxes.per_image(value, frames=2) == expected


def test_broadcast_lists_are_not_shared():
    first, second = boxes.per_image([BOX], frames=2)
    first.append(BOX)
    assert len(second) == 1


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("cat", "found str"),
        ([[BOX], [BOX], [BOX]], "3 lists of boxes for 2 images"),
        ([{"x": 1, "y": 2}], "numbers for x, y, width and height"),
        ([{**BOX, "x": None}], "numbers for x, y, width and height"),
        ([{**BOX, "x": float("nan")}], "finite"),
        ([{**BOX, "width": 0}], "above 0"),
        ([["cat"]], "'cat'"),
        ([None, [BOX]], "a list of boxes for each image, found None"),
        ([[BOX], BOX], "a list of boxes for each image, found {'x'"),
        ([{**BOX, "x": "3"}], "finite"),
        ([{**BOX, "label": ["cat"]}], "the label of a box is a text"),
        ([{**BOX, "score": "high"}], "the score of a box is a finite number"),
        ([{**BOX, "score": float("nan")}], "the score of a box is a finite number"),
    ],
)
def test_bad_boxes_are_named(value, message):
    with pytest.raises(BadInput, match=message):
        boxes.per_image(value, frames=2)


def test_clipping_keeps_label_and_score():
    box = boxes.clipped({**BOX, "x": -2, "width": 40}, height=6, width=10)
    assert box == {**BOX, "x": 0, "y": 3, "width": 10, "height": 3}


def test_box_outside_the_image_is_refused():
    with pytest.raises(BadInput, match="outside the image of 10 x 6"):
        boxes.clipped({**BOX, "x": 10}, height=6, width=10)


def test_iou_and_suppression():
    corners = torch.tensor([[0.0, 0, 10, 10], [5, 0, 15, 10], [20, 20, 30, 30], [0, 0, 10, 10]])
    iou = boxes.pairwise_iou(corners, corners)
    assert iou[0, 1].item() == pytest.approx(50 / 150)
    assert iou[0, 2] == 0
    scores = torch.tensor([0.5, 0.9, 0.1, 0.5])
    assert boxes.suppress(corners, scores, 0.9).tolist() == [1, 0, 2]
    assert boxes.suppress(corners, scores, 0.3).tolist() == [1, 2]
    assert boxes.suppress(corners[:0], scores[:0], 0.3).tolist() == []
