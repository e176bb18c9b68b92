"""Whether a generator copies: AuthPct (Alaa et al. 2022) and C_T (Meehan, Chaudhuri, Dasgupta 2020).

Both ask how far the nearest training sample is. Neither sees a copy that the features tell from its original.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

import torch

from ...errors import BadInput
from ..scores import Score
from .checks import check_pair
from .neighbours import nearest, radii

if TYPE_CHECKING:
    from ..set_pair import SetPair

CELLS: Final = 3
COMPONENTS: Final = 64
"""Principal components that C_T keeps of features with more dimensions."""
FEWEST: Final = 20
"""Generated samples above which a cell counts."""
STARTS: Final = 10
_STEPS: Final = 300


def authentic_percentage(generated: torch.Tensor, training: torch.Tensor) -> float:
    """AuthPct: how many of a hundred generated samples are farther from their nearest training sample than that is
    from its own nearest neighbour. About 50 or more where nothing is copied; 0 where all are copies.

    Of features [N, D] and [M, D], by exact distances (the reference is `authpct.py` of dgm-eval).

    Raises:
        BadInput: too few samples; NaN or infinite features; different dimensions.
    """
    check_pair(generated, training)
    found = nearest(generated, training)
    return 100 * float((radii(training, 1)[found.places] < found.distances).double().mean())


def z_score(generated: torch.Tensor, held_out: torch.Tensor) -> float:
    """Of the Mann-Whitney U test between two sets of distances [N], [M], with a correction of half a step; below 0
    where the generated ones are the smaller."""
    n, m = len(generated), len(held_out)
    ordered = held_out.sort().values
    below, through = (torch.searchsorted(ordered, generated, right=right) for right in (False, True))
    u = float((below + through).double().sum()) / 2
    return (u - (n * m / 2 - 0.5)) / math.sqrt(n * m * (n + m + 1) / 12)


def data_copying(
    generated: torch.Tensor,
    held_out: torch.Tensor,
    training: torch.Tensor,
    cells: tuple[torch.Tensor, torch.Tensor, torch.Tensor],
) -> float:
    """C_T: `z_score` of the distances to the nearest training sample, cell by cell, averaged with the held-out share
    of each cell. Below 0: nearer to the training samples than held-out ones are, that is copied; -3 and less is no
    chance. Above 0: farther than those, as a poor generator's.

    cells: int64 [N], [M], [T], of the three sets. Cells with FEWEST generated samples or fewer are left out.

    Raises:
        BadInput: no cell has enough of all three.
    """
    total = weights = 0.0
    for cell in torch.cat(cells).unique().tolist():
        ours, theirs, known = (
            rows[of == cell] for rows, of in zip((generated, held_out, training), cells, strict=True)
        )
        if len(ours) <= FEWEST or not len(theirs) or not len(known):
            continue
        score = z_score(nearest(ours, known).distances, nearest(theirs, known).distances)
        total += len(theirs) * score
        weights += len(theirs)
    if not weights:
        raise BadInput(f"held_out: no cell has more than {FEWEST} generated samples; give more images.")
    return total / weights


def partition(
    training: torch.Tensor, others: tuple[torch.Tensor, ...], seed: int
) -> tuple[tuple[torch.Tensor, ...], tuple[torch.Tensor, ...]]:
    """The sets in the coordinates that C_T takes, others first, training last, and the cells of each, int64.

    Principal components of the training set above COMPONENTS dimensions, then k-means into CELLS cells, the best of
    STARTS starts (Arthur and Vassilvitskii 2007). scikit-learn's, which the reference takes, starts elsewhere.
    """
    sets = (*others, training)
    if training.shape[1] > COMPONENTS:
        mean = training.double().mean(dim=0)
        spread = torch.cov(training.double().T)
        axes = torch.linalg.eigh(spread).eigenvectors[:, -COMPONENTS:]
        sets = tuple(((rows.double() - mean) @ axes).float() for rows in sets)
    generator = torch.Generator().manual_seed(seed)
    found = [_centres(sets[-1].double(), generator) for _ in range(STARTS)]
    centres = min(found, key=lambda each: each[1])[0]
    return sets, tuple(_nearest_centre(rows.double(), centres)[0] for rows in sets)


def _nearest_centre(rows: torch.Tensor, centres: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """int64 [N], float64 [N]: which, and the squared distance."""
    squares = torch.cdist(rows, centres, compute_mode="donot_use_mm_for_euclid_dist").square()
    return squares.argmin(dim=1), squares.amin(dim=1)


def _centres(rows: torch.Tensor, generator: torch.Generator) -> tuple[torch.Tensor, float]:
    """k-means from one start: centres [CELLS, D] and the sum of squares that they leave."""
    chosen = rows[torch.randint(len(rows), (1,), generator=generator)]
    while len(chosen) < min(CELLS, len(rows)):
        squares = _nearest_centre(rows, chosen)[1]
        if not squares.any():
            break
        chosen = torch.cat([chosen, rows[torch.multinomial(squares, 1, generator=generator)]])
    left = math.inf
    for _ in range(_STEPS):
        cells, squares = _nearest_centre(rows, chosen)
        if not float(squares.sum()) < left:
            break
        left = float(squares.sum())
        parts = [rows[cells == cell] for cell in range(len(chosen))]
        chosen = torch.stack([part.mean(dim=0) if len(part) else old for part, old in zip(parts, chosen, strict=True)])
    return chosen, left


def score_copying(pair: SetPair) -> list[Score]:
    """AuthPct and C_T with the reference as the training set, where there are held-out images; NaN with too few."""
    names = ("authpct", "c_t")
    if pair.held_out is None:
        return []
    rows = pair.three_sets(2)
    if isinstance(rows, str):
        return [Score(name, math.nan, note=rows) for name in names]
    generated, training, held_out = rows
    authentic = authentic_percentage(generated, training)
    told = f"{pair.held_out_elsewhere}{len(generated)} generated, {len(training)} training rows"
    taken = Score("authpct", authentic, note=f"{told}; of 100 generated images so many are no copies")
    (ours, theirs, known), cells = partition(training, (generated, held_out), pair.settings.subsets_seed)
    try:
        copied = data_copying(ours, theirs, known, (cells[0], cells[1], cells[2]))
    except BadInput as error:
        return [taken, Score("c_t", math.nan, note=str(error))]
    note = f"{told}, {len(held_out)} held-out rows, {CELLS} cells; below -3 it copies, above 3 it falls short"
    return [taken, Score("c_t", copied, note=note)]
