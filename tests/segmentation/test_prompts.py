"""Boxes and points to prompts."""

import json

import pytest
from trilemma.models.errors import BadInput
from trilemma.models.segmentation.prompts import Point, Prompt, read_boxes, read_prompts

SIZE = {"height": 60, "width": 100}
LEFT = {"x": 0, "y": 0, "width": 40, "height": 60, "label": "cat", "score": 0.5}
RIGHT = {"x": 50, "y": 0, "width": 50, "height": 60}
INNER = {"x": 60, "y": 10, "width": 20, "height": 20}


def text(*points):
    return json.dumps([{"x": x, "y": y} for x, y in points])


@pytest.mark.parametrize("boxes", [LEFT, [LEFT], [[LEFT]], [[LEFT], [LEFT]]])
def test_every_shape_of_boxes(boxes):
    assert read_prompts(2, **SIZE, boxes=boxes) == (Prompt(0, LEFT, ()), Prompt(1, LEFT, ()))


def test_images_without_boxes_get_no_prompt():
    prompts = read_prompts(3, **SIZE, boxes=[[], [LEFT, RIGHT], []])
    assert [(prompt.frame, prompt.box) for prompt in prompts] == [(1, LEFT), (1, RIGHT)]
    assert read_prompts(3, **SIZE, boxes=[]) == ()
    assert read_prompts(3, **SIZE, boxes=[[], [], []], positive_points=text((1, 1))) == ()


def test_boxes_are_clipped():
    (prompt,) = read_prompts(1, **SIZE, boxes={**LEFT, "x": -10, "height": 500})
    assert prompt.box == {**LEFT, "x": 0, "width": 30, "height": 60}


def test_points_alone_ask_for_one_object_per_image():
    prompts = read_prompts(2, **SIZE, positive_points=text((1, 2), (3, 4)), negative_points=text((5, 6)))
    points = (Point(1, 2, 1), Point(3, 4, 1), Point(5, 6, 0))
    assert prompts == (Prompt(0, None, points), Prompt(1, None, points))


def test_points_per_image():
    prompts = read_prompts(3, **SIZE, positive_points=json.dumps([[{"x": 1, "y": 2}], [], [{"x": 3, "y": 4}]]))
    assert prompts == (Prompt(0, None, (Point(1, 2, 1),)), Prompt(2, None, (Point(3, 4, 1),)))


def test_points_refine_the_only_box_wherever_they_lie():
    (prompt,) = read_prompts(1, **SIZE, boxes=LEFT, positive_points=text((5, 5)), negative_points=text((90, 5)))
    assert prompt.points == (Point(5, 5, 1), Point(90, 5, 0))


def test_points_refine_the_smallest_of_several_boxes_around_them():
    prompts = read_prompts(
        1, **SIZE, boxes=[LEFT, RIGHT, INNER], positive_points=text((70, 20), (95, 5)), negative_points=text((65, 15))
    )
    assert [prompt.points for prompt in prompts] == [(), (Point(95, 5, 1),), (Point(70, 20, 1), Point(65, 15, 0))]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "neither boxes nor points are given"),
        ({"positive_points": "  "}, "neither boxes nor points are given"),
        ({"positive_points": "[]"}, "neither boxes nor points are given"),
        ({"negative_points": text((1, 1))}, "image 0 has 1 negative point, but no positive point"),
        ({"positive_points": "12, 34"}, r"positive_points: expected JSON .* found 12, 34"),
        ({"positive_points": "[" * 100_000}, r"positive_points: expected JSON .* found \[+"),
        ({"positive_points": '{"x": 1, "y": 2}'}, r'expected a list such as .* found \{"x": 1, "y": 2\}'),
        ({"positive_points": "[[1, 2]]"}, "a point needs numbers for x and y, found 1"),
        ({"positive_points": '[{"x": 1}]'}, r'a point needs numbers for x and y, found \{"x": 1\}'),
        ({"positive_points": '[{"x": "a", "y": 2}]'}, "a point needs numbers"),
        ({"positive_points": '[{"x": NaN, "y": 2}]'}, "lies outside the image"),
        ({"positive_points": '[[], {"x": 1, "y": 2}]'}, "expected a list of points for each image"),
        ({"positive_points": text((101, 2))}, "the point at x 101, y 2 lies outside the image of 100 x 60 pixels"),
        ({"negative_points": "[[], [], []]", "boxes": LEFT}, "3 lists of points for 2 images"),
        ({"boxes": [LEFT, RIGHT], "negative_points": text((45, 5))}, "lies in none of the image's 2 boxes"),
        ({"boxes": {**LEFT, "x": 200}}, "lies outside the image of 100 x 60 pixels"),
        ({"boxes": [[LEFT]] * 3}, "3 lists of boxes for 2 images"),
    ],
)
def test_bad_input(given, message):
    with pytest.raises(BadInput, match=message):
        read_prompts(2, **SIZE, **given)


def test_drawn_boxes_follow_the_connected_ones():
    drawn = {"x": 5, "y": 6, "width": 7, "height": 8}
    for_all, second = json.dumps([drawn]), json.dumps([[], [drawn]])
    assert read_boxes(2, **SIZE, boxes=[[LEFT], []], drawn_boxes=for_all) == [[LEFT, drawn], [drawn]]
    assert read_boxes(2, **SIZE, boxes=LEFT, drawn_boxes=second) == [[LEFT], [LEFT, drawn]]
    assert read_boxes(2, **SIZE, drawn_boxes=second) == [[], [drawn]]
    assert read_boxes(1, **SIZE, drawn_boxes=json.dumps([{**drawn, "x": 98}])) == [[{**drawn, "x": 98, "width": 2}]]


@pytest.mark.parametrize("nothing", ["", " ", "[]", "[[], []]"])
def test_no_boxes_at_all_are_none(nothing):
    assert read_boxes(2, **SIZE, drawn_boxes=nothing) is None
    assert read_boxes(2, **SIZE, boxes=[], drawn_boxes=nothing) == [[], []]


@pytest.mark.parametrize(
    ("drawn", "message"),
    [
        ("5, 6", "drawn_boxes: expected JSON such as .* found 5, 6"),
        (json.dumps(LEFT), "drawn_boxes: expected a list such as"),
        ("[[], [], []]", "drawn_boxes: 3 lists of boxes for 2 images"),
        (json.dumps([{**LEFT, "x": 100}]), "drawn_boxes: the box at x 100, .* lies outside the image of 100 x 60"),
        (json.dumps([{"x": 1, "y": 2}]), "drawn_boxes: a box needs numbers for x, y, width and height"),
    ],
)
def test_bad_drawn_boxes(drawn, message):
    with pytest.raises(BadInput, match=message):
        read_boxes(2, **SIZE, drawn_boxes=drawn)


def test_long_text_is_shown_short():
    with pytest.raises(BadInput) as raised:
        read_prompts(1, **SIZE, positive_points="x" * 1000)
    assert "x" * 77 + "..." in str(raised.value)
    assert len(str(raised.value)) < 250
