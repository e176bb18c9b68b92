"""Verdicts on edits: what a detector sees in the hole, what has changed outside of it, the seam, and how it is told."""

import json
import math

import pytest
import torch
from trilemma.models.errors import BadInput
from trilemma.models.pictures import regions
from trilemma.models.scoring.metrics import edits
from trilemma.models.scoring.metrics.pairs import match_pairs
from trilemma.models.scoring.reports import edit_report
from trilemma.models.values import Detections

HEIGHT, WIDTH = 60, 80
HOLE = (20, 10, 30, 40)
"""x, y, width, height."""


def mask(hole=HOLE, value=1.0):
    one = torch.zeros(1, HEIGHT, WIDTH)
    x, y, width, height = hole
    one[0, y : y + height, x : x + width] = value
    return one


def original(count=1):
    return torch.rand(count, HEIGHT, WIDTH, 3, generator=torch.Generator().manual_seed(0))


def repainted(images, hole=HOLE):
    x, y, width, height = hole
    result = images.clone()
    result[:, y : y + height, x : x + width] = 1 - result[:, y : y + height, x : x + width]
    return result


def detections(question, *frames):
    """For each frame a list of (phrase, score, x, y, width, height), as a detector's raw answer."""
    phrases = (*question.new, *question.old)
    most = max(len(frame) for frame in frames) or 1
    boxes, probabilities = torch.zeros(len(frames), most, 4), torch.zeros(len(frames), most, len(phrases))
    boxes[..., 2:] = 0.01
    for index, frame in enumerate(frames):
        for row, (phrase, score, x, y, width, height) in enumerate(frame):
            centre = [(x + width / 2) / WIDTH, (y + height / 2) / HEIGHT, width / WIDTH, height / HEIGHT]
            boxes[index, row] = torch.tensor(centre)
            probabilities[index, row, phrases.index(phrase)] = score
    return Detections(boxes, probabilities, torch.eye(len(phrases), dtype=torch.bool), phrases, phrases, HEIGHT, WIDTH)


def judged(question, *frames, **options):
    pairs = match_pairs(original(len(frames)), repainted(original(len(frames))))
    return edits.judge(pairs, mask(), question, detections(question, *frames), **options)


BOTH = edits.ask("a pumpkin", "a mushroom")
FOUND = ("a pumpkin", 0.8, 22, 12, 28, 38)
STILL = ("a mushroom", 0.7, 20, 10, 30, 40)
ELSEWHERE = ("a mushroom", 0.9, 60, 10, 15, 20)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("frame", "found", "gone"),
    [
        ([FOUND], True, True),
        ([FOUND, ELSEWHERE], True, True),
        ([STILL], False, False),
        ([FOUND, ("a mushroom", 0.5, 25, 15, 10, 10)], True, False),
        ([("a pumpkin", 0.8, 20, 10, 10, 10)], False, True),
        ([("a pumpkin", 0.3, *HOLE)], False, True),
        ([("a mushroom", 0.9, 0, 0, WIDTH, HEIGHT), FOUND], True, True),
        ([], False, True),
    ],
    ids=[
        "done",
        "another one elsewhere",
        "nothing done",
        "a small old one left",
        "too small for the hole",
        "too unsure",
        "the old one's box is the whole image",
        "nothing seen",
    ],
)
def test_what_the_detector_sees_in_the_hole(frame, found, gone):
    (verdict,) = judged(BOTH, frame)
    assert verdict.hole == HOLE
    assert (verdict.seen.found, verdict.seen.gone) == (found, gone)
    assert verdict.seen.done == (found and gone)
    scores = {score.metric: score.value for score in edit_report.as_scores([verdict], BOTH)}
    assert (scores["edit_done"], scores["old_object_gone"]) == (float(found and gone), float(gone))


