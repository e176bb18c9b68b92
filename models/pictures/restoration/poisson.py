"""The membrane that carries a difference along a region's border smoothly into it."""

from __future__ import annotations

from typing import Final, NamedTuple

import torch
import torch.nn.functional as F

TOLERANCE: Final = 1e-4
"""Of the residual, as a share of the largest difference at the border."""
TURNS: Final = 100
SWEEPS: Final = 2
DAMPING: Final = 0.8
SMALLEST: Final = 2
"""Side in pixels of the coarsest grid."""


class _Grid(NamedTuple):
    """The equations of one grid. across: weight [H, W - 1] between neighbours in a row. down: [H - 1, W], in a column.
    diagonal: [H, W]. inverse: of it, and 0 where there is no unknown."""

    across: torch.Tensor
    down: torch.Tensor
    diagonal: torch.Tensor
    inverse: torch.Tensor


def membrane(difference: torch.Tensor, inside: torch.Tensor, trust: torch.Tensor) -> torch.Tensor:
    """A difference [C, H, W] known outside of a region, continued into it: [C, H, W], 0 outside.

    inside: bool [H, W], the region. trust: float [H, W], 0..1, how much a pixel outside of it binds its neighbours.

    This is the correction of Perez, Gangnet and Blake (2003, "Poisson image editing"): pasted pixels keep their
    gradients if they are moved by the solution of Laplace's equation with the difference at the border. Each pixel
    inside is the mean of its neighbours, and only of those in the picture: at the picture's edge there is nothing to be
    continued, and the solution runs into it at a right angle. Without any border, or where none of it is trusted, it
    is 0.

    By conjugate gradients with a multigrid cycle as preconditioner (Tatebe 1993): grids of half the side add up the
    weights of four pixels each.
    """
    solution = torch.zeros_like(difference)
    if not bool(inside.any()) or bool(inside.all()):
        return solution
    known = trust * ~inside
    weight = inside.float()
    leak, right = torch.zeros_like(weight), torch.zeros_like(difference)
    for dim, sign in ((0, 1), (0, -1), (1, 1), (1, -1)):
        beside = _moved(known, dim - 2, sign)
        leak += beside
        right += beside * _moved(difference, dim - 2, sign)
    leak, right = leak * weight, right * weight
    grids = [_grid(weight[:, 1:] * weight[:, :-1], weight[1:] * weight[:-1], leak)]
    while min(grids[-1].diagonal.shape) > SMALLEST:
        grids.append(_coarser(grids[-1], leak))
        leak = _pairs(_pairs(leak, -1), -2)
    allowed = TOLERANCE * float(difference[:, ~inside].abs().amax())
    return _solve(grids, right, allowed)


def _moved(values: torch.Tensor, dim: int, sign: int) -> torch.Tensor:
    """For each pixel its neighbour on one side; 0 where that lies outside of the picture."""
    pad = [0, 0, 0, 0]
    pad[(-1 - dim) * 2 + (0 if sign > 0 else 1)] = 1
    length = values.shape[dim]
    padded = F.pad(values, pad)
    return padded.narrow(dim, 0 if sign > 0 else 1, length)


def _grid(across: torch.Tensor, down: torch.Tensor, leak: torch.Tensor) -> _Grid:
    diagonal = leak.clone()
    diagonal[:, 1:] += across
    diagonal[:, :-1] += across
    diagonal[1:] += down
    diagonal[:-1] += down
    return _Grid(across, down, diagonal, torch.where(diagonal > 0, 1 / diagonal.clamp(min=1e-12), 0.0))


def _coarser(grid: _Grid, leak: torch.Tensor) -> _Grid:
    """Squares of 2 x 2 pixels as one: links between them add up, and count half, for they are twice as long."""
    across = _pairs(grid.across[:, 1::2], -2) / 2
    down = _pairs(grid.down[1::2], -1) / 2
    return _grid(across, down, _pairs(_pairs(leak, -1), -2))


def _pairs(values: torch.Tensor, dim: int) -> torch.Tensor:
    """Sums of two neighbours along a dimension; the last one alone where they do not come out even."""
    if values.shape[dim] % 2:
        values = F.pad(values, (0, 1) if dim == -1 else (0, 0, 0, 1))
    return values.unflatten(dim, (-1, 2)).sum(dim=dim if dim < -1 else -1)


def _solve(grids: list[_Grid], right: torch.Tensor, allowed: float) -> torch.Tensor:
    """Preconditioned conjugate gradients, each channel by itself."""
    solution = torch.zeros_like(right)
    residual = right.clone()
    direction, last = torch.zeros_like(right), None
    for _ in range(TURNS):
        if float((residual * grids[0].inverse).abs().amax()) <= allowed:
            break
        better = _cycle(grids, 0, residual)
        now = _dot(residual, better)
        direction = better if last is None else better + direction * (now / last.clamp(min=1e-30))
        applied = _apply(grids[0], direction)
        length = now / _dot(direction, applied).clamp(min=1e-30)
        solution += length * direction
        residual -= length * applied
        last = now
    return solution


def _dot(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    return (a * b).sum(dim=(1, 2), keepdim=True, dtype=torch.float64).to(a)


def _apply(grid: _Grid, values: torch.Tensor) -> torch.Tensor:
    out = values * grid.diagonal
    out[:, :, 1:].addcmul_(values[:, :, :-1], grid.across, value=-1)
    out[:, :, :-1].addcmul_(values[:, :, 1:], grid.across, value=-1)
    out[:, 1:].addcmul_(values[:, :-1], grid.down, value=-1)
    out[:, :-1].addcmul_(values[:, 1:], grid.down, value=-1)
    return out


def _cycle(grids: list[_Grid], depth: int, right: torch.Tensor) -> torch.Tensor:
    """One V-cycle from zero; the same sweeps before and after keep it symmetric."""
    grid = grids[depth]
    solution = DAMPING * right * grid.inverse
    last = depth == len(grids) - 1
    for _ in range(4 * SWEEPS if last else SWEEPS - 1):
        _sweep(grid, solution, right)
    if last:
        return solution
    residual = _pairs(_pairs(right - _apply(grid, solution), -1), -2)
    height, width = right.shape[1:]
    coarse = _cycle(grids, depth + 1, residual)
    solution += coarse.repeat_interleave(2, 1).repeat_interleave(2, 2)[:, :height, :width] * (grid.inverse > 0)
    for _ in range(SWEEPS):
        _sweep(grid, solution, right)
    return solution


def _sweep(grid: _Grid, solution: torch.Tensor, right: torch.Tensor) -> None:
    """One damped step of Jacobi on `solution`, in place."""
    error = _apply(grid, solution)
    solution.addcmul_(error.neg_().add_(right), grid.inverse, value=DAMPING)
