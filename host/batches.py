"""Halves a batch until it fits the device."""

from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def halve(
    run: Callable[[int], T],
    batch_size: int,
    is_out_of_memory: Callable[[Exception], bool],
    empty_cache: Callable[[], None],
) -> T:
    """`run(batch_size)`, and after each out-of-memory error again with half the batch.

    Any other error, and out of memory at a batch of one, comes out as it came.
    """
    while True:
        try:
            return run(batch_size)
        except Exception as error:
            if batch_size <= 1 or not is_out_of_memory(error):
                raise
        # Only here, after the except block, is the failed attempt's traceback gone, and with it its tensors.
        empty_cache()
        batch_size //= 2
