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
from typing import Final, Literal, NamedTuple, get_args

import torch

from .. import closed_vocabulary
from ..errors import BadInput
from ..pictures.boxes import Box, suppress
from ..pictures.labels import bare
from ..values import Detections
from .prompt import SEPARATORS

SortBy = Literal["score", "area", "left to right"]
INSTEAD: Final = (
    "Boxes of such phrases mean nothing, and photographs are beyond it at any threshold; for both load a published "
    "Grounding DINO in Load Detector."
)
SORT_BY: Final = get_args(SortBy)


class Selection(NamedTuple):
    """boxes: one list per image, pixels, best first as sorted. report: what was kept of each image, or why nothing."""

    boxes: list[list[Box]]
    report: str


class Named(NamedTuple):
    """The queries of one image under their names.

    corners: float32 [Q, 4], left, top, right, bottom in pixels, inside the image.
    phrase_scores: float64 [Q, P], so that a threshold of two decimals compares exactly.
    score: float64 [Q], of the phrase that names the query.
    certainty: float64 [Q], the highest probability of that phrase's own words.
    name: int64 [Q], index of the phrase.
    area: float32 [Q], as a fraction of the image.
    """

    corners: torch.Tensor
    phrase_scores: torch.Tensor
    score: torch.Tensor
    certainty: torch.Tensor
    name: torch.Tensor
    area: torch.Tensor


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
) -> Selection:
    """Keep the queries whose score exceeds `box_threshold` and whose name is surer than `text_threshold`.

    nms_threshold: of boxes of one phrase that overlap by more than this IoU, the best stays; 1 keeps all.
    top_k: at most so many boxes per image, the best; 0 keeps all.
    sort_by: best first, largest first, or by the left edge.
    labels: phrases to keep, separated as in a prompt, with or without article; empty keeps all.
    min_area, max_area: of the box inside the image, as fractions of the image.

    Raises:
        BadInput: a label that the prompt did not ask for.
    """
    wanted = _wanted(labels, detections.phrases)
    # Lower thresholds would keep boxes of what a detector does not know, which mean nothing.
    strangers = closed_vocabulary.unknown(detections.phrases, detections.names)
    known = torch.tensor([phrase not in strangers for phrase in detections.phrases])
    boxes, lines = [], []
    for frame in range(len(detections.boxes)):
        named = name_queries(detections, frame)
        allowed = wanted[named.name] & (named.area > 0) & (named.area >= min_area) & (named.area <= max_area)
        above = (named.score > box_threshold) & (named.certainty > text_threshold)
        found = (allowed & above).nonzero().flatten()
        kept = _best(named, found, nms_threshold)
        chosen = _sorted(named, kept[:top_k] if top_k else kept, sort_by)
        boxes.append([_box(named, int(i), detections.phrases) for i in chosen])
        if boxes[-1]:
            names = ", ".join(f"{box['label']} {box['score']:.2f}" for box in boxes[-1])
            lines.append(f"image {frame}: {names}" + _dropped(len(found), len(kept), len(chosen)))
        else:
            lines.append(f"image {frame}: nothing kept")
            lines += _why(detections, named, wanted & known, allowed, box_threshold, text_threshold)
    total = sum(map(len, boxes))
    head = f"{total} box{'es' * (total != 1)} in {len(boxes)} image{'s' * (len(boxes) != 1)}"
    remark = closed_vocabulary.remark(strangers, detections.names, "this starter detector", INSTEAD)
    return Selection(boxes, "\n".join([head, *lines, *([remark] if remark else [])]))


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
    return Named(corners * scale, scores, score, certainty, name, area)


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


def _best(named: Named, found: torch.Tensor, nms_threshold: float) -> torch.Tensor:
    """Those of the queries `found` that survive suppression within their phrase, best score first."""
    survivors = []
    for name in named.name[found].unique():
        group = found[named.name[found] == name]
        survivors.append(group[suppress(named.corners[group], named.score[group], nms_threshold)])
    kept = torch.cat([found[:0], *survivors]).sort().values
    return kept[named.score[kept].argsort(descending=True, stable=True)]


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


def _dropped(found: int, kept: int, chosen: int) -> str:
    parts = [f"{found - kept} overlapping"] if found > kept else []
    parts += [f"{kept - chosen} beyond top_k"] if kept > chosen else []
    return f" (left out: {', '.join(parts)})" if parts else ""


def _why(
    detections: Detections,
    named: Named,
    wanted: torch.Tensor,
    allowed: torch.Tensor,
    box_threshold: float,
    text_threshold: float,
) -> list[str]:
    """One line per wanted phrase: its best box, and the settings that would keep it."""
    lines = []
    for index, phrase in enumerate(detections.phrases):
        if not bool(wanted[index]):
            continue
        of_phrase = (named.name == index) & (named.area > 0)
        candidates = (of_phrase & allowed).nonzero().flatten()
        if len(candidates):
            best = candidates[named.score[candidates].argmax()]
            score, certainty = float(named.score[best]), float(named.certainty[best])
            remedies = [f"box_threshold {below(score):.2f}"] if score <= box_threshold else []
            remedies += [f"text_threshold {below(certainty):.2f}"] if certainty <= text_threshold else []
            lines.append(f"  {phrase}: best score {score:.3f}; {' and '.join(remedies)} would keep it")
        elif bool(of_phrase.any()):
            best = of_phrase.nonzero().flatten()[named.score[of_phrase].argmax()]
            score, area = float(named.score[best]), float(named.area[best])
            lines.append(
                f"  {phrase}: best score {score:.3f}, but it covers {area:.4f} of the image; move min_area or max_area"
            )
        else:
            best = named.phrase_scores[:, index].argmax()
            score, winner = float(named.phrase_scores[best, index]), detections.phrases[int(named.name[best])]
            lines.append(f"  {phrase}: best score {score:.3f}, on a box that fits {winner!r} better; ask for it alone")
    return lines


def below(score: float) -> float:
    """The largest threshold of two decimals that a score exceeds; 0 where there is none."""
    floor = math.floor(score * 100) / 100
    return floor if floor < score else max(0.0, round(floor - 0.01, 2))
