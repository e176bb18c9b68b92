"""The shift and the scale between an original and an edit of it, found to a fraction of a pixel."""

from __future__ import annotations

import math
from typing import Final, NamedTuple

import torch
import torch.nn.functional as F

from .agreement import SAME as AGREES
from .agreement import band, correlation, luma, showing
from .placement import SAME, Placement, covered, sample

FINEST: Final = 1536
"""Longer side in pixels of the pictures that are compared last: a tenth of a pixel of a larger one is well within
their reach."""
COARSEST: Final = 64
CORRELATED: Final = 128
"""Longer side of the pictures whose phases are correlated."""
FARTHEST: Final = 0.2
"""Largest shift that is looked for, as a share of the side."""
SCALES: Final = (1.0, 0.93, 1.07)
"""Scales to start from; refinement bridges what lies between."""
TURNS: Final = 12
STILL: Final = 0.004
"""Pixels; a turn that moves nothing by more is the last."""
LEAST: Final = 0.02
"""Pixels; an edit that lies off by no more lies where the original does, and is not sampled anew."""
SMALLEST: Final = 12
"""Shorter side in pixels of a picture in which a shift can be told."""
STRETCH: Final = 1.2
"""By how much refinement may change a scale at most."""
LOOSE: Final = 1e-4
"""How strongly a direction is tied to its start, as a share of what the pictures show of the clearer one."""
CLEARLY: Final = 0.02
"""By how much the share of what agrees must differ to decide by itself."""
FLOOR: Final = 0.5 / 255
QUANTILE: Final = 0.3
NORMAL_QUANTILE: Final = 0.385
"""Of the absolute value of a standard normal variable."""
SAMPLES: Final = 50_000


class _Level(NamedTuple):
    """original, edited: band-passed luma [H, W] of one size. counts: float [H, W], 0 where the mask is."""

    original: torch.Tensor
    edited: torch.Tensor
    counts: torch.Tensor


class _Fit(NamedTuple):
    """place: of the edit. moved: the edit there [H, W]. residual: [H, W], what is left beside the original and the gain
    that fits best. scale: how large it is where they agree."""

    place: Placement
    moved: torch.Tensor
    residual: torch.Tensor
    scale: float


