"""How much memory the generator of a denoising diffusion GAN needs beside its weights."""

from __future__ import annotations

from typing import Final

from .network import Sizes

STATE: Final = 4
"""Floats per value of the pictures that are held beside a network: noise, noisy and clean ones, as they come in."""


def _residual(inputs: int, width: int, before: int, after: int) -> int:
    """Most floats that a block holds, its input included. before, after: pixels of what it takes and gives."""
    resampled = inputs * after if before != after else 0
    convolved = max(inputs * before, inputs * after) + 2 * width * after
    return inputs * before + max(2 * inputs * before, inputs * before + resampled, convolved, 4 * width * after)


def peak_floats(sizes: Sizes, side: int) -> int:
    """Most floats held for a picture of this side while the network sees it."""
    pixels, current = side * side, sizes.channels
    held = STATE * sizes.colours * pixels
    kept, skips = held + current * pixels, [current * pixels]
    peaks = [kept]
    for level, (width, attends) in enumerate(zip(sizes.widths, sizes.attended, strict=True)):
        if level:
            peaks.append(kept + _residual(current, current, pixels, pixels // 4) - current * pixels)
            pixels //= 4
            skips.append(current * pixels)
            kept += skips[-1]
        for _ in range(sizes.blocks):
            peaks.append(kept + _residual(current, width, pixels, pixels) - current * pixels)
            current = width
            if attends:
                peaks.append(kept + 6 * current * pixels)
            skips.append(current * pixels)
            kept += skips[-1]
    peaks.append(kept + _residual(current, current, pixels, pixels))
    for level in reversed(range(len(sizes.widths))):
        for _ in range(sizes.blocks + 1):
            skipped = skips.pop()
            kept -= skipped
            inputs = current + skipped // pixels
            peaks.append(kept + current * pixels + _residual(inputs, sizes.widths[level], pixels, pixels))
            current = sizes.widths[level]
        if sizes.attended[level]:
            peaks.append(kept + 7 * current * pixels)
        if level:
            peaks.append(kept + _residual(current, current, pixels, 4 * pixels))
            pixels *= 4
    return max(peaks)
