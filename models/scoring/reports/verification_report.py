"""Verdicts on prompted pictures as scores, as JSON and as text."""

from __future__ import annotations

import json
import math
import textwrap
from collections.abc import Sequence
from typing import Any, Final

import torch

from ..comparison.influences import Influences, InfluencesOf, error_of_alike
from ..metrics.shares import Share, mean_of, share
from ..scores import Score
from ..verification.records import KINDS
from ..verification.verdicts import Verdict

OVERALL: Final = "prompts_right"
"""Key of the mean over the kinds."""
SHOWN: Final = 80
"""Characters of a prompt in a report."""
AGREEMENT: Final = (
    "The judge is a detector, no person. GenEval's own judge, Mask2Former with CLIP, agreed with people about 83 % of "
    "pictures (Ghosh et al. 2023, arXiv:2310.11513); of newer generators its scores are off by up to 17.7 points "
    "(Kamath et al. 2025, arXiv:2512.16853). How often this judge agrees with people, nobody has measured."
)


def shares_of(verdicts: Sequence[Verdict]) -> dict[str, Share]:
    """Of every kind that there are pictures of, in the order of KINDS, the share that is right."""
    return {
        kind: share(outcomes)
        for kind in KINDS
        if (outcomes := [verdict.right for verdict in verdicts if verdict.record.tag == kind])
    }


def overall(verdicts: Sequence[Verdict]) -> Share:
    """The mean of the kinds, as GenEval takes it."""
    return mean_of([*shares_of(verdicts).values()])


def as_scores(verdicts: Sequence[Verdict]) -> tuple[Score, ...]:
    """The mean of the kinds, then each kind, with their intervals."""
    shares = shares_of(verdicts)
    mean, kinds = mean_of([*shares.values()]), len(shares)
    note = "" if kinds == len(KINDS) else f"mean of {kinds} of {len(KINDS)} kinds"
    return (
        Score(OVERALL, mean.value, low=mean.low, high=mean.high, note=note),
        *(Score(kind, each.value, low=each.low, high=each.high) for kind, each in shares.items()),
    )


def influences_of(verdicts: Sequence[Verdict]) -> InfluencesOf:
    """How much each picture matters for these scores; picture i of one model pairs with picture i of another.

    Kinds have fixed numbers of pictures, so that a picture counts by how it differs from the others of its kind; a kind
    of which all are right, or none, has the error of so few outcomes that are all alike.
    """
    shares, count = shares_of(verdicts), len(verdicts)

    def find(metric: str) -> Influences | None:
        if metric not in (OVERALL, *shares):
            return None
        chosen = [metric] if metric in shares else [*shares]
        values = [
            (verdict.right - shares[kind].value) * count / (shares[kind].count * len(chosen))
            if (kind := verdict.record.tag) in chosen
            else 0.0
            for verdict in verdicts
        ]
        alike = [error_of_alike(shares[kind].count) for kind in chosen if shares[kind].value in (0.0, 1.0)]
        unseen = math.hypot(*alike) / len(chosen)
        return Influences(torch.tensor(values, dtype=torch.float64), torch.arange(count), count, unseen)

    return find


def to_json(verdicts: Sequence[Verdict]) -> str:
    """The verdict on every picture with its reasons and boxes, and the shares."""
    shares = shares_of(verdicts)
    told = {
        "images": [_plain(index, verdict) for index, verdict in enumerate(verdicts)],
        "kinds": {kind: each._asdict() for kind, each in shares.items()},
        OVERALL: mean_of([*shares.values()])._asdict(),
    }
    return json.dumps(told, indent=2, ensure_ascii=False, allow_nan=False)


def _plain(index: int, verdict: Verdict) -> dict[str, Any]:
    return {
        "image": index,
        "tag": verdict.record.tag,
        "prompt": verdict.record.prompt,
        "right": verdict.right,
        "reasons": list(verdict.reasons),
        "objects": {name: list(boxes) for name, boxes in verdict.objects.items()},
    }


def describe(verdicts: Sequence[Verdict], judge: str) -> str:
    """The shares, who the judge is, then a line for each picture. judge: in words."""
    lines = [f"{KINDS[kind]}: {_share(each)}" for kind, each in shares_of(verdicts).items()]
    mean = overall(verdicts)
    lines.append(f"prompts right, the mean of these kinds: {mean.value:.3f} ({mean.low:.3f} to {mean.high:.3f})")
    lines += [f"Judged by {judge}.", AGREEMENT]
    for index, verdict in enumerate(verdicts):
        prompt = textwrap.shorten(verdict.record.prompt, SHOWN)
        said = "right" if verdict.right else f"WRONG: {'; '.join(verdict.reasons)}"
        lines.append(f"image {index}, {prompt!r}: {said}")
    return "\n".join(lines)


def _share(told: Share) -> str:
    pictures = f"{told.count:,} picture{'' if told.count == 1 else 's'}"
    return f"{told.value:.1%} of {pictures} ({told.low:.1%} to {told.high:.1%})"
