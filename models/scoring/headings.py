"""How scores were taken, in words: the heading above rows that compare."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from .metrics.edits import DEFAULT_IOU, DEFAULT_THRESHOLD
from .set_pair import DEFAULTS
from .taken_by import TakenBy, taken_by
from .verification.verdicts import Limits

UNTOLD: Final = "nothing is told of how it was taken"
SHOWN: Final = 8
"""Digits of an identity."""


def headings(provenances: Sequence[Mapping[str, Any]]) -> list[str]:
    """One for each way of taking scores, by the provenance of one of its rows; no two are alike."""
    texts = [heading(provenance) for provenance in provenances]
    alike = Counter(texts)
    return [
        f"{text}, taken in way {_mark(taken_by(provenance))}" if alike[text] > 1 else text
        for text, provenance in zip(texts, provenances, strict=True)
    ]


def heading(provenance: Mapping[str, Any]) -> str:
    """What a reader should know of how scores were taken; what is as usual is left out."""
    taken = taken_by(provenance)
    words = _KINDS.get(taken.get("of", ""), _sets)
    return ", ".join(words(taken, provenance)) or UNTOLD


def _sets(taken: TakenBy, provenance: Mapping[str, Any]) -> Iterator[str]:
    """Of features, and of older reports."""
    reference = (provenance.get("reference") or {}).get("name")
    samples, rows = taken.get("samples", 0), taken.get("rows", 0)
    if taken.get("protocol"):
        yield f"protocol {taken['protocol']}"
    if taken.get("extractor"):
        yield taken["extractor"]
    if taken.get("resize"):
        yield f"resize {taken['resize']}"
    if reference:
        yield f"against {reference}"
    if samples:
        yield f"{samples:,} samples"
    if rows not in (0, samples):
        yield f"of which {rows:,} for KID, precision and recall"
    if taken.get("nearest_k") not in (None, DEFAULTS.nearest_k):
        yield f"k = {taken['nearest_k']}"
    if taken.get("neighbourhood") not in (None, DEFAULTS.neighbourhood):
        yield f"{taken['neighbourhood']} neighbourhoods"
    # As asked for: what is left of it with few rows follows from their number.
    asked = (provenance.get("subsets") or {}).get("kid_subset_size")
    if asked not in (None, DEFAULTS.kid_subset_size):
        yield f"KID subsets of {asked:,}"
    if taken.get("kid_kernel"):
        yield f"KID by the {taken['kid_kernel']} kernel"
    if taken.get("held_out_identity"):
        yield f"held-out images {taken['held_out_identity'][:SHOWN]}"
    if taken.get("kid_subsets") not in (None, DEFAULTS.kid_subsets):
        yield f"{taken['kid_subsets']:,} KID subsets"
    for name in ("subsets_seed", "rows_seed"):
        if taken.get(name):
            yield f"{name.replace('_', ' ')} {taken[name]}"
    if len(taken.get("taps", ())) > 1:
        yield f"taps {' '.join(taken['taps'])}"
    for name in ("images", "size", "lpips", "clip", "clip_vision", "new_object", "old_object"):
        if taken.get(name):
            yield f"{name.replace('_', ' ')} {_listed(taken[name])}"


def _pairs(taken: TakenBy, provenance: Mapping[str, Any]) -> Iterator[str]:
    yield f"against {_sized(taken)} px"
    if taken["lpips_identity"]:
        yield f"LPIPS of {taken['lpips']} {taken['lpips_identity'][:SHOWN]}"


def _sharpness(taken: TakenBy, provenance: Mapping[str, Any]) -> Iterator[str]:
    yield f"sharpness of {_sized(taken)} px against {taken['reference_identity'][:SHOWN]}"


def _triangles(taken: TakenBy, provenance: Mapping[str, Any]) -> Iterator[str]:
    yield f"known truth of {_sized(taken)} px, triangles within {taken['delta']:g}"


def _prompts(taken: TakenBy, provenance: Mapping[str, Any]) -> Iterator[str]:
    for half in ("clip", "clip_vision"):
        files = _listed(provenance.get(half) or ())
        yield f"{half.replace('_', ' ')} {files or taken[f'{half}_identity'][:SHOWN]}"
    yield f"{taken['images']:,} images"


def _verified(taken: TakenBy, provenance: Mapping[str, Any]) -> Iterator[str]:
    name = provenance.get("prompts") or taken["records_identity"][:SHOWN]
    yield f"{taken['images']:,} images of the prompts {name}"
    yield f"judged by {taken['detector']} {taken['detector_identity'][:SHOWN]}"
    yield f"colours by {'CLIP' if taken['clip_identities'] else 'pixels'}"
    if taken["segmenter_identity"]:
        yield f"masks by {taken['segmenter_identity'][:SHOWN]}"
    usual = Limits()._asdict()
    for key, words in _LIMITS.items():
        if taken[key] != usual[key]:
            yield f"{words} {taken[key]:g}"
    if taken["also_asked"]:
        yield f"{len(taken['also_asked'])} more phrases asked for"


def _edits(taken: TakenBy, provenance: Mapping[str, Any]) -> Iterator[str]:
    yield f"edits of {_sized(taken)} px"
    if "detector" not in taken:
        return
    yield f"judged by {taken['detector']} {taken['detector_identity'][:SHOWN]}"
    for name in ("new_object", "old_object"):
        if taken[name]:
            yield f"{name.replace('_', ' ')} {' or '.join(taken[name])}"
    if taken["box_threshold"] != DEFAULT_THRESHOLD:
        yield f"boxes above {taken['box_threshold']:g}"
    if taken["min_iou"] != DEFAULT_IOU:
        yield f"IoU from {taken['min_iou']:g}"


def _sized(taken: TakenBy) -> str:
    return f"{taken['images']:,} images of {taken['width']} x {taken['height']}"


def _listed(value: Any) -> str:
    return " ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)


def _mark(taken: TakenBy) -> str:
    return hashlib.sha256(json.dumps(taken, sort_keys=True).encode()).hexdigest()[:SHOWN]


_LIMITS: Final = {
    "threshold": "boxes above",
    "counting_threshold": "counted above",
    "nms": "NMS",
    "margin": "margin of positions",
    "most": "objects of a class at most",
}
_KINDS: Final = {
    "pairs": _pairs,
    "prompts": _prompts,
    "verified prompts": _verified,
    "edits": _edits,
    "sharpness": _sharpness,
    "triangles": _triangles,
}
