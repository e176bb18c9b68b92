"""What every score of two sets of features [N, D] asks of them."""

from __future__ import annotations

import torch

from ...errors import BadInput


def check_rows(name: str, rows: torch.Tensor, at_least: int = 2) -> None:
    """
    Raises:
        BadInput: `rows`, called `name`, is not [N, D], has fewer than `at_least` rows, or a value that is not finite.
    """
    if rows.ndim != 2:
        raise BadInput(f"{name}: features have the shape {list(rows.shape)}; give [samples, dimensions].")
    if len(rows) < at_least:
        raise BadInput(f"{name}: features of {len(rows)} samples are too few; give at least {at_least}.")
    check_finite(name, rows)


def check_finite(name: str, values: torch.Tensor) -> None:
    """
    Raises:
        BadInput: a value of `values`, called `name`, is NaN or infinite.
    """
    # A sum of finite values may overflow, but one of others is never finite, and it is asked in a tenth of the time.
    if values.sum().isfinite():
        return
    broken = int((~values.isfinite()).sum())
    if broken:
        raise BadInput(f"{name}: {broken} values are NaN or infinite; check its images and the extractor.")


def check_pair(generated: torch.Tensor, reference: torch.Tensor, at_least: int = 2) -> None:
    """
    Raises:
        BadInput: as `check_rows`, of either set; or the dimensions differ.
    """
    check_rows("generated", generated, at_least)
    check_rows("reference", reference, at_least)
    check_sizes(generated.shape[1], reference.shape[1])


def check_sizes(generated: int, reference: int) -> None:
    """
    Raises:
        BadInput: the two dimensions differ.
    """
    if generated != reference:
        raise BadInput(
            f"reference: features of {reference} dimensions do not compare with {generated} of the generated set; "
            "take both with the same extractor."
        )
