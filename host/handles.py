"""What travels on the pack's links of models: a model together with the host's grip on its networks."""

from typing import Any, NamedTuple, Protocol

import torch
from torch import nn


class OnStep(Protocol):
    """What `host.progress` gives: of the shape that models/steps.py asks for, which the host does not import."""

    def __call__(self, done: int, preview: torch.Tensor | None = None, /) -> None: ...


class Slot(nn.Module):
    """Holder of one network, for the host to write its bookkeeping on.

    ComfyUI assigns `.device` and more to the module it manages; networks of transformers and diffusers have
    `device` as a read-only property and refuse.
    """

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner.train(False).requires_grad_(False)


class Handle(NamedTuple):
    """A model of `models/` and what moves its networks; made by `host.hold`.

    A tuple, so that ComfyUI's cache sees the patchers inside; model and patchers must live and die together.
    """

    model: Any
    patchers: tuple[Any, ...]
