"""How what a network computed is compared.

The same numbers come out in another order of summation wherever a network runs in another place of a batch, in a
batch of another size, on other threads or on another processor. Equal to the last bit are only copies, noise,
codes, and pixels that no network touched.
"""

from __future__ import annotations

import numpy as np
import torch

RELATIVE = 1e-5
Values = torch.Tensor | np.ndarray


def is_close(actual: Values, expected: Values, relative: float = RELATIVE) -> bool:
    """Whether the shapes are equal and the values differ by at most `relative` of the largest that is expected.

    Where all that is expected is 0, nothing else will do; NaN and infinity are close to nothing.
    """
    actual, expected = _exact(actual), _exact(expected)
    if actual.shape != expected.shape:
        return False
    if not expected.numel():
        return True
    largest = expected.abs().max()
    return bool(largest.isfinite() & ((actual - expected).abs().max() <= relative * largest))


def are_distinct(batch: Values, relative: float = RELATIVE) -> bool:
    """Whether any two along the first axis differ by more than `relative` of the largest value in the batch."""
    rows = _exact(batch).flatten(1)
    return bool(torch.pdist(rows, p=torch.inf).min() > relative * rows.abs().max())


def assert_close(actual: Values, expected: Values, relative: float = RELATIVE) -> None:
    """`is_close`, with the figures where it fails."""
    if is_close(actual, expected, relative):
        return
    actual, expected = _exact(actual), _exact(expected)
    assert actual.shape == expected.shape, f"shape {tuple(actual.shape)} and not {tuple(expected.shape)}"
    off, largest = (actual - expected).abs(), expected.abs().max().item()
    place = tuple(int(index) for index in np.unravel_index(int(off.argmax()), off.shape))
    raise AssertionError(
        f"{actual[place].item():.9g} and not {expected[place].item():.9g} at {list(place)}: off by {off[place]:.3g}, "
        f"which is {off[place] / largest if largest else float('inf'):.3g} of the largest value {largest:.6g}; "
        f"at most {relative:g} of it is allowed. {int((off > relative * largest).sum())} of {off.numel()} are off."
    )


def _exact(values: Values) -> torch.Tensor:
    return torch.as_tensor(values).detach().cpu().double()


def assert_same_masks(actual: Values, expected: Values, share: float = 1e-3) -> None:
    """Masks that were cut from what a network computed: alike but for a share of pixels that lie at the threshold."""
    assert actual.shape == expected.shape, f"shape {tuple(actual.shape)} and not {tuple(expected.shape)}"
    other = (torch.as_tensor(actual).bool() != torch.as_tensor(expected).bool()).double().mean().item()
    assert other <= share, f"{other:.2%} of the pixels are on the other side, and {share:.2%} may be"
