"""The one pass of scoring: images in, features out, batch by batch, with the data path beside the network."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import groupby, islice
from typing import Final, NamedTuple, TypeVar

import torch

from ...steps import Halving, OnStep, as_given, quiet
from ..extractors.base import Answers, Extractor
from .feature_set import ROWS, Accumulator, Features
from .keys import hash_keys, is_drawn

T = TypeVar("T")
AHEAD: Final = 2
"""Batches that are made ready while the network works on another."""
BUDGET: Final = 2**30
"""Bytes of activations that a batch of the node's own choice may take."""
MAX_BATCH: Final = 64
"""Larger ones are no quicker: what a layer gives then comes fresh from the system each time."""


class Named(NamedTuple):
    """One image of a set.

    name: what tells the sample from all others, see keys.py. index: its place in the run. pixels: uint8 [H, W, 3], CPU.
    """

    name: str
    index: int
    pixels: torch.Tensor


class Batch(NamedTuple):
    """Features of N images. keys, indices: int64 [N]. answers: of the taps in the order asked for.
    drawn: whether the indices are the seeds that all of them were drawn with."""

    keys: torch.Tensor
    indices: torch.Tensor
    answers: Answers
    drawn: bool = False


class _Ready(NamedTuple):
    """A batch before the network: names and indices of its images, and what `Extractor.prepare` made of them."""

    names: list[str]
    indices: list[int]
    prepared: torch.Tensor


def fitting_batch(extractor: Extractor, count: int) -> int:
    """How many of `count` images to look at together where the user does not say."""
    return max(1, min(count, MAX_BATCH, BUDGET // max(1, extractor.memory_bytes(1))))


def stream(
    extractor: Extractor,
    images: Iterable[Named],
    taps: Sequence[str],
    batch_size: int,
    on_step: OnStep = quiet,
    halving: Halving = as_given,
) -> Iterator[Batch]:
    """Features of images, in their order, `batch_size` at a time; the last batch may be smaller.

    One other thread reads `images`, which may differ in size, and makes them the network's input, up to AHEAD batches
    before they are needed: what reads files belongs in the iterable, what computes on a device does not. The thread
    ends before this does, however it ends; what it raises is raised here.

    Args:
        on_step: called with the number of images done, after each batch was taken.
        halving: `host.halving`, for instance: calls its argument with the batch size, and again with half of it while
            memory runs out. The batch that failed is taken again in parts, and so are all that follow.
    """
    waiting = iter(images)
    # Both are a thread's own, and the other one needs the caller's.
    inference = torch.is_inference_mode_enabled()

    def make_ready() -> _Ready | None:
        with torch.inference_mode(inference), torch.no_grad():
            return _ready(extractor, list(islice(waiting, batch_size)))

    done, largest = 0, batch_size
    reader = ThreadPoolExecutor(max_workers=1, thread_name_prefix="images")
    try:
        coming = deque(reader.submit(make_ready) for _ in range(AHEAD))
        while (ready := coming.popleft().result()) is not None:
            coming.append(reader.submit(make_ready))

            def run(size: int, prepared: torch.Tensor = ready.prepared) -> Answers:
                nonlocal largest
                largest = size
                return answer(extractor, prepared, taps, size)

            answers = halving(run, largest)
            drawn = all(map(is_drawn, ready.names))
            yield Batch(hash_keys(ready.names), torch.tensor(ready.indices), answers, drawn)
            done += len(ready.names)
            on_step(done)
    finally:
        reader.shutdown(wait=True, cancel_futures=True)


def _ready(extractor: Extractor, images: Sequence[Named]) -> _Ready | None:
    if not images:
        return None
    groups = [list(group) for _, group in groupby(images, lambda image: image.pixels.shape)]
    prepared = [extractor.prepare(torch.stack([image.pixels for image in group])) for group in groups]
    names, indices, _ = zip(*images, strict=True)
    return _Ready(list(names), list(indices), prepared[0] if len(prepared) == 1 else torch.cat(prepared))


def answer(extractor: Extractor, prepared: torch.Tensor, taps: Sequence[str], batch_size: int) -> Answers:
    """Features of what `Extractor.prepare` gave, at most `batch_size` images at a time."""
    with torch.no_grad():
        parts = [extractor.extract(part, taps) for part in prepared.split(batch_size)]
    return parts[0] if len(parts) == 1 else _joined(parts)


def _joined(parts: Sequence[Answers]) -> Answers:
    taps = tuple(torch.cat(values) for values in zip(*(part.taps for part in parts), strict=True))
    classes = [part.log_probabilities for part in parts if part.log_probabilities is not None]
    return Answers(taps, torch.cat(classes) if classes else None)


def accumulate(
    extractor: Extractor,
    images: Iterable[Named],
    taps: Sequence[str],
    name: str,
    batch_size: int,
    capacity: int = ROWS,
    seed: int = 0,
    on_step: OnStep = quiet,
    halving: Halving = as_given,
) -> Features:
    """Features of a set of images, of which nothing is kept but sums and at most `capacity` rows.

    Args:
        taps: of the extractor, the main one first (extractors.chosen_taps).
        name: of the set, as tables show it. capacity, seed: of the rows, see features.Rows.

    Raises:
        BadInput: an image comes twice, or its features are not numbers.
    """
    sizes = {tap: extractor.taps[tap] for tap in taps}
    accumulator = Accumulator(extractor.source, sizes, extractor.classes, capacity, seed)
    for batch in stream(extractor, images, taps, batch_size, on_step, halving):
        accumulator.add(*batch)
    return accumulator.features(name)
