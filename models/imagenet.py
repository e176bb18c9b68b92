"""The 1,000 classes of ImageNet by name."""

from __future__ import annotations

CLASSES = 1000


def class_names() -> tuple[str, ...]:
    """Of the 1,000 classes, in their usual order, as torchvision knows them; nothing is fetched.

    Raises:
        ModuleNotFoundError: torchvision, which comes with every ComfyUI, is not installed.
    """
    from torchvision.models import EfficientNet_B0_Weights

    return tuple(EfficientNet_B0_Weights.IMAGENET1K_V1.meta["categories"])


def names_of(classes: int) -> tuple[str, ...]:
    """Of a model with so many classes: ImageNet's where they are as many and torchvision is there, else none."""
    if classes != CLASSES:
        return ()
    try:
        return class_names()
    except ModuleNotFoundError:
        return ()
