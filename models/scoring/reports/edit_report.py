"""Verdicts on edits as scores, as JSON and as text."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from statistics import fmean
from typing import Any, Final

from ..metric import METRICS
from ..metrics.edits import Question, Verdict
from ..scores import Score, finite_or_none

NOT_ASKED: Final = "no detector was connected"
NO_HOLE: Final = "the mask has no pixel of 0.5 or more"
NO_OUTSIDE: Final = "the mask covers the whole image"
NO_EDGE: Final = "the mask has no edge in the image"


def as_scores(verdicts: Sequence[Verdict], question: Question | None) -> tuple[Score, ...]:
    """Over all images: shares of edits done and of old objects gone, mean PSNR and seam, the greatest difference.

    Images where a value could not be taken do not count; where it could be taken of none it is NaN, with the reason.
    """
    unseen = NO_HOLE if question else NOT_ASKED
    seen = [verdict.seen for verdict in verdicts if verdict.seen]
    done = [float(sight.done) for sight in seen]
    gone = [float(sight.gone) for sight in seen if sight.gone is not None]
    not_gone = "no old object was named" if question and not question.old else unseen
    psnr = [verdict.untouched_psnr for verdict in verdicts if not math.isnan(verdict.untouched_psnr)]
    difference = [verdict.untouched_difference for verdict in verdicts if not math.isnan(verdict.untouched_psnr)]
    seams = [verdict.seam for verdict in verdicts if not math.isnan(verdict.seam)]
    unchanged = "infinite: nothing has changed there" if math.inf in psnr else ""
    return (
        Score("edit_done", _mean(done), note="" if done else unseen),
        Score("old_object_gone", _mean(gone), note="" if gone else not_gone),
        Score("untouched_psnr", _mean(psnr), note=unchanged if psnr else NO_OUTSIDE),
        Score("untouched_difference", max(difference, default=math.nan), note="" if difference else NO_OUTSIDE),
        Score("seam", _mean(seams), note="" if seams else NO_EDGE),
    )


def values_of(verdicts: Sequence[Verdict]) -> dict[str, list[float]]:
    """Of the scores that are means: one value per image, NaN where it could not be taken."""
    return {
        "edit_done": [float(verdict.seen.done) if verdict.seen else math.nan for verdict in verdicts],
        "old_object_gone": [
            math.nan if verdict.seen is None or verdict.seen.gone is None else float(verdict.seen.gone)
            for verdict in verdicts
        ],
        "untouched_psnr": [verdict.untouched_psnr for verdict in verdicts],
        "seam": [verdict.seam for verdict in verdicts],
    }


def new_object_score(verdicts: Sequence[Verdict]) -> float:
    """Mean score of the new objects that were found; NaN where none was."""
    return _mean([verdict.seen.score for verdict in verdicts if verdict.seen and verdict.seen.found])


def to_json(verdicts: Sequence[Verdict], question: Question | None) -> str:
    """Per-image values as JSON; null where a value could not be taken, and where a PSNR is infinite (`untouched`)."""
    images = [_plain(index, verdict) for index, verdict in enumerate(verdicts)]
    asked = {"new_object": list(question.new), "old_object": list(question.old)} if question else None
    scores = {score.metric: finite_or_none(score.value) for score in as_scores(verdicts, question)}
    return json.dumps({"asked": asked, "images": images, "all": scores}, indent=2, allow_nan=False)


def describe(verdicts: Sequence[Verdict], question: Question | None) -> str:
    """For each image a line in words, then the scores of all."""
    lines = []
    for index, verdict in enumerate(verdicts):
        lines.append(f"image {index}: {_seen(verdict, question)}; {_rest(verdict)}; {_edge(verdict)}")
    if len(verdicts) > 1:
        for score in as_scores(verdicts, question):
            number = "-" if math.isnan(score.value) else f"{score.value:.4g}"
            note = f" ({score.note})" if score.note else ""
            lines.append(f"{METRICS[score.metric].label}: {number}{note}")
    return "\n".join(lines)


def _mean(values: Sequence[float]) -> float:
    return fmean(values) if values else math.nan


def _plain(index: int, verdict: Verdict) -> dict[str, Any]:
    seen = verdict.seen
    new = old = None
    if seen is not None:
        new = {"found": seen.found, "score": finite_or_none(seen.score), "iou": finite_or_none(seen.iou)}
        old = {"gone": seen.gone, "score": finite_or_none(seen.old_score)}
    return {
        "image": index,
        "hole": None if verdict.hole is None else dict(zip(("x", "y", "width", "height"), verdict.hole, strict=True)),
        "edit_done": None if seen is None else seen.done,
        "new_object": new,
        "old_object": old,
        "untouched": verdict.untouched_difference == 0,
        "untouched_psnr": finite_or_none(verdict.untouched_psnr),
        "untouched_difference": finite_or_none(verdict.untouched_difference),
        "seam": finite_or_none(verdict.seam),
    }


def _seen(verdict: Verdict, question: Question | None) -> str:
    if verdict.hole is None:
        return f"{NO_HOLE}, so nothing was to be edited"
    seen = verdict.seen
    if seen is None or question is None:
        return f"not looked for objects, since {NOT_ASKED}"
    parts = []
    if seen.found:
        parts.append(f"{_names(question.new)} is in the hole (score {seen.score:.2f}, IoU {seen.iou:.2f})")
    elif seen.found is not None:
        near = "no box of it" if math.isnan(seen.nearest_iou) else f"nearest box has IoU {seen.nearest_iou:.2f}"
        parts.append(f"{_names(question.new)} is NOT in the hole ({near})")
    if seen.gone:
        parts.append(f"{_names(question.old)} is gone")
    elif seen.gone is not None:
        parts.append(f"{_names(question.old)} is STILL there (score {seen.old_score:.2f})")
    return ", ".join(parts)


def _names(phrases: Sequence[str]) -> str:
    return " or ".join(phrases)


def _rest(verdict: Verdict) -> str:
    if math.isnan(verdict.untouched_psnr):
        return NO_OUTSIDE
    if verdict.untouched_difference == 0:
        return "nothing has changed outside the mask"
    return f"outside the mask PSNR {verdict.untouched_psnr:.2f} dB, at most {verdict.untouched_difference:.4f} off"


def _edge(verdict: Verdict) -> str:
    return "no seam" if math.isnan(verdict.seam) else f"seam {verdict.seam:.4f}"