def test_scores_and_overlaps_are_told():
    (verdict,) = judged(BOTH, [FOUND, ("a pumpkin", 0.6, *HOLE)])
    assert verdict.seen.score == pytest.approx(0.8)
    assert verdict.seen.iou == pytest.approx(28 * 38 / (30 * 40))
    (verdict,) = judged(BOTH, [("a pumpkin", 0.8, 20, 10, 10, 10), STILL])
    assert math.isnan(verdict.seen.score)
    assert verdict.seen.nearest_iou == pytest.approx(100 / 1200)
    text = edit_report.describe([verdict], BOTH)
    assert "a pumpkin is NOT in the hole (nearest box has IoU 0.08)" in text
    assert "a mushroom is STILL there (score 0.70)" in text


def test_thresholds_are_the_users():
    weak = ("a pumpkin", 0.3, 20, 10, 10, 10)
    assert judged(BOTH, [weak], box_threshold=0.2, min_iou=0.05)[0].seen.found


def test_only_what_is_named_is_asked():
    new, old = edits.ask("a pumpkin", " "), edits.ask("", "a mushroom")
    (verdict,) = judged(new, [FOUND])
    assert (verdict.seen.found, verdict.seen.gone, verdict.seen.done) == (True, None, True)
    scores = {score.metric: score for score in edit_report.as_scores([verdict], new)}
    assert math.isnan(scores["old_object_gone"].value) and "no old object" in scores["old_object_gone"].note
    (verdict,) = judged(old, [STILL])
    assert (verdict.seen.found, verdict.seen.gone, verdict.seen.done) == (None, False, False)
    assert math.isnan(edit_report.new_object_score([verdict]))


def test_several_names_for_one_object():
    question = edits.ask("a cat, a kitten", "a dog")
    assert question == (("a cat", "a kitten"), ("a dog",), "a cat . a kitten . a dog")
    (verdict,) = judged(question, [("a kitten", 0.8, *HOLE)])
    assert verdict.seen.done


@pytest.mark.parametrize(
    ("new", "old", "said"), [("", " ", "both are empty"), ("a cat", "A  Cat", "'a cat' is both"), (".", "", "nothing")]
)
def test_bad_names(new, old, said):
    with pytest.raises(BadInput, match=said):
        edits.ask(new, old)


def test_an_exact_edit_leaves_the_rest_untouched():
    (verdict,) = edits.judge(match_pairs(original(), repainted(original())), mask())
    assert verdict.untouched_psnr == math.inf
    assert verdict.untouched_difference == 0
    assert verdict.seen is None
    (image,) = json.loads(edit_report.to_json([verdict], None))["images"]
    assert image["untouched"] is True and image["untouched_psnr"] is None and image["edit_done"] is None
    text = edit_report.describe([verdict], None)
    assert "nothing has changed outside the mask" in text
    assert "no detector was connected" in text
    scores = {score.metric: score for score in edit_report.as_scores([verdict], None)}
    assert math.isnan(scores["edit_done"].value) and "no detector" in scores["edit_done"].note
    assert scores["untouched_psnr"].value == math.inf


def test_what_changes_outside_is_measured_there_alone():
    edited = repainted(original())
    edited[0, 0, 0, 1] += 0.25 if edited[0, 0, 0, 1] < 0.5 else -0.25
    (verdict,) = edits.judge(match_pairs(original(), edited), mask())
    values = 3 * (HEIGHT * WIDTH - 30 * 40)
    assert verdict.untouched_difference == pytest.approx(0.25, abs=1e-6)
    assert verdict.untouched_psnr == pytest.approx(-10 * math.log10(0.25**2 / values), abs=1e-4)


def test_a_soft_edge_may_change_but_is_no_hole():
    soft = mask((10, 5, 50, 50), 0.3).maximum(mask())
    edited = repainted(original(), (10, 5, 50, 50))
    (verdict,) = edits.judge(match_pairs(original(), edited), soft)
    assert verdict.hole == HOLE
    assert verdict.untouched_difference == 0


