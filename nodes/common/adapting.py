"""What travels on after a model was adapted: its networks that stayed keep the host's grip that they have."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import nn

from ... import host

Holding = tuple[Sequence[nn.Module], host.Handle]
"""Networks that are held already, and their handle, which has its patchers in that order."""


def regrouped(model: Any, modules: Sequence[nn.Module], *holding: Holding) -> host.Handle:
    """A handle of a model with these networks."""
    held: dict[int, Any] = {}
    for known, handle in holding:
        held |= zip(map(id, known), handle.patchers, strict=True)
    new = [module for module in modules if id(module) not in held]
    held |= zip(map(id, new), host.hold(model, new).patchers, strict=True)
    return host.Handle(model, tuple(held[id(module)] for module in modules))
