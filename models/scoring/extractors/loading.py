"""The one door for scoring networks: `EXTRACTORS.load(path)` gives an extractor, whose resize is bound afterwards."""

from __future__ import annotations

from typing import Final

from ...families import Registry
from .base import Extractor
from .classifier import CLASSIFIER
from .inception import INCEPTION

EXTRACTORS: Final[Registry[Extractor]] = Registry("extractor")
EXTRACTORS.register(INCEPTION, CLASSIFIER)