@pytest.mark.parametrize("dust", [4.6e-5, 1 / 255, 0.05])
def test_dust_in_the_mask_hides_no_change(dust):
    dusty = torch.where(mask() > 0, 0.9961, dust)
    before = original()
    (same,) = edits.judge(match_pairs(before, repainted(before)), dusty)
    assert (same.hole, same.untouched_psnr, same.untouched_difference) == (HOLE, math.inf, 0)
    changed = repainted(before)
    changed[0, 0, 0] = 1 - changed[0, 0, 0].round()
    (found,) = edits.judge(match_pairs(before, changed), dusty)
    assert found.untouched_difference > 0.4


@pytest.mark.parametrize("soften", [4, 16, 19])
def test_the_end_of_a_soft_edge_may_change_as_far_as_it_was_pasted(soften):
    """Below the threshold too, and after both were rounded to eight bits."""
    before = (original() * 255).round() / 255
    image, _, crops, _ = regions.crop(before, regions.holes_of_masks(mask(), before), 80, 1.5, 0, soften)
    after = (regions.stitch(crops, 1 - image).images * 255).round() / 255
    pasted = regions.pasted(crops)
    (verdict,) = edits.judge(match_pairs(before, after), pasted)
    assert verdict.untouched_psnr == math.inf


def test_a_hard_paste_shows_and_the_original_does_not():
    grey = torch.full((1, HEIGHT, WIDTH, 3), 0.25)
    pasted = torch.where(mask()[..., None] > 0, 0.75, grey)
    (visible,) = edits.judge(match_pairs(grey, pasted), mask())
    assert visible.seam == pytest.approx(0.5, abs=1e-5)
    (clean,) = edits.judge(match_pairs(grey, grey), mask())
    assert clean.seam == 0


@pytest.mark.parametrize(
    ("given", "hole", "missing"),
    [
        (torch.zeros(1, 64, 64), None, {"seam", "edit_done", "old_object_gone"}),
        (torch.zeros(1, HEIGHT, WIDTH), None, {"seam", "edit_done", "old_object_gone"}),
        (torch.ones(1, HEIGHT, WIDTH), (0, 0, WIDTH, HEIGHT), {"seam", "untouched_psnr", "untouched_difference"}),
    ],
    ids=["the host's empty mask", "empty", "full"],
)
def test_what_cannot_be_judged_is_missing_with_the_reason(given, hole, missing):
    pairs = match_pairs(original(), repainted(original()))
    verdicts = edits.judge(pairs, given, BOTH, detections(BOTH, [FOUND]))
    assert verdicts[0].hole == hole
    scores = edit_report.as_scores(verdicts, BOTH)
    assert {score.metric for score in scores if math.isnan(score.value)} == missing
    assert all(score.note for score in scores if math.isnan(score.value))
    content = json.loads(edit_report.to_json(verdicts, BOTH))
    assert {metric for metric, value in content["all"].items() if value is None} == missing
    assert edit_report.describe(verdicts, BOTH)


@pytest.mark.slow
def test_every_image_of_a_batch_has_its_verdict():
    verdicts = judged(BOTH, [FOUND], [], [FOUND, STILL])
    assert [verdict.seen.done for verdict in verdicts] == [True, False, False]
    scores = {score.metric: score.value for score in edit_report.as_scores(verdicts, BOTH)}
    assert scores["edit_done"] == pytest.approx(1 / 3)
    assert scores["old_object_gone"] == pytest.approx(2 / 3)
    assert edit_report.new_object_score(verdicts) == pytest.approx(0.8)
    text = edit_report.describe(verdicts, BOTH)
    assert text.count("image ") >= 3 and "edit done: 0.3333" in text
    together = edits.judge(match_pairs(original(2), repainted(original(2))), mask())
    alone = edits.judge(match_pairs(original(2)[1:], repainted(original(2))[1:]), mask())
    assert together[1] == alone[0]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (torch.ones(3, HEIGHT, WIDTH), "3 masks for 1 images"),
        (torch.ones(1, 10, 99), "another aspect ratio"),
        (torch.full((1, HEIGHT, WIDTH), math.nan), "NaN"),
    ],
    ids=["number", "size", "NaN"],
)
def test_bad_masks_are_refused(given, said):
    with pytest.raises(BadInput, match=said):
        edits.judge(match_pairs(original(), original()), given)
