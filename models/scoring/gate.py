"""A threshold that a score must meet."""

from __future__ import annotations

import math
from typing import Final, Literal, get_args

from ..errors import BadInput, ScoreMissed
from .metric import METRICS
from .scores import Scores

Comparison = Literal["at least", "at most"]
COMPARISONS: Final = get_args(Comparison)


def check(value: float, what: str, name: str, comparison: Comparison, threshold: float, note: str = "") -> str:
    """A line that says that the value meets the threshold.

    what: as messages call the value. name: of the gate. note: why the value is NaN, where that is known.

    Raises:
        ScoreMissed: it does not, or it is NaN.
        BadInput: the threshold is NaN, which every value would meet.
    """
    if math.isnan(threshold):
        raise BadInput("threshold: it is NaN, so nothing can meet or miss it; connect a number.")
    limit = f"{comparison} {threshold:g}"
    if math.isnan(value):
        reason = f" ({note})" if note else ""
        raise ScoreMissed(f"{name}: {what} has no value{reason}, but must be {limit}.")
    if value < threshold if comparison == "at least" else value > threshold:
        raise ScoreMissed(f"{name}: {what} is {value:.6g}, but must be {limit}.")
    return f"{name}: {what} is {value:.6g}, {limit}: passed"


def check_scores(scores: Scores, metric: str, name: str, comparison: Comparison, threshold: float) -> str:
    """The same for one metric, or one cost, of some scores.

    Raises:
        ScoreMissed: there is none of this name, or it is NaN, or it misses the threshold.
    """
    what = f"{metric} of {scores.name}"
    if metric in scores.cost:
        return check(scores.cost[metric], what, name, comparison, threshold)
    if metric in METRICS and METRICS[metric].of_cost:
        return check(METRICS[metric].read(scores).value, what, name, comparison, threshold)
    try:
        score = scores.score(metric)
    except BadInput as error:
        raise ScoreMissed(f"{name}: {error} It must be {comparison} {threshold:g}.") from error
    return check(score.value, what, name, comparison, threshold, score.note)
