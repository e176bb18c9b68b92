"""How scores were taken: everything that decides which rows compare, as one flat value that reports carry.

Models stand in it by their identities, and so do the pictures that others are held against; what is judged does not.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import torch

from ..pictures.dust import MASK_THRESHOLD
from ..pictures.images import match_masks
from ..pictures.triangles import MODES
from .features.digest import digest_of
from .metrics import edits, pairs
from .metrics.lpips import Lpips
from .protocols import PROTOCOLS
from .set_pair import DEFAULTS, NO_PROTOCOL, SetPair, len_of
from .verification.records import Record, write
from .verification.verdicts import Limits

if TYPE_CHECKING:
    from ..detection.base import Detector
    from ..segmentation.base import Segmenter

TakenBy = Mapping[str, Any]
"""Texts, numbers and lists of texts by names, as JSON knows them."""

KEY: Final = "taken_by"
"""Where a score's provenance holds it."""


OLDER: Final = (
    "samples", "rows", "rows_seed", "images", "size", "lpips", "clip", "clip_vision", "new_object", "old_object",
)  # fmt: skip
"""Entries that told of it in reports before there was such an entry."""


def of_sets(pair: SetPair) -> TakenBy:
    """Of scores of two sets of features."""
    source, settings, rows = pair.generated.source, pair.settings, pair.generated.rows
    return {
        "of": "features",
        "extractor": source.extractor,
        "identity": source.identity,
        "resize": source.resize,
        "taps": [tap.name for tap, _ in pair.taps],
        "reference_identity": digest_of(pair.reference),
        "readers": pair.readers,
        "samples": pair.generated.count,
        "rows": len_of(rows),
        "rows_seed": rows.seed if rows else None,
        "splits": len(pair.generated.classes.counts) if pair.generated.classes else None,
        "kid_subsets": settings.kid_subsets,
        "kid_subset_size": pair.kid_subset_size,
        "nearest_k": settings.nearest_k,
        "neighbourhood": settings.neighbourhood,
        "subsets_seed": settings.subsets_seed,
        # Since 0.3: what was as it always had been is not told, so that earlier reports compare.
        **({} if settings.kid_kernel == DEFAULTS.kid_kernel else {"kid_kernel": settings.kid_kernel}),
        **_named(settings.protocol),
        **({"held_out_identity": digest_of(pair.held_out)} if pair.held_out else {}),
    }


def _named(protocol: str) -> TakenBy:
    return {} if protocol == NO_PROTOCOL else {"protocol": protocol, "protocol_identity": PROTOCOLS[protocol].identity}


def of_pairs(compared: pairs.Pairs, net: str, lpips: Lpips | None) -> TakenBy:
    """Of scores of images against references. net: of LPIPS, as the user chose it."""
    return {
        "of": "pairs",
        "reference_identity": identity_of(compared.reference),
        **_size(compared.image),
        "data_range": pairs.DATA_RANGE,
        "lpips": net,
        "lpips_identity": lpips.identity if lpips else None,
    }


def of_sharpness(images: torch.Tensor, reference: torch.Tensor) -> TakenBy:
    """Of the sharpness of images beside a reference set."""
    return {"of": "sharpness", "reference_identity": identity_of(reference[..., :3]), **_size(images)}


def of_triangles(images: torch.Tensor, delta: float) -> TakenBy:
    """Of the truth about pictures that ought to be triangles; the nearest triangles follow from the size."""
    return {"of": "triangles", "delta": delta, "modes": MODES, **_size(images)}


def of_prompts(prompts: Sequence[str], clip: str, clip_vision: str) -> TakenBy:
    """Of scores of images by their prompts, one each. clip, clip_vision: identities of the two halves of the CLIP."""
    return {
        "of": "prompts",
        "clip_identity": clip,
        "clip_vision_identity": clip_vision,
        "prompts_identity": hashlib.sha256(json.dumps(list(prompts)).encode()).hexdigest(),
        "images": len(prompts),
    }


def of_edits(
    judged: pairs.Pairs,
    mask: torch.Tensor,
    question: edits.Question | None,
    detector: Detector | None,
    box_threshold: float,
    min_iou: float,
    mask_threshold: float = MASK_THRESHOLD,
) -> TakenBy:
    """Of scores of edits; the arguments are those of `edits.judge`, and who answered the question."""
    looked: TakenBy = {}
    if question is not None and detector is not None:
        looked = {
            "detector": detector.architecture,
            "detector_identity": detector.identity,
            "new_object": list(question.new),
            "old_object": list(question.old),
            "box_threshold": box_threshold,
            "min_iou": min_iou,
            "nms_threshold": edits.NMS,
            "hole_from": edits.HALF,
        }
    count, height, width = judged.image.shape[:3]
    return {
        "of": "edits",
        "original_identity": identity_of(judged.reference),
        "mask_identity": identity_of(match_masks(mask, count, height, width)),
        "mask_threshold": mask_threshold,
        **_size(judged.image),
        **looked,
    }


def of_verified_prompts(
    records: Sequence[Record],
    detector: Detector,
    segmenter: Segmenter | None,
    clip: Sequence[str],
    limits: Limits,
    also: Sequence[str],
) -> TakenBy:
    """Of scores of pictures whose prompts a detector has verified, one record each.

    clip: identities of the two halves of the CLIP that named colours; none where pixels did. segmenter: who made the
    masks of objects whose colours count; None where boxes stood for them, or no record asks for a colour.
    """
    return {
        "of": "verified prompts",
        "records_identity": hashlib.sha256(write(records).encode()).hexdigest(),
        "images": len(records),
        "detector": detector.architecture,
        "detector_identity": detector.identity,
        "segmenter_identity": segmenter.identity if segmenter else None,
        "clip_identities": list(clip),
        **limits._asdict(),
        "also_asked": list(also),
    }


def identity_of(pictures: torch.Tensor) -> str:
    """SHA-256 of a batch of pictures or masks [N, ...], hex: of its shape and of every value as float32."""
    digest = hashlib.sha256(f"{list(pictures.shape)}".encode())
    for picture in pictures:
        digest.update(picture.detach().to("cpu", torch.float32).contiguous().numpy().tobytes())
    return digest.hexdigest()


def _size(images: torch.Tensor) -> TakenBy:
    count, height, width = images.shape[:3]
    return {"images": count, "width": width, "height": height}


def taken_by(provenance: Mapping[str, Any]) -> TakenBy:
    """What a score's provenance says of how it was taken; of a report before there was such an entry, what it tells
    elsewhere, which is never equal to a newer one."""
    if KEY in provenance:
        return provenance[KEY]
    extractor, reference, subsets = (provenance.get(key) or {} for key in ("extractor", "reference", "subsets"))
    told = {
        "extractor": extractor.get("name"),
        "identity": extractor.get("identity"),
        "resize": extractor.get("resize"),
        "reference": reference.get("name"),
        "reference_identity": reference.get("identity"),
        **{name: provenance.get(name) for name in OLDER},
        **subsets,
    }
    return {name: value for name, value in told.items() if value is not None}


def key_of(provenance: Mapping[str, Any]) -> str:
    """Equal for two scores that were taken in the same way, and for no others."""
    return json.dumps(taken_by(provenance), sort_keys=True)
