"""CLIP scores of images and their prompts, in words and as JSON."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Sequence
from statistics import fmean
from typing import Final

SHOWN: Final = 80
"""Characters of a prompt in a report."""


def to_json(values: Sequence[float], prompts: Sequence[str]) -> str:
    """Score and prompt of every image, and the mean, as JSON."""
    images = [
        {"image": index, "clip_score": value, "prompt": prompt}
        for index, (value, prompt) in enumerate(zip(values, prompts, strict=True))
    ]
    return json.dumps({"images": images, "mean": fmean(values)}, indent=2, ensure_ascii=False)


def describe(values: Sequence[float], prompts: Sequence[str], untraced: Sequence[str] = ()) -> str:
    """One line per image, and the mean; untraced: inputs of which nobody knows the files."""
    lines = [
        f"image {index}: CLIP score {value:.2f}, {textwrap.shorten(prompt, SHOWN)}"
        for index, (value, prompt) in enumerate(zip(values, prompts, strict=True))
    ]
    if len(values) > 1:
        lines.append(f"mean: {fmean(values):.2f}")
    lines += [
        f"{what}: the host does not tell its file; take care that it holds CLIP's projection." for what in untraced
    ]
    return "\n".join(lines)
