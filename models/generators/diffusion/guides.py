"""What steers a diffusion model towards classes from outside: log p(class | picture), and its derivative.

Classifier guidance (Dhariwal and Nichol, 2021, arXiv 2105.05233, section 4) asks a classifier of noisy pictures; one of
clean pictures is asked about what the model foresees, with the derivative through the model (Bansal et al., 2023, arXiv
2302.07121, equation 6).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, Final

import torch
from torch import Tensor, nn

from ...diffusion.samplers import foresee
from ...diffusion.sampling import Predict
from ...errors import BadInput

CLEAR: Final = 0.01
"""Share of the signal's variance from which on clean guides are asked: below it what is foreseen hardly depends on the
picture, and the step divides its derivative, mostly the network's error, by the root of that share. The starter DDPM, 6
steps of DDIM at scale 1, lost its class without this (log p -2.4, unguided -0.0016), and with it is surer (-0.0012)."""
TRAINED: Final = 1000
"""Time steps that guides are told times of."""


class Guide(ABC):
    """A network that says how likely each class is on a picture.

    clean: whether it looks at what is foreseen; else at noisy pictures, told their time. name: of its file.
    class_names: empty where the file does not tell them. side: of the pictures that it takes, pixels; 0 for all.
    Parameters are made outside of inference mode.
    """

    clean: ClassVar[bool]
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
        """float32 [N, classes] of pictures [N, 3, h, w], -1..1 and noise, at a time [1] of TRAINED, which the clean
        ones pay no heed to. With derivatives by the pictures."""

    @abstractmethod
    def memory_bytes(self, batch_size: int) -> int:
        """Activation memory of one batch with its derivative."""


def gradient(guide: Guide, noisy: Tensor, time: Tensor, labels: Tensor) -> Tensor:
    """What the log probability of its label rises by with each noisy picture: float32 [N, 3, h, w]. One pass there and
    back for all. labels: int64 [N]. Also runs in a graph's inference mode."""
    # A tensor that inference mode has made takes part in no derivative; a copy made outside does.
    with torch.inference_mode(False), torch.enable_grad():
        seen = noisy.detach().clone().requires_grad_()
        return _risen(guide.log_probabilities(seen, time.clone()), labels, seen)


def foreseen_gradient(
    guide: Guide, predict: Predict, scheduler: Any, noisy: Tensor, time: Tensor, told: Tensor, labels: Tensor
) -> tuple[Tensor, Tensor]:
    """The network's output, and the `gradient` of a clean guide through what it foresees. told: the time of TRAINED."""
    with torch.inference_mode(False), torch.enable_grad():
        seen = noisy.detach().clone().requires_grad_()
        output = predict(seen, time.clone())
        foreseen = foresee(scheduler, output, time, seen)
        return output.detach(), _risen(guide.log_probabilities(foreseen, told.clone()), labels, seen)


def _risen(log_probabilities: Tensor, labels: Tensor, seen: Tensor) -> Tensor:
    rows = torch.arange(len(labels), device=seen.device)
    asked = log_probabilities[rows, labels.to(seen.device, copy=True)].sum()
    return torch.autograd.grad(asked, seen)[0].float()


def moved(output: Tensor, risen: Tensor, scheduler: Any, time: Tensor) -> Tensor:
    """A network's output as of the noise that a gradient tells (algorithm 2), for every kind of output and sampler.

    The noise that is found in a picture changes by -s g, where s^2 is its variance; what is foreseen by s^2 / a g,
    where a^2 is that of the signal; a velocity by -s / a g. What stands behind the output's own channels stays.
    """
    signal = float(scheduler.alphas_cumprod[round(float(time))])
    deviation, kind = (1 - signal) ** 0.5, scheduler.config.prediction_type
    factor = {"v_prediction": -deviation / signal**0.5, "sample": (1 - signal) / signal**0.5}.get(kind, -deviation)
    channels = risen.shape[1]
    return torch.cat([output[:, :channels] + factor * risen, output[:, channels:]], dim=1)


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
