"""How visible the edge of a paste is."""

from __future__ import annotations

import torch

from .windows import window_sum

WINDOW = 9
"""Side in pixels of the neighbourhood in which steps across the edge are averaged."""


def seam_score(original: torch.Tensor, result: torch.Tensor, weight: torch.Tensor) -> float:
    """The step in colour that a paste leaves where it begins, in intensity per pixel: 0 none, 1 black to white.

    original, result: float32 [H, W, 3], values 0..1, before and after the paste.
    weight: float32 [H, W], 0..1, share of the pasted picture in the result.

    For neighbouring pixels p and q let dw = w(q) - w(p) be the change of weight and dI = I(q) - I(p) that of the
    colour. Around each pair, over a window of 9 x 9 pairs of the same direction, the mean step into the paste is

        m(I) = sum(dw dI) / sum(|dw|),    |m| = root mean square over R, G, B,

    and the score is the mean of min(|m(result)|, |m(result) - m(original)|) over all pairs, weighted by |dw|.

    Steps of texture have changing signs and cancel in m; a difference in brightness or colour along the edge does
    not. The second term leaves out steps that were in the picture before. A hard paste shows its whole difference in
    one step, one that fades over n pixels an n-th of it in each. An untouched picture scores exactly 0, as do a
    paste that continues its surroundings and a mask without an edge inside the picture.
    """
    before, after, share = original.movedim(-1, 0), result.movedim(-1, 0), weight[None]
    visible, edge = 0.0, 0.0
    for axis in (1, 2):
        change = share.diff(dim=axis)
        window = _around(change[0])
        if window is None:  # nor are there pairs at all in an image of one pixel
            continue
        change = change[(slice(None), *window)]
        was, now = (_mean_step(_steps(image, axis, window), change) for image in (before, after))
        visible += float((torch.minimum(_size(now), _size(now - was)) * change[0].abs()).sum())
        edge += float(change.abs().sum())
    return visible / edge if edge > 0 else 0.0


def _around(change: torch.Tensor) -> tuple[slice, slice] | None:
    """Rows and columns of the pairs [H, W] whose weight changes, and of those in a window with them."""
    rows, columns = change.any(dim=1).nonzero().flatten(), change.any(dim=0).nonzero().flatten()
    if not len(rows):
        return None
    reach = WINDOW // 2
    return (
        slice(max(int(rows[0]) - reach, 0), int(rows[-1]) + 1 + reach),
        slice(max(int(columns[0]) - reach, 0), int(columns[-1]) + 1 + reach),
    )


def _steps(image: torch.Tensor, axis: int, window: tuple[slice, slice]) -> torch.Tensor:
    """Differences of neighbours of [3, H, W] along an axis, of the pairs in the window."""
    rows, columns = window
    if axis == 1:
        rows = slice(rows.start, rows.stop + 1)
    else:
        columns = slice(columns.start, columns.stop + 1)
    return image[:, rows, columns].diff(dim=axis)


def _mean_step(step: torch.Tensor, change: torch.Tensor) -> torch.Tensor:
    """Mean step into the paste [3, h, w], from steps [3, h, w] and changes of weight [1, h, w]."""
    sums = window_sum(torch.cat([step * change, change.abs()]), WINDOW)
    # Where no weight changes nearby both sums are zero.
    return sums[:3] / sums[3:].clamp(min=1e-6)


def _size(step: torch.Tensor) -> torch.Tensor:
    return step.square().mean(dim=0).sqrt()
