"""Classifiers that steer a diffusion model: log p(class | noisy picture, time), and its derivative by the picture
(Dhariwal and Nichol, 2021, arXiv 2105.05233, section 4). Critics of what a model foresees: see `guidance`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import torch
from torch import Tensor, nn

from ...errors import BadInput

TRAINED: Final = 1000
"""Time steps that guides are told times of."""


class Guide(ABC):
    """A network that says how likely each class is on a noisy picture, told its time. name: of its file.

    class_names: empty where the file does not tell them. side: of the pictures that it takes, pixels; 0 for all.
    Parameters are made outside of inference mode.
    """

    name: str
    modules: tuple[nn.Module, ...]
    identity: str
    num_classes: int
    class_names: tuple[str, ...] = ()
    side: int = 0
    files: tuple[Path, ...] = ()
    notes: tuple[str, ...] = ()

    @abstractmethod
    def log_probabilities(self, pictures: Tensor, time: Tensor) -> Tensor:
        """float32 [N, classes] of pictures [N, 3, h, w], -1..1 and noise, at a time [1] of TRAINED, with
        derivatives by the pictures."""

    @abstractmethod
    def memory_bytes(self, batch_size: int) -> int:
        """Activation memory of one batch with its derivative."""


def gradient(guide: Guide, noisy: Tensor, time: Tensor, labels: Tensor) -> Tensor:
    """What the log probability of its label rises by with each noisy picture: float32 [N, 3, h, w]. One pass there and
    back for all. labels: int64 [N]. Also runs in a graph's inference mode."""
    # A tensor that inference mode has made takes part in no derivative; a copy made outside does.
    with torch.inference_mode(False), torch.enable_grad():
        seen = noisy.detach().clone().requires_grad_()
        rows = torch.arange(len(labels), device=seen.device)
        asked = guide.log_probabilities(seen, time.clone())[rows, labels.to(seen.device, copy=True)]
        return torch.autograd.grad(asked.sum(), seen)[0].float()


def places_of(guide: Guide, class_names: Sequence[str], num_classes: int) -> Tensor:
    """For each class of a generator the guide's, int64 [num_classes]: by name where both tell them, else by number.

    Raises:
        BadInput: the guide does not know them.
    """
    if class_names and guide.class_names:
        missing = [name for name in class_names if name not in guide.class_names]
        if missing:
            raise BadInput(
                f"model: {guide.name} knows no class {missing[0]!r}, which the generator draws; take a classifier of "
                "the same classes."
            )
        return torch.tensor([guide.class_names.index(name) for name in class_names])
    if num_classes != guide.num_classes:
        raise BadInput(
            f"model: {guide.name} knows {guide.num_classes} classes, the generator {num_classes}; take a classifier of "
            "the same classes."
        )
    return torch.arange(num_classes)
