"""Several runs of one recipe as one row: other seeds of one model, or checkpoints, by their common name."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from statistics import fmean, stdev
from typing import Any, Final, Literal, get_args

from ..scores import Score, Scores
from ..taken_by import key_of

OneRow = Literal["seeds", "equal names", "nothing"]
ONE_ROW: Final[tuple[OneRow, ...]] = get_args(OneRow)


def runs_of(scores: Sequence[Scores], one_row: OneRow) -> list[list[int]]:
    """Places in `scores` of the runs of each recipe, in the order of their first.

    All runs of a recipe have one name, and were taken in the same way. seeds: they were drawn from the same weights by
    the same settings, with seeds that do not overlap. equal names: whatever they were drawn from. nothing: every run is
    by itself.
    """
    found: list[list[int]] = []
    for place, one in enumerate(scores):
        same = (runs for runs in found if all(_is_another(scores[run], one, one_row) for run in runs))
        runs = next(same, None)
        if runs is None:
            found.append([place])
        else:
            runs.append(place)
    return found


def _is_another(one: Scores, other: Scores, one_row: OneRow) -> bool:
    """Whether both are runs of one recipe, and not the same run."""
    alike = one.name == other.name and key_of(one.provenance) == key_of(other.provenance)
    if one_row == "nothing" or not alike:
        return False
    drawn, again = drawn_from(one), drawn_from(other)
    same_model = drawn is not None and drawn == again
    if same_model and _overlap(one.provenance, other.provenance):
        return False
    return same_model or (one_row == "equal names" and one.scores != other.scores)


def drawn_from(scores: Scores) -> str | None:
    """What the samples were drawn from, but for their seeds; None where that is not told."""
    told = scores.provenance
    identity = (told.get("generator") or {}).get("identity")
    if not identity or "seed" not in told:
        return None
    return json.dumps([identity, told.get("settings"), told.get("conditions")], sort_keys=True)


def _overlap(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether two runs share samples: sample i of a run has seed + i."""
    first, second = sorted((told["seed"], told["seed"] + told.get("samples", 1)) for told in (one, other))
    return second[0] < first[1]


def as_one(runs: Sequence[Scores]) -> Scores:
    """One row: means over the runs, with their standard deviations as spread; what a run lacks, the row lacks."""
    first = runs[0]
    return Scores(
        _name(runs),
        tuple(_mean([run.score(score.metric) for run in runs]) for score in first.scores if _have(runs, score.metric)),
        {key: fmean(run.cost[key] for run in runs) for key in first.cost if all(key in run.cost for run in runs)},
        first.provenance,
        pictures=first.pictures,
    )


def _name(runs: Sequence[Scores]) -> str:
    models = {drawn_from(run) for run in runs}
    what = "seeds" if len(models) == 1 and None not in models else "runs"
    return f"{runs[0].name} ({len(runs)} {what})"


def _have(runs: Sequence[Scores], metric: str) -> bool:
    return all(any(score.metric == metric for score in run.scores) for run in runs)


def _mean(scores: Sequence[Score]) -> Score:
    values = [score.value for score in scores]
    if not all(map(math.isfinite, values)):
        note = next((score.note for score in scores if not math.isfinite(score.value)), "")
        return Score(scores[0].metric, math.nan, note=note)
    warned = dict.fromkeys(part for score in scores for part in score.note.split("; ") if part.startswith("warning: "))
    note = "; ".join([f"mean of {len(values)} runs, and their standard deviation", *warned])
    return Score(scores[0].metric, fmean(values), stdev(values), note=note)
