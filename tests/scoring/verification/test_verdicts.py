"""GenEval's rules, a right and a wrong picture of each kind, by boxes whose places are known."""

import pytest
from trilemma.models.scoring.metrics import edits
from trilemma.models.scoring.verification import verdicts
from trilemma.models.scoring.verification.records import Record, Unwanted, Wanted
from trilemma.tests.scoring.metrics.test_edits import detections


def box(x, y, width=10, height=10, score=0.9):
    return {"x": x, "y": y, "width": width, "height": height, "score": score}


def judged(include, objects, exclude=(), colours=None, tag="position", **options):
    record = Record(tag, tuple(include), tuple(exclude), "a prompt")
    return verdicts.judge(record, objects, lambda name, place: (colours or {})[name, place], **options)


CAT, DOG = Wanted("cat", 1), Wanted("dog", 1)
TWO, FEWER = Wanted("cat", 2), Unwanted("cat", 3)


@pytest.mark.parametrize(
    ("include", "exclude", "objects", "reasons"),
    [
        ([CAT], [], {"cat": [box(0, 0)]}, ()),
        ([CAT], [], {"dog": [box(0, 0)]}, ("expected 1 cat, found none",)),
        ([CAT, DOG], [], {"cat": [box(0, 0)], "dog": [box(20, 0)]}, ()),
        ([CAT, DOG], [], {"cat": [box(0, 0)]}, ("expected 1 dog, found none",)),
        ([TWO], [FEWER], {"cat": [box(0, 0), box(20, 0)]}, ()),
        ([TWO], [FEWER], {"cat": [box(0, 0)]}, ("expected 2 cat, found 1",)),
        ([TWO], [FEWER], {"cat": [box(x, 0) for x in (0, 20, 40)]}, ("expected fewer than 3 cat, found 3",)),
        ([Wanted("Cat", 1)], [], {"cat": [box(0, 0)]}, ()),
    ],
    ids=["there", "another", "both", "one of two", "two", "too few", "too many", "another case"],
)
def test_objects_and_how_many(include, exclude, objects, reasons):
    verdict = judged(include, objects, exclude)
    assert verdict.reasons == reasons and verdict.right == (not reasons)


@pytest.mark.parametrize(
    ("include", "colours", "reasons"),
    [
        ([Wanted("cat", 1, "red")], {("cat", 0): "red"}, ()),
        ([Wanted("cat", 1, "red")], {("cat", 0): "blue"}, ("expected 1 red cat, found blue",)),
        ([Wanted("cat", 2, "red")], {("cat", 0): "red", ("cat", 1): "red"}, ()),
        (
            [Wanted("cat", 2, "red")],
            {("cat", 0): "red", ("cat", 1): "blue"},
            ("expected 2 red cat, found red, blue",),
        ),
        ([Wanted("cat", 1, "red"), Wanted("dog", 1, "blue")], {("cat", 0): "red", ("dog", 0): "blue"}, ()),
        (
            [Wanted("cat", 1, "red"), Wanted("dog", 1, "blue")],
            {("cat", 0): "blue", ("dog", 0): "red"},
            ("expected 1 red cat, found blue", "expected 1 blue dog, found red"),
        ),
    ],
)
def test_colours_of_the_surest_objects(include, colours, reasons):
    objects = {"cat": [box(0, 0), box(20, 0, score=0.5), box(40, 0, score=0.4)], "dog": [box(60, 0)]}
    verdict = judged(include, objects, colours=colours, tag="color_attr")
    assert verdict.reasons == reasons
    assert {*verdicts.to_colour(verdict.record, objects)} == {*colours}


def test_colours_are_not_asked_of_what_is_not_enough():
    record = Record("colors", (Wanted("cat", 2, "red"), CAT), (), "two red cats")
    assert verdicts.to_colour(record, {"cat": [box(0, 0)]}) == []
    assert not judged([Wanted("cat", 2, "red")], {"cat": [box(0, 0)]}).right


