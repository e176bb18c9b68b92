"""The same object keeps its number over the frames of a video."""

import itertools

import numpy as np
import pytest
import torch
from trilemma.models.pictures.packed import pack
from trilemma.models.pictures.tracking import assign, report, track
from trilemma.models.values import Objects, SegmentedObject

MASK = pack(torch.ones(2, 2, dtype=torch.bool))


def objects(*frames):
    """Of lists of (label, x, y), squares of 10 pixels."""
    found = [
        SegmentedObject(frame, (x, y, 10, 10), label, 0.5, MASK)
        for frame, boxes in enumerate(frames)
        for label, x, y in boxes
    ]
    return Objects(tuple(found), len(frames), 100, 100)


def labels(tracked):
    return [each.label for each in tracked.objects]


@pytest.mark.parametrize(("rows", "columns"), [(1, 1), (3, 3), (2, 5), (5, 2), (5, 5)])
@pytest.mark.parametrize("seed", range(8))
def test_no_assignment_gains_more(rows, columns, seed):
    """Against all assignments; with ties, as overlaps have."""
    rng = np.random.default_rng(seed)
    gains = np.where(rng.random((rows, columns)) < 0.4, 0.0, rng.random((rows, columns)).round(1))
    pairs = assign(gains.tolist())
    assert len(pairs) == min(rows, columns)
    assert len({row for row, _ in pairs}) == len({column for _, column in pairs}) == len(pairs)
    if rows <= columns:
        ways = itertools.permutations(range(columns), rows)
        best = max(sum(gains[row, column] for row, column in enumerate(way)) for way in ways)
    else:
        ways = itertools.permutations(range(rows), columns)
        best = max(sum(gains[row, column] for column, row in enumerate(way)) for way in ways)
    assert sum(gains[pair] for pair in pairs) == pytest.approx(best, abs=1e-9)


def test_nothing_to_assign():
    assert assign([]) == []
    assert assign([[], []]) == []


def test_objects_keep_their_numbers_whatever_their_order():
    frames = [[("cat", 2 * t, 0), ("cat", 2 * t, 40), ("dog", 60, 60)] for t in range(5)]
    frames[2], frames[3] = frames[2][::-1], [frames[3][1], frames[3][2], frames[3][0]]
    tracked = track(objects(*frames))
    for each in tracked.objects:
        assert each.label == ("dog 1" if each.box[1] == 60 else "cat 1" if each.box[1] == 0 else "cat 2")
    assert [each._replace(label="") for each in tracked.objects] == [
        each._replace(label="") for each in objects(*frames).objects
    ]


def test_the_largest_sum_is_taken_not_the_nearest_pair():
    # The left one of the second frame overlaps both; alone it would take the right one's place.
    tracked = track(objects([("cat", 0, 0), ("cat", 6, 0)], [("cat", 4, 0), ("cat", 8, 0)]), min_iou=0.1)
    assert labels(tracked) == ["cat 1", "cat 2", "cat 1", "cat 2"]


def test_another_label_is_another_object():
    assert labels(track(objects([("cat", 0, 0)], [("dog", 0, 0)], [("a Cat", 0, 0)]))) == ["cat 1", "dog 1", "a Cat 1"]


@pytest.mark.parametrize(("gap", "last"), [(2, "cat 1"), (1, "cat 2")])
def test_what_is_away_too_long_is_forgotten(gap, last):
    assert labels(track(objects([("cat", 0, 0)], [], [], [("cat", 1, 0)]), max_gap=gap)) == ["cat 1", last]


def test_what_overlaps_too_little_is_new():
    far = objects([("", 0, 0)], [("", 8, 0)])
    assert labels(track(far)) == ["object 1", "object 2"]
    assert labels(track(far, min_iou=0.1)) == ["object 1", "object 1"]


def test_a_hundred_frames():
    tracked = track(objects(*[[("cat", t / 2, 0), ("cat", t / 2, 30)] for t in range(100)]))
    assert set(labels(tracked)) == {"cat 1", "cat 2"}
    assert report(tracked) == "cat 1: 100 of 100 images, 0 to 99\ncat 2: 100 of 100 images, 0 to 99"


def test_no_objects():
    assert track(objects([], [])) == objects([], [])
    assert report(objects([], [])) == "no objects in 2 images"


def looks(*names):
    """Of things with these names, which look unlike each other: A and B in a frame set the scale."""
    known = {"A": (1.0, 0.1), "B": (1.0, -0.1), "C": (1.0, -0.3)}
    return [torch.nn.functional.normalize(torch.tensor(known[name]), dim=0) for name in names]


def test_two_that_change_places_are_known_by_their_looks():
    frames = [[("cat", 0, 0), ("cat", 8, 0)], [("cat", 1, 0), ("cat", 7, 0)]]
    assert labels(track(objects(*frames))) == ["cat 1", "cat 2", "cat 1", "cat 2"]
    assert labels(track(objects(*frames), looks=looks("A", "B", "B", "A"))) == ["cat 1", "cat 2", "cat 2", "cat 1"]


def test_one_that_comes_back_elsewhere_is_known_by_its_looks():
    frames = objects([("cat", 0, 0), ("cat", 40, 0)], [("cat", 40, 0)], [("cat", 41, 0), ("cat", 80, 80)])
    assert labels(track(frames))[-1] == "cat 3"
    assert labels(track(frames, looks=looks("A", "B", "B", "B", "A")))[-1] == "cat 1"
    assert labels(track(frames, looks=looks("A", "B", "B", "B", "C")))[-1] == "cat 3"


def test_the_share_of_looks():
    """Of two that changed places, but for a little: with few looks the place decides."""
    frames = objects([("cat", 0, 0), ("cat", 3, 0)], [("cat", 0, 0), ("cat", 3, 0)])
    crossed = looks("A", "B", "B", "A")
    assert labels(track(frames, looks=crossed, appearance=0.3))[2:] == ["cat 1", "cat 2"]
    assert labels(track(frames, looks=crossed, appearance=0.6))[2:] == ["cat 2", "cat 1"]
    assert track(frames, looks=crossed, appearance=0.0) == track(frames)


def test_what_looks_the_same_keeps_its_place():
    frames = [[("fish", 2 * t, 0), ("fish", 2 * t, 40)] for t in range(5)]
    tracked = track(objects(*frames), looks=looks(*"AA" * 5))
    assert labels(tracked) == ["fish 1", "fish 2"] * 5


def test_looks_are_those_of_many_frames():
    """One that is half hidden for a frame looks like the other there."""
    frames = objects(*[[("cat", 0, 0), ("cat", 40, 0)]] * 3, [("cat", 40, 0)], [("cat", 80, 0), ("cat", 20, 50)])
    seen = looks("A", "B", "A", "B", "B", "B", "B", "A", "B")
    assert labels(track(frames, looks=seen))[-2:] == ["cat 1", "cat 2"]


def test_a_single_object_is_the_one_that_left():
    frames = objects([("cat", 0, 0)], [], [("cat", 80, 80)])
    assert labels(track(frames)) == ["cat 1", "cat 2"]
    assert labels(track(frames, looks=looks("A", "A"))) == ["cat 1", "cat 1"]
