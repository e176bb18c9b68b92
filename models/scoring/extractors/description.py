"""A feature extractor in words, for a user to read."""

from __future__ import annotations

from ..metric import METRICS
from .base import Extractor


def describe(extractor: Extractor) -> str:
    """Lines of text: which network, how pictures reach it, and what it gives."""
    parameters = sum(weight.numel() for module in extractor.modules for weight in module.parameters())
    spatial, compound = (METRICS[key].name_by(extractor.name) for key in ("sfid", "compound_fid"))
    lines = [
        extractor.name,
        f"resize: {extractor.resize}",
        *([f"parameters: {parameters:,}"] if parameters else []),
        f"features: {extractor.taps[extractor.main]} ({extractor.main})",
        f"classes: {extractor.classes or 'none, so it gives no Inception score'}",
        f"{spatial}: {_tap(extractor, extractor.spatial)}",
        f"{compound}: {', '.join(_tap(extractor, name) for name in extractor.depths) or 'none'}",
        f"identity: {extractor.identity[:16]}",
    ]
    return "\n".join(lines)


def _tap(extractor: Extractor, name: str | None) -> str:
    return f"{extractor.taps[name]} ({name})" if name else "none"
