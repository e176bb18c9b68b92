"""Ways of scoring that the literature has a name for. Each fixes the network and what it is fed, counts and metrics;
what differs in any of them is refused under that name, and the message says which part does."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from types import MappingProxyType
from typing import Final

from ..errors import BadInput
from .extractors.base import Source
from .extractors.inception import NAME as INCEPTION
from .features.feature_set import Features
from .scores import Score
from .set_pair import DEFAULTS, NO_PROTOCOL, Settings, len_of

ALL: Final = 10**9
"""Of rows: every sample's own features."""


@dataclass(frozen=True)
class Protocol:
    """One of PROTOCOLS.

    source: where it was published. setup: of the extractor, see `extractors.base.Source`; resize: a key of RESIZES.
    metrics: keys of metric.METRICS, which are taken and no others. settings: that they are taken by.
    samples: how many are generated; 0: any number. reference: how many the reference may have; empty: any number.
    rows: how many of each set keep their own features, all where there are fewer; 0: any number.
    """

    name: str
    source: str
    setup: Mapping[str, str]
    resize: str
    metrics: tuple[str, ...]
    settings: Settings = DEFAULTS
    samples: int = 0
    reference: tuple[int, ...] = ()
    rows: int = 0

    @property
    def identity(self) -> str:
        """SHA-256 of all that it fixes, hex."""
        fixed = {**asdict(replace(self, setup=dict(self.setup)))}
        return hashlib.sha256(json.dumps(fixed, sort_keys=True).encode()).hexdigest()

    def settings_with(self, seed: int) -> Settings:
        """Its settings, with the user's seed of the random subsets, which it leaves free."""
        return replace(self.settings, subsets_seed=seed, protocol=self.name)


def _inception(values: str = "(x - 128) / 128") -> Mapping[str, str]:
    return MappingProxyType({"model": INCEPTION, "layer": "2048", "side": "299", "values": values})


_DINOV2: Final = MappingProxyType({
    "model": "DINOv2",
    "layer": "class token",
    "features": "1024",
    "side": "224",
    "mean": "0.485 0.456 0.406",
    "std": "0.229 0.224 0.225",
})  # fmt: skip
_CLIP: Final = MappingProxyType({
    "model": "CLIP",
    "layer": "projection",
    "features": "768",
    "side": "336",
    "mean": "0.48145466 0.4578275 0.40821073",
    "std": "0.26862954 0.26130258 0.27577711",
})  # fmt: skip
_VGG: Final = MappingProxyType({
    "model": "VGG-16",
    "layer": "fc2",
    "features": "4096",
    "side": "224",
    "mean": "0.485 0.456 0.406",
    "std": "0.229 0.224 0.225",
})  # fmt: skip
_ADM = Settings(nearest_k=3, neighbourhood="closed")


def _table(*protocols: Protocol) -> Mapping[str, Protocol]:
    return MappingProxyType({each.name: each for each in protocols})


PROTOCOLS: Final = _table(
    Protocol("CMMD", "arXiv:2401.09603", _CLIP, "bicubic", ("cmmd",), rows=ALL),
    Protocol("FD-DINOv2", "arXiv:2306.04675", _DINOV2, "Pillow", ("fid",)),
    Protocol("KD-DINOv2", "arXiv:2306.04675", _DINOV2, "Pillow", ("kid",), rows=ALL),
    Protocol(
        "ADM-50k",
        "arXiv:2105.05233",
        _inception(),
        "TF1",
        ("fid", "inception_score", "sfid", "precision", "recall"),
        _ADM,
        samples=50_000,
        rows=50_000,
    ),
    Protocol("clean-fid", "arXiv:2104.11222", _inception(), "clean", ("fid", "kid"), samples=50_000, rows=ALL),
    Protocol(
        "dgm-eval DINOv2 50k",
        "arXiv:2306.04675",
        _DINOV2,
        "Pillow",
        ("fid", "kid", "precision", "recall", "density", "coverage"),
        samples=50_000,
        reference=(50_000,),
        rows=10_000,
    ),
    Protocol("MIND-5k", "arXiv:2605.06797", _inception(), "TF1", ("mind",), samples=5000, reference=(5000,), rows=5000),
    Protocol(
        "COCO-30k zero-shot",
        "arXiv:2102.12092",
        _inception(),
        "TF1",
        ("fid", "inception_score"),
        samples=30_000,
        reference=(30_000, 40_504),
    ),
    Protocol("torch-fidelity PRC", "arXiv:1904.06991", _VGG, "TF1", ("precision", "recall"), _ADM, rows=ALL),
)
"""By their names. 40,504 are the pictures of COCO's validation set of 2014."""
CHOICES: Final = (NO_PROTOCOL, *PROTOCOLS)


def protocol_of(name: str) -> Protocol | None:
    """The one of this name; None for NO_PROTOCOL.

    Raises:
        BadInput: there is no such.
    """
    if name == NO_PROTOCOL:
        return None
    if name not in PROTOCOLS:
        raise BadInput(f"protocol: there is no {name!r}; choose one of {', '.join(CHOICES)}.")
    return PROTOCOLS[name]


def check_plan(protocol: Protocol, source: Source, samples: int, rows: int) -> None:
    """Before anything is drawn: whether so many samples, of which so many rows are kept, will be what it fixes.

    Raises:
        BadInput: something differs; the message names every part.
    """
    _refuse(protocol, [*_setup(protocol, source), *_counts(protocol, "generated", samples, min(rows, samples))])


def check_sets(protocol: Protocol, generated: Features, reference: Features) -> None:
    """
    Raises:
        BadInput: the sets differ from what it fixes; the message names every part.
    """
    found = [
        *_setup(protocol, generated.source),
        *_counts(protocol, "generated", generated.count, len_of(generated.rows)),
        *_counts(protocol, "reference", reference.count, len_of(reference.rows)),
    ]
    _refuse(protocol, found)


def check_scores(protocol: Protocol, scores: tuple[Score, ...]) -> None:
    """
    Raises:
        BadInput: one of its metrics could not be taken.
    """
    taken = {score.metric: score for score in scores if score.value == score.value}
    notes = {score.metric: score.note for score in scores}
    lacking = [metric for metric in protocol.metrics if metric not in taken]
    told = [f"{metric} was not taken ({notes.get(metric) or 'its features were not'})" for metric in lacking]
    _refuse(protocol, told)


def _refuse(protocol: Protocol, differences: list[str]) -> None:
    if differences:
        raise BadInput(
            f"protocol: this is not {protocol.name}: {'; '.join(differences)}. Change that, or choose another protocol."
        )


def _setup(protocol: Protocol, source: Source) -> Iterator[str]:
    for part, wanted in protocol.setup.items():
        found = source.setup.get(part)
        if found is None and part == "model":
            found = source.extractor
        if found != wanted:
            yield f"{part} is {found or 'not told'}, not {wanted}"
    if source.resize != protocol.resize:
        yield f"resize is {source.resize}, not {protocol.resize}"


def _counts(protocol: Protocol, which: str, samples: int, rows: int) -> Iterator[str]:
    wanted = protocol.reference if which == "reference" else (protocol.samples,) if protocol.samples else ()
    if wanted and samples not in wanted:
        told = f"{samples:,}" if samples else "an unknown number of"
        yield f"the {which} set has {told} images, not {' or '.join(f'{count:,}' for count in wanted)}"
    kept = min(protocol.rows, samples)
    if kept and rows != kept:
        yield f"{rows:,} rows of the {which} set were kept, not {kept:,}"