def register(original: torch.Tensor, edited: torch.Tensor, mask: torch.Tensor | None = None) -> Placement:
    """Where the edit [3, h, w] lies over the original [3, H, W].

    mask: bool [H, W]; pixels that may have changed and do not count.

    First the phases of small copies are correlated (Kuglin and Hines 1975, "The phase correlation image alignment
    method"), once for each way in which an editor may have brought the picture to its own size. The best is refined
    from coarse to fine by Lucas and Kanade's (1981) least squares, with the mean of both pictures' gradients as in
    Malis (2004, "Improving vision-based control using efficient second-order minimization techniques"), a gain and an
    offset of the brightness beside shift and scale, and weights that leave out what has changed: those of Geman and
    McClure (1985), and the square of the local correlation. What the pictures do not show, such as a shift along a
    stripe, stays 0.
    """
    height, width = original.shape[1:]
    if min(*original.shape[1:], *edited.shape[1:]) < SMALLEST:
        return SAME
    first, second = luma(original), luma(edited)
    counts = torch.ones(height, width, device=original.device) if mask is None else (~mask).float()
    sides = [min(max(height, width), FINEST)]
    while sides[-1] > COARSEST * 1.5:
        sides.append(math.ceil(sides[-1] / 2))
    levels = [_level(first, second, counts, side / max(height, width)) for side in sides]
    first_seen = next((n for n, level in enumerate(levels) if max(level.original.shape) <= CORRELATED), len(sides) - 1)
    at = levels[first_seen]
    fits = []
    for start in _starts(original, edited, at):
        coarse = _refined(levels[-1], _between(start, at, levels[-1]), TURNS // 2).place
        fits.append(_refined(at, _between(coarse, levels[-1], at)))
    place = _best(fits, at).place
    for level in reversed(levels[:first_seen]):
        place = _refined(level, _between(place, at, level)).place
        at = level
    found = _best([_measure(at, SAME), _measure(at, place)], at).place
    place = found.resized(height / at.original.shape[0], width / at.original.shape[1])
    return SAME if edited.shape == original.shape and place.farthest(height, width) < LEAST else place


def _level(first: torch.Tensor, second: torch.Tensor, counts: torch.Tensor, factor: float) -> _Level:
    height, width = (max(1, round(side * factor)) for side in first.shape)
    shape = (height, width)
    original, edited = (band(sample(light[None], *shape)[0]) for light in (first, second))
    small = F.interpolate(counts[None, None], size=shape, mode="area")[0, 0]
    # The band-pass carries what lies in the mask a few pixels outwards.
    near = -F.max_pool2d(-small[None, None], 5, stride=1, padding=2)[0, 0]
    return _Level(original, edited, (near > 0.99).float())


def _starts(original: torch.Tensor, edited: torch.Tensor, level: _Level) -> list[Placement]:
    """Where the edit may lie: stretched to its size, perhaps somewhat larger or smaller; set into it, or cut to it."""
    ratio = (edited.shape[2] / edited.shape[1]) / (original.shape[2] / original.shape[1])
    ways = [(1.0, ratio), (1 / ratio, 1.0)] if abs(ratio - 1) > 0.01 else []
    starts = [SAME]
    scaled = [(scale, scale) for scale in SCALES]
    starts += [_correlated(level, Placement(0.0, 0.0, *way)) for way in (*scaled, *ways)]
    return starts


def _correlated(level: _Level, start: Placement) -> Placement:
    """The start with the shift at the peak of the phases' correlation."""
    height, width = level.original.shape
    window = _hann(height, level.original)[:, None] * _hann(width, level.original)
    moved = sample(level.edited[None], height, width, start)[0]
    spectra = [torch.fft.rfft2(picture * window) for picture in (level.original * level.counts, moved)]
    cross = spectra[0].conj() * spectra[1]
    phases = torch.fft.irfft2(cross / cross.abs().clamp(min=1e-12), s=(height, width))
    rows, columns = (torch.fft.fftfreq(side, 1 / side, device=phases.device) for side in (height, width))
    near = (rows.abs()[:, None] <= FARTHEST * height) & (columns.abs() <= FARTHEST * width)
    peak = int(torch.where(near, phases, -torch.inf).argmax())
    return start._replace(
        shift_x=float(columns[peak % width]) * start.scale_x, shift_y=float(rows[peak // width]) * start.scale_y
    )


def _hann(side: int, like: torch.Tensor) -> torch.Tensor:
    return torch.hann_window(side + 2, periodic=False, device=like.device)[1:-1]


def _between(place: Placement, here: _Level, there: _Level) -> Placement:
    (height, width), (tall, wide) = here.original.shape, there.original.shape
    return place.resized(tall / height, wide / width)


def _refined(level: _Level, place: Placement, turns: int = TURNS) -> _Fit:
    height, width = level.original.shape
    device = level.original.device
    x = ((torch.arange(width, device=device) - (width - 1) / 2) / width).expand(height, width)
    y = ((torch.arange(height, device=device) - (height - 1) / 2) / height)[:, None].expand(height, width)
    gain = 1.0
    fit, start = _measure(level, place), place
    for _ in range(turns):
        moved = fit.moved
        both = zip(_slopes(moved), _slopes(level.original), strict=True)
        slopes = [(theirs + gain * ours) / 2 for theirs, ours in both]
        counts = level.counts * _inner(level, place)
        weight = counts * correlation(level.original, moved).clamp(min=0).square()
        weight = weight / (1 + (fit.residual / (2 * fit.scale)).square()).square()
        terms = torch.stack(
            [-slopes[0], -slopes[1], -slopes[0] * x, -slopes[1] * y, level.original, torch.ones_like(moved)]
        ).flatten(1)
        weighted = terms * weight.flatten()
        normal = (weighted @ terms.T).double().cpu()
        right = (weighted @ moved.flatten()).double().cpu()
        # What the pictures hardly show stays where it was before.
        ties = LOOSE * normal.diagonal()[[0, 0, 2, 2]].maximum(normal.diagonal()[[1, 1, 3, 3]]) + 1e-12
        moved_by = [place.shift_x - start.shift_x, place.shift_y - start.shift_y]
        moved_by += [(place.scale_x - start.scale_x) * width, (place.scale_y - start.scale_y) * height]
        normal.diagonal()[:4] += ties
        right[:4] -= ties * torch.tensor(moved_by, dtype=torch.float64)
        normal.diagonal()[4:] += 1e-12
        step = torch.linalg.solve(normal, right)
        if not bool(torch.isfinite(step).all()):
            break
        gain = float(step[4])
        dx, dy, wider, taller = (max(-2.0, min(2.0, float(value))) for value in step[:4])
        place = Placement(
            place.shift_x + dx,
            place.shift_y + dy,
            _near(place.scale_x + wider / width, start.scale_x),
            _near(place.scale_y + taller / height, start.scale_y),
        )
        fit = _measure(level, place)
        if abs(dx) + abs(dy) + (abs(wider) + abs(taller)) / 2 < STILL:
            break
    return fit


def _near(scale: float, start: float) -> float:
    return min(max(scale, start / STRETCH), start * STRETCH)


def _slopes(picture: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Central differences along x and y."""
    padded = F.pad(picture[None, None], (1, 1, 1, 1), mode="replicate")[0, 0]
    return (padded[1:-1, 2:] - padded[1:-1, :-2]) / 2, (padded[2:, 1:-1] - padded[:-2, 1:-1]) / 2


def _inner(level: _Level, place: Placement) -> torch.Tensor:
    """1 where the original's pixels lie in the edit, else 0; its outermost ones are left out."""
    height, width = level.original.shape
    inside = covered((height, width), height, width, place).to(level.original.device)
    inside[[0, -1]] = False
    inside[:, [0, -1]] = False
    return inside.float()


def _measure(level: _Level, place: Placement) -> _Fit:
    height, width = level.original.shape
    moved = sample(level.edited[None], height, width, place)[0]
    counts = level.counts * _inner(level, place)
    gain, residual, scale = 1.0, moved - level.original, FLOOR
    for _ in range(3):
        residual = moved - gain * level.original
        scale = max(_spread(residual, counts), FLOOR / 2)
        weight = counts / (1 + (residual / (2 * scale)).square()).square()
        power = float((weight * level.original.square()).sum())
        if power <= 0:
            break
        gain = float((weight * level.original * moved).sum()) / power
        gain = max(0.5, min(2.0, gain))
    return _Fit(place, moved, residual, scale)


def _spread(residual: torch.Tensor, counts: torch.Tensor) -> float:
    """The standard deviation of the smaller residuals, as of a normal distribution."""
    values = residual[counts > 0].abs()
    if not len(values):
        return 0.0
    values = values[:: max(1, len(values) // SAMPLES)]
    return float(torch.quantile(values, QUANTILE)) / NORMAL_QUANTILE


def _best(fits: list[_Fit], level: _Level) -> _Fit:
    """The placement in which most agrees; of those about as good, the one that leaves least; else the first."""
    agreeing = [_agreeing(fit, level) for fit in fits]
    if max(agreeing) == 0:
        return fits[0]
    near = [fit for fit, share in zip(fits, agreeing, strict=True) if share > max(agreeing) - CLEARLY]
    scale = 2 * min(fit.scale for fit in near)
    left = [_left(fit, level, scale) for fit in near]
    # The first ones move less.
    return next(fit for fit, cost in zip(near, left, strict=True) if cost <= min(left) + 1e-4)


def _agreeing(fit: _Fit, level: _Level) -> float:
    """The share of what the original shows that the edit shows there too."""
    shown = level.counts * showing(level.original)
    same = (correlation(level.original, fit.moved) > AGREES) * _inner(level, fit.place)
    return float((same * shown).sum() / shown.sum().clamp(min=1))


def _left(fit: _Fit, level: _Level, scale: float) -> float:
    """Mean of the residuals, of which large ones count little, in units of `scale`; 0..1."""
    counts = level.counts * _inner(level, fit.place)
    error = (fit.residual / scale).square()
    return float((counts * error / (1 + error)).sum() / counts.sum().clamp(min=1))
