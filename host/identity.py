"""What tells one of ComfyUI's values from another: models, conditioning, settings."""

import hashlib
from collections.abc import Iterator, Mapping
from itertools import chain
from typing import Any

import torch

PREFIX = 16
"""Values of each weight that tell it from another's: fine-tuning changes some of so many."""


def model_identity(model: torch.nn.Module, patcher: Any) -> str:
    """Of a model's own weights and the patches on them, whether they are worked in or not.

    Its first values stand for each weight; quantized ones cannot be looked at under the inference mode of a prompt.
    """
    # A loaded model's weights may have patches in them; the backup has what was there before.
    original = {name: kept.weight for name, kept in patcher.backup.items()}
    with torch.inference_mode(False), torch.no_grad():
        return digest(parts(({**model.state_dict(), **original}, patcher.patches), PREFIX))


def digest(*values: Iterator[bytes]) -> str:
    """SHA-256 of what `parts` gave of some values."""
    hashed = hashlib.sha256()
    for part in chain(*values):
        hashed.update(part)
    return hashed.hexdigest()


def parts(value: Any, prefix: int | None = None) -> Iterator[bytes]:
    """What tells a value from another: all texts and numbers in it, and of each tensor its shape and first values.

    prefix: how many values of each tensor; None takes all.
    """
    if isinstance(value, torch.Tensor):
        yield f"{tuple(value.shape)}".encode()
        yield value.detach().flatten()[:prefix].to("cpu", torch.float32).numpy().tobytes()
    elif isinstance(value, Mapping):
        for key in sorted(value, key=str):
            yield f"{key}=".encode()
            yield from parts(value[key], prefix)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from parts(item, prefix)
    elif isinstance(value, (str, int, float)) or value is None:
        yield f"{value!r};".encode()
    else:
        # Such as a low-rank adapter, or a control net.
        yield type(value).__name__.encode()
        yield from parts(getattr(value, "weights", None), prefix)
