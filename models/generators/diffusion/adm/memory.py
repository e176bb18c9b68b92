"""How much memory these networks need beside their weights."""

from __future__ import annotations

from typing import NamedTuple

from .network import Sizes


class Layer(NamedTuple):
    """A part of a block: a residual one of so many channels to so many, attention, or a convolution that changes sides.

    pixels: at its output. scale: of the pixels at its input relative to those. kept: floats that the rest of the
    network holds meanwhile.
    """

    inputs: int
    width: int
    pixels: int
    scale: float = 1.0
    attention: bool = False
    kept: int = 0
    residual: bool = True

    @property
    def floats(self) -> float:
        """Held at its peak, its input included."""
        if self.attention:
            # Input, normalised, queries, keys and values, what they see, and that in the order of the picture.
            return 7 * self.width * self.pixels
        given = self.inputs * self.pixels * self.scale
        if not self.residual:
            return given + (2 if self.scale < 1 else 1) * self.width * self.pixels
        resampled = 0 if self.scale == 1 else 2 * self.inputs * self.pixels
        normalised = 0 if resampled else given
        skipped = 0 if self.inputs == self.width else self.width * self.pixels
        wide = self.width * self.pixels
        return given + resampled + max(normalised + wide, 3 * wide + skipped)

    @property
    def saved(self) -> float:
        """Kept for a derivative."""
        if self.attention:
            return 7 * self.width * self.pixels
        given = self.inputs * self.pixels
        if not self.residual:
            return 2 * given
        return given * (2 if self.scale == 1 else 1 + 2 * self.scale) + 6 * self.width * self.pixels


def layers(sizes: Sizes, side: int, up: bool = True) -> list[Layer]:
    """All of a network, for a picture of this side; `up`: also the way up."""
    found: list[Layer] = []
    pixels, current = side * side, sizes.widths[0]
    given, kept = [(current, pixels)], current * pixels
    last, residual = len(sizes.widths) - 1, sizes.resampling_blocks
    for level, width in enumerate(sizes.widths):
        for _ in range(sizes.blocks):
            found.append(Layer(current, width, pixels, kept=kept - current * pixels))
            if sizes.attended[level]:
                found.append(Layer(width, width, pixels, attention=True, kept=kept))
            current = width
            given.append((current, pixels))
            kept += current * pixels
        if level < last:
            found.append(Layer(current, current, pixels // 4, 4.0, False, kept - current * pixels, residual))
            pixels //= 4
            given.append((current, pixels))
            kept += current * pixels
    for attention in (False, True, False):
        found.append(Layer(current, current, pixels, attention=attention, kept=kept))
    if not up:
        return found
    for level in range(last, -1, -1):
        width = sizes.widths[level]
        for place in range(sizes.blocks + 1):
            skipped, _ = given.pop()
            kept -= skipped * pixels
            before = kept + current * pixels
            found.append(Layer(current + skipped, width, pixels, kept=before))
            if sizes.attended[level]:
                found.append(Layer(width, width, pixels, attention=True, kept=before))
            if level and place == sizes.blocks:
                pixels *= 4
                found.append(Layer(width, width, pixels, 0.25, False, before, residual))
            current = width
    return found


def peak_floats(sizes: Sizes, side: int) -> float:
    """Most floats held for a picture while a U-Net sees it."""
    return max(layer.kept + layer.floats for layer in layers(sizes, side))


def saved_floats(sizes: Sizes, side: int, up: bool = True) -> float:
    """Floats held for a picture for the derivative by it."""
    return sum(layer.saved for layer in layers(sizes, side, up))
