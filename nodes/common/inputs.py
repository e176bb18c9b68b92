"""The kinds of inputs that nodes have, each once: its type, its limits, and what all of them say.

A node's INPUT_TYPES names each of its inputs by one call: kind or default first, then limits, the tooltip last.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final, TypeVar

from ...models.generators.noise import SEEDS
from ...models.pictures.dust import MASK_THRESHOLD
from ...models.pictures.grids import THEMES

T = TypeVar("T")
Input = tuple[str | list[str], dict[str, Any]]
"""What the host reads of one input: its type, or the values of a list to choose from, and its options."""

MAX_SIDE: Final = 16384
"""Side in pixels of the largest image that ComfyUI makes."""
NUMBERED: Final = 12
"""Inputs of the nodes that take several of one kind."""


def link(kind: str, tooltip: str) -> Input:
    """Something that only another node can give."""
    return (kind, {"tooltip": tooltip})


def wired(kind: str, tooltip: str) -> Input:
    """Something that the page could ask for in a box, but that another node has to give."""
    return (kind, {"forceInput": True, "tooltip": tooltip})


def numbered(name: str, kind: str, tooltip: str) -> dict[str, Input]:
    """Inputs `name_1`, `name_2`, ... of one kind, of which any may be connected."""
    return {f"{name}_{number}": link(kind, tooltip) for number in range(1, NUMBERED + 1)}


def connected(name: str, given: Mapping[str, T]) -> list[T]:
    """The values of `numbered` inputs, in the order of their numbers; one that is None is not connected."""
    values = (given.get(f"{name}_{number}") for number in range(1, NUMBERED + 1))
    return [value for value in values if value is not None]


def text(default: str, tooltip: str) -> Input:
    """One line of text."""
    return ("STRING", {"default": default, "tooltip": tooltip})


def multiline(default: str, tooltip: str, placeholder: str = "") -> Input:
    """Text of several lines. placeholder: what the empty box shows."""
    options = {"default": default, "multiline": True, "tooltip": tooltip}
    return ("STRING", {**options, "placeholder": placeholder} if placeholder else options)


def boolean(default: bool, tooltip: str) -> Input:
    """Yes or no."""
    return ("BOOLEAN", {"default": default, "tooltip": tooltip})


def choice(values: Iterable[str], tooltip: str, default: str | None = None) -> Input:
    """One of a list, where the first is the default if none is named."""
    return (list(values), {"tooltip": tooltip} if default is None else {"default": default, "tooltip": tooltip})


def images() -> Input:
    """Pictures to look at, where nothing more is to be said of them."""
    return link("IMAGE", "One image or a batch; an alpha channel is ignored.")


def theme() -> Input:
    """The colours of pictures that the pack draws."""
    return choice(THEMES, "Of the pictures: dark on light, or light on dark.")


def integer(default: int, low: int, high: int, tooltip: str, step: int = 1) -> Input:
    """A whole number from low to high."""
    options = {"default": default, "min": low, "max": high, "tooltip": tooltip}
    return ("INT", options if step == 1 else {**options, "step": step})


def pixels(default: int, low: int, tooltip: str, step: int = 1) -> Input:
    """A side of pictures, at most ComfyUI's largest."""
    return integer(default, low, MAX_SIDE, tooltip, step)


def area(tooltip: str) -> Input:
    """A number of pixels, from none to all of the largest picture."""
    return integer(0, 0, MAX_SIDE**2, tooltip)


def number(
    default: float, low: float, high: float, step: float, tooltip: str, rounded: float | bool | None = None
) -> Input:
    """A number from low to high. step: of the page's arrows. rounded: to what the page rounds, False for not at all;
    the step, if it is None."""
    options = {"default": default, "min": low, "max": high, "step": step, "tooltip": tooltip}
    return ("FLOAT", options if rounded is None else {**options, "round": rounded})


def share(default: float, tooltip: str, step: float = 0.01) -> Input:
    """A number from 0 to 1: a part of a whole, a probability, a threshold of either."""
    return number(default, 0.0, 1.0, step, tooltip)


def mask_threshold() -> Input:
    """From which value on a mask counts; the same for every node that takes one."""
    return share(
        MASK_THRESHOLD,
        "Mask values below it are dust, as lossy files leave it, and count as 0; from it on they stay as soft as they "
        "are. 0 takes whatever is above 0.",
    )


def fixed_seed(tooltip: str) -> Input:
    """A seed that stays until the user changes it; its input is not called `seed`, which the page would move."""
    return integer(0, 0, SEEDS - 1, tooltip)


def seed(tooltip: str) -> Input:
    """A seed that the page moves after every run, unless the user forbids it."""
    kind, options = fixed_seed(tooltip)
    return (kind, {**options, "control_after_generate": True})


def batch_size(default: int, high: int, tooltip: str) -> Input:
    """How many items a network sees at once."""
    return advanced(integer(default, 1, high, tooltip))


def fitting_batch_size(what: str) -> Input:
    """The same, where 0 leaves it to the pack. what: is done with the images, such as "drawn"."""
    tooltip = (
        f"Images {what} at once, which changes only the speed; 0 takes as many as need 1 GB. Halved by itself when "
        "memory runs out."
    )
    return advanced(integer(0, 0, 4096, tooltip))


def advanced(shown: Input) -> Input:
    """The same input, hidden by the page until the user asks for more."""
    kind, options = shown
    return (kind, {**options, "advanced": True})
