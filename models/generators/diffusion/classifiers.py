"""Classifiers that steer diffusion models, from disk."""

from __future__ import annotations

from typing import Final

from ...families import Family, Registry
from .guides import Guide


def _families() -> tuple[Family[Guide], ...]:
    from .adm import classifier

    return (classifier.FAMILY,)


CLASSIFIERS: Final[Registry[Guide]] = Registry("classifier", _families)
