"""What the nodes that give a set of features share: its name, and the set together with its summary."""

from __future__ import annotations

from typing import Any, Final

from ...models.scoring.features.feature_set import Features, summary
from . import inputs
from .showing import show_text

NAME: Final = inputs.text("", "Of the set, as tables show it. Empty: a name of its own.")
INFO_TOOLTIP: Final = "How many images, by which network and resize they were taken, and what is kept of them."


def show_features(features: Features) -> dict[str, Any]:
    """The outputs `features` and `info`; the info on the node too."""
    info = summary(features)
    return show_text(info, features, info)