@pytest.mark.parametrize(
    ("x", "y", "found"),
    [
        (-30, 0, ("left of",)),
        (30, 0, ("right of",)),
        (0, -30, ("above",)),
        (0, 30, ("below",)),
        (-30, -30, ("left of", "above")),
        (-30, 12, ("left of",)),
        (-2, 0, ()),
        (-3.9, 0, ()),
        (-4.1, 0, ("left of",)),
        (0, 0, ()),
    ],
)
def test_positions(x, y, found):
    """Of boxes of 10 pixels: the margin is 0.1 x 20 = 2; at 3.9 pixels 1.9 of 3.9 are left, at 4.1 more than half."""
    assert verdicts.relations(box(x, y), box(0, 0)) == found


def test_the_margin_is_of_both_sizes_and_the_users():
    large, small = box(0, 0, 100, 100), box(-20, 45)
    # Centres are 65 apart, less 0.1 x 110 or 0.4 x 110 = 44: 21 of 65 are too few.
    assert verdicts.relations(small, large) == ("left of",)
    assert verdicts.relations(small, large, margin=0.4) == ()


LEFT = [CAT, Wanted("dog", 1, "", "left of", 0)]


@pytest.mark.parametrize(
    ("objects", "reason"),
    [
        ({"cat": [box(50, 0)], "dog": [box(0, 0)]}, None),
        ({"cat": [box(0, 0)], "dog": [box(50, 0)]}, "expected dog left of cat, found it right of it"),
        ({"cat": [box(0, 0)], "dog": [box(1, 0)]}, "expected dog left of cat, found it neither side of it"),
        ({"cat": [box(50, 0)], "dog": [box(0, 0), box(90, 0, score=0.5)]}, None),
    ],
    ids=["left", "right", "upon it", "the surest counts"],
)
def test_one_beside_another(objects, reason):
    assert judged(LEFT, objects).reasons == (() if reason is None else (reason,))


def test_every_one_must_be_beside_every_other():
    include = [TWO, Wanted("dog", 2, "", "left of", 0)]
    cats, dogs = [box(60, 0), box(80, 0)], [box(0, 0), box(20, 0)]
    assert judged(include, {"cat": cats, "dog": dogs}).right
    assert not judged(include, {"cat": cats, "dog": [dogs[0], box(70, 0)]}).right


def test_nothing_is_beside_what_is_not_as_it_should_be():
    include = [Wanted("cat", 1, "red"), LEFT[1]]
    verdict = judged(include, {"cat": [box(50, 0)], "dog": [box(0, 0)]}, colours={("cat", 0): "blue"})
    assert verdict.reasons == (
        "expected 1 red cat, found blue",
        "expected dog left of cat, which is not as it should be",
    )


def test_all_classes_of_a_prompt_are_asked_for_at_once_and_counting_is_stricter():
    records = [
        Record("single_object", (CAT,), (), "a cat"),
        Record("position", tuple(LEFT), (), "a dog left of a cat"),
        Record("counting", (TWO,), (FEWER,), "two cats"),
        Record("colors", (Wanted("cat", 1, "red"),), (), "a red cat"),
    ]
    asked = verdicts.questions(records, verdicts.Limits(), also=("Cat", "a fox"))
    assert asked == [
        ("cat . a fox", (0, 3), 0.3),
        ("cat . dog . a fox", (1,), 0.3),
        ("cat . a fox", (2,), 0.9),
    ]


@pytest.mark.slow
def test_boxes_are_those_above_the_threshold_without_doubles_the_surest_first():
    question = edits.Question(("cat",), ("dog",), "cat . dog")
    seen = [
        ("cat", 0.5, 0, 0, 20, 20),
        ("cat", 0.8, 40, 0, 20, 20),
        ("cat", 0.7, 41, 0, 20, 20),
        ("dog", 0.35, 0, 30, 20, 20),
        ("dog", 0.29, 40, 30, 20, 20),
    ]
    answer = detections(question, seen, [])
    found, nothing = verdicts.objects_of(answer, 0.3, verdicts.Limits())
    assert [round(each["score"], 2) for each in found["cat"]] == [0.8, 0.5]
    assert [round(each["score"], 2) for each in found["dog"]] == [0.35]
    assert nothing == {}
    (one, _) = verdicts.objects_of(answer, 0.3, verdicts.Limits(nms=1.0, most=2))
    assert [round(each["x"]) for each in one["cat"]] == [40, 41]
