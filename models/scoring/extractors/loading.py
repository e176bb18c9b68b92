"""The one door for scoring networks: `EXTRACTORS.load(path)` gives an extractor, whose resize is bound afterwards."""

from __future__ import annotations

from typing import Final

from ...families import Family, Registry
from .base import Extractor


def _families() -> tuple[Family[Extractor], ...]:
    from .classifier import CLASSIFIER
    from .dinov2 import DINOV2
    from .efficientnet_lite import EFFICIENTNET_LITE
    from .inception import INCEPTION
    from .lenet import LENET
    from .vgg import VGG_16

    return INCEPTION, CLASSIFIER, EFFICIENTNET_LITE, DINOV2, LENET, VGG_16


EXTRACTORS: Final[Registry[Extractor]] = Registry("extractor", _families)
