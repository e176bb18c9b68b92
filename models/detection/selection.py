"""From raw detections to boxes: thresholds, names, non-maximum suppression; and why nothing was left.

Names. A phrase's score for a query is the highest probability of the phrase's tokens. The query is named after the
phrase whose own words are likeliest: words that other phrases of the prompt contain too decide only where a phrase
has no others, so that in `a red car . a blue car` red and blue decide, not car. The score of a query is its phrase's.

Against transformers' `post_process_grounded_object_detection`: boxes and scores are the same for prompts without
shared words, as long as no full stop or start token outscores all words (there it counts them). Its label is whatever
tokens exceed the text threshold, strung together, or nothing; ours is always one whole phrase of the prompt.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from itertools import pairwise
from typing import Final, Literal, NamedTuple, get_args

import torch

from .. import closed_vocabulary
from ..errors import BadInput
from ..pictures.boxes import Box, suppress
from ..pictures.labels import bare
from ..values import Detections
from .passes import suppress_across
from .prompt import SEPARATORS

SortBy = Literal["score", "area", "left to right"]
INSTEAD: Final = (
    "Boxes of such phrases mean nothing, and photographs are beyond it at any threshold; for both load a published "
    "Grounding DINO in Load Detector."
)
SORT_BY: Final = get_args(SortBy)


class Selection(NamedTuple):
    """boxes: one list per image, pixels, best first as sorted. report: what was kept of each image, or why nothing.
    numbers: of the boxes, see dropping. dropped: of each image the boxes that would be there but for `dropped`."""

    boxes: list[list[Box]]
    report: str
    numbers: list[list[int]]
    dropped: list[list[tuple[int, Box]]]


class Named(NamedTuple):
    """The queries of one image under their names.

    corners: float32 [Q, 4], left, top, right, bottom in pixels, inside the image.
    phrase_scores: float64 [Q, P], so that a threshold of two decimals compares exactly.
    score: float64 [Q], of the phrase that names the query.
    certainty: float64 [Q], the highest probability of that phrase's own words.
    name: int64 [Q], index of the phrase.
    area: float32 [Q], as a fraction of the image.
    found_in: int64 [Q], the pass.
    """

    corners: torch.Tensor
    phrase_scores: torch.Tensor
    score: torch.Tensor
    certainty: torch.Tensor
    name: torch.Tensor
    area: torch.Tensor
    found_in: torch.Tensor


class Bounds(NamedTuple):
    """What boxes of each phrase must exceed, float64 [P]; and the text threshold of phrases without their own."""

    score: torch.Tensor
    certainty: torch.Tensor
    text_threshold: float


def select(
    detections: Detections,
    *,
    box_threshold: float = 0.35,
    text_threshold: float = 0.25,
    nms_threshold: float = 0.6,
    top_k: int = 0,
    sort_by: SortBy = "score",
    labels: str = "",
    min_area: float = 0.0,
    max_area: float = 1.0,
    dropped: Collection[int] = (),
) -> Selection:
    """Keep the queries whose score exceeds `box_threshold` and whose name is surer than `text_threshold`.

    A phrase with a threshold of its own has that one instead of `box_threshold`, and of `text_threshold` where it is
    lower; of a phrase with a limit, the best of an image are kept.
    nms_threshold: of boxes of one phrase that overlap by more than this IoU, the best stays; 1 keeps all. So it is
        for boxes of different passes, whatever their phrases.
    top_k: at most so many boxes per image, the best; 0 keeps all.
    sort_by: best first, largest first, or by the left edge.
    labels: phrases to keep, separated as in a prompt, with or without article; empty keeps all.
    min_area, max_area: of the box inside the image, as fractions of the image.
    dropped: numbers of boxes to leave out. What they overlapped stays away; the next best takes their place in a limit.

    Raises:
        BadInput: a label that the prompt did not ask for.
    """
    wanted = _wanted(labels, detections.phrases)
    # Lower thresholds would keep boxes of what a detector does not know, which mean nothing.
    strangers = closed_vocabulary.unknown(detections.phrases, detections.names)
    known = torch.tensor([phrase not in strangers for phrase in detections.phrases])
    bounds = _bounds(detections, box_threshold, text_threshold)
    boxes, lines, numbers, without = [], [], [], []
    queries = detections.boxes.shape[1]
    for frame in range(len(detections.boxes)):
        named = name_queries(detections, frame)
        allowed = wanted[named.name] & (named.area > 0) & (named.area >= min_area) & (named.area <= max_area)
        above = (named.score > bounds.score[named.name]) & (named.certainty > bounds.certainty[named.name])
        found = (allowed & above).nonzero().flatten()
        distinct = _best(named, found, nms_threshold)
        by_hand = torch.tensor([int(i) + frame * queries in dropped for i in distinct], dtype=torch.bool)
        left = distinct[~by_hand]
        kept = _limited(named, left, detections.limits)
        chosen = _sorted(named, kept[:top_k] if top_k else kept, sort_by)
        boxes.append([_box(named, int(i), detections.phrases) for i in chosen])
        numbers.append([int(i) + frame * queries for i in chosen])
        gone = distinct[by_hand].tolist()
        without.append([(i + frame * queries, _box(named, i, detections.phrases)) for i in gone])
        counts = (len(found), len(distinct), len(left), len(kept), len(chosen))
        if boxes[-1]:
            names = ", ".join(f"{box['label']} {box['score']:.2f}" for box in boxes[-1])
            lines.append(f"image {frame}: {names}" + _left_out(counts))
        else:
            lines.append(f"image {frame}: nothing kept" + _left_out(counts))
        missing = wanted & known & ~torch.isin(torch.arange(len(wanted)), named.name[chosen])
        lines += [
            _why(detections, named, int(index), allowed, bounds, (found, distinct, left))
            for index in missing.nonzero().flatten()
        ]
    total = sum(map(len, boxes))
    head = f"{total} box{'es' * (total != 1)} in {len(boxes)} image{'s' * (len(boxes) != 1)}"
    remark = closed_vocabulary.remark(strangers, detections.names, "this starter detector", INSTEAD)
    report = "\n".join([head, *lines, *([remark] if remark else [])])
    return Selection(boxes, report, numbers, without)


def name_queries(detections: Detections, frame: int) -> Named:
    """Names, scores and pixel boxes of all queries of one image, before any threshold."""
    probabilities = detections.token_probs[frame].double()
    scores = torch.stack([probabilities[:, spelled].amax(dim=1) for spelled in detections.phrase_tokens], dim=1)
    own = own_tokens(detections)
    certainties = torch.stack([probabilities[:, spelled].amax(dim=1) for spelled in own], dim=1)
    certainty, name = certainties.max(dim=1)
    score = scores.gather(1, name[:, None])[:, 0]
    scale = torch.tensor([detections.width, detections.height] * 2, dtype=torch.float32)
    centre, size = detections.boxes[frame].split(2, dim=1)
    corners = torch.cat([centre - size / 2, centre + size / 2], dim=1).clamp(0, 1)
    area = (corners[:, 2:] - corners[:, :2]).prod(dim=1)
    found_in = torch.arange(len(name)) // max(1, len(name) // detections.passes)
    return Named(corners * scale, scores, score, certainty, name, area, found_in)


def own_tokens(detections: Detections) -> torch.Tensor:
    """bool [P, T]: of each phrase the tokens that no other phrase has, or all of them where that leaves none."""
    words = [{detections.tokens[t] for t in spelled.nonzero().flatten()} for spelled in detections.phrase_tokens]
    rows = []
    for index, spelled in enumerate(detections.phrase_tokens):
        others = set().union(*words[:index], *words[index + 1 :])
        own = spelled & torch.tensor([token not in others for token in detections.tokens])
        rows.append(own if bool(own.any()) else spelled)
    return torch.stack(rows)


def _wanted(labels: str, phrases: tuple[str, ...]) -> torch.Tensor:
    asked = {bare(label) for label in SEPARATORS.split(labels)} - {""}
    known = [bare(phrase) for phrase in phrases]
    strange = sorted(asked - set(known))
    if strange:
        raise BadInput(f"labels: {strange[0]!r} is no phrase of the prompt; choose among {', '.join(phrases)}.")
    return torch.tensor([not asked or phrase in asked for phrase in known])


def thresholds_of(detections: Detections, box_threshold: float) -> list[float]:
    """Of each phrase, what scores must exceed."""
    own = detections.thresholds or (None,) * len(detections.phrases)
    return [box_threshold if each is None else each for each in own]


def _bounds(detections: Detections, box_threshold: float, text_threshold: float) -> Bounds:
    own = detections.thresholds or (None,) * len(detections.phrases)
    scores = thresholds_of(detections, box_threshold)
    certainties = [text_threshold if each is None else min(text_threshold, each) for each in own]
    score, certainty = (torch.tensor(each, dtype=torch.float64) for each in (scores, certainties))
    return Bounds(score, certainty, text_threshold)


def _best(named: Named, found: torch.Tensor, nms_threshold: float) -> torch.Tensor:
    """Those of the queries `found` that survive suppression within phrases and between passes, best score first."""
    survivors = []
    for name in named.name[found].unique():
        group = found[named.name[found] == name]
        survivors.append(group[suppress(named.corners[group], named.score[group], nms_threshold)])
    kept = torch.cat([found[:0], *survivors]).sort().values
    kept = kept[named.score[kept].argsort(descending=True, stable=True)]
    return kept[suppress_across(named.corners[kept], named.found_in[kept], nms_threshold)]


def _limited(named: Named, kept: torch.Tensor, limits: tuple[int, ...]) -> torch.Tensor:
    """Of each phrase with a limit the first so many."""
    left = {index: limit for index, limit in enumerate(limits) if limit}
    chosen = []
    for query in kept.tolist():
        name = int(named.name[query])
        if left.get(name, 1) > 0:
            chosen.append(query)
        if name in left:
            left[name] -= 1
    return torch.tensor(chosen, dtype=torch.long)


def _sorted(named: Named, kept: torch.Tensor, sort_by: SortBy) -> torch.Tensor:
    if sort_by == "area":
        return kept[named.area[kept].argsort(descending=True, stable=True)]
    if sort_by == "left to right":
        return kept[named.corners[kept, 0].argsort(stable=True)]
    return kept


def _box(named: Named, index: int, phrases: tuple[str, ...]) -> Box:
    left, top, right, bottom = named.corners[index].tolist()
    return {
        "x": left,
        "y": top,
        "width": right - left,
        "height": bottom - top,
        "label": phrases[int(named.name[index])],
        "score": float(named.score[index]),
    }


def _left_out(counts: Sequence[int]) -> str:
    """counts: of boxes above the thresholds, and those that each further rule leaves of them."""
    rules = ("overlapping", "dropped by hand", "beyond the limit of their phrase", "beyond top_k")
    parts = [f"{a - b} {rule}" for (a, b), rule in zip(pairwise(counts), rules, strict=True) if a > b]
    return f" (left out: {', '.join(parts)})" if parts else ""


def _why(
    detections: Detections,
    named: Named,
    index: int,
    allowed: torch.Tensor,
    bounds: Bounds,
    left_out: tuple[torch.Tensor, torch.Tensor, torch.Tensor],
) -> str:
    """What was found of a phrase of which nothing is kept: its best box, and the settings that would keep it.

    left_out: the queries above the thresholds, those of them that overlap no better one, and of those what is left.
    """
    phrase = detections.phrases[index]
    of_phrase = (named.name == index) & (named.area > 0)
    reasons = ("beyond top_k", "dropped by hand", "it overlaps a better box")
    for queries, reason in zip(left_out[::-1], reasons, strict=True):
        scores = named.score[queries[named.name[queries] == index]]
        if len(scores):
            return f"  {phrase}: best score {float(scores.max()):.3f}, left out: {reason}"
    candidates = (of_phrase & allowed).nonzero().flatten()
    if len(candidates):
        best = candidates[named.score[candidates].argmax()]
        score, certainty = float(named.score[best]), float(named.certainty[best])
        own = detections.thresholds[index] if detections.thresholds else None
        if own is not None:
            remedy = below(score if certainty > bounds.text_threshold else certainty)
            return f"  {phrase}: best score {score:.3f}; {phrase}@{remedy:.2f} would keep it"
        remedies = [f"box_threshold {below(score):.2f}"] if score <= bounds.score[index] else []
        remedies += [f"text_threshold {below(certainty):.2f}"] if certainty <= bounds.certainty[index] else []
        return f"  {phrase}: best score {score:.3f}; {' and '.join(remedies)} would keep it"
    if bool(of_phrase.any()):
        best = of_phrase.nonzero().flatten()[named.score[of_phrase].argmax()]
        score, area = float(named.score[best]), float(named.area[best])
        return f"  {phrase}: best score {score:.3f}, but it covers {area:.4f} of the image; move min_area or max_area"
    best = named.phrase_scores[:, index].argmax()
    score, winner = float(named.phrase_scores[best, index]), detections.phrases[int(named.name[best])]
    return f"  {phrase}: best score {score:.3f}, on a box that fits {winner!r} better; ask for it alone"


def below(score: float) -> float:
    """The largest threshold of two decimals that a score exceeds; 0 where there is none."""
    floor = math.floor(score * 100) / 100
    return floor if floor < score else max(0.0, round(floor - 0.01, 2))
