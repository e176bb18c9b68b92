"""The pass of a diagnosis: pictures of a generator, batch by batch, seen by an extractor and by a VAE's encoder."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import NamedTuple

import torch

from ...generators.base import Generator
from ...generators.binding import Batch, Bound, sample, total_steps
from ...generators.latents import fitted
from ...generators.sampling import fitting_batch
from ...steps import Halving, OnStep, quiet
from ..extractors.base import Answers, Extractor, eight_bit
from ..features.extraction import answer
from .failures import Activity, ActivitySums, Seen
from .relevance import Moments, Relevance, slopes, slopes_bytes
from .relevance import passes as relevance_passes


class Run(NamedTuple):
    """The first `count` pictures of a generator from a seed on."""

    bound: Bound
    count: int
    seed: int

    @property
    def steps(self) -> int:
        """What `on_step` counts up to."""
        return total_steps(self.bound, self.count)

    def draw_again(self, numbers: Sequence[int]) -> torch.Tensor:
        """Single pictures, by their places in the run: float32 [N, H, W, 3], 0..1."""
        return torch.cat([next(sample(self.bound, 1, self.seed, 1, first=number)).images for number in numbers])


def fitting(generated: Run, reference: Run) -> int:
    """How many pictures to look at together where the user does not say."""
    return min(fitting_batch(run.bound.generator, run.count) for run in (generated, reference))


def memory_bytes(generated: Run, reference: Run, extractor: Extractor, batch_size: int) -> int:
    """Activation memory of one batch, or of a VAE's slopes."""
    of = (generated.bound.generator, reference.bound.generator, extractor)
    return max(slopes_bytes(generated.bound.generator), *(network.memory_bytes(batch_size) for network in of))


def look(
    generated: Run, reference: Run, extractor: Extractor, batch_size: int, on_step: OnStep, halving: Halving
) -> tuple[Seen, Seen, Activity | None, Relevance | None]:
    """Both sets, the reference without repeats, and what the generator's encoder says of the reference.

    on_step: called with the steps done, of `total`. halving: see `extraction.stream`.
    """

    def after(done: int, preview: torch.Tensor | None = None) -> None:
        on_step(generated.steps + done, preview)

    ours = halving(Look(generated, extractor, on_step).fill, batch_size)
    watching = Look(reference, extractor, after, distinct=True, encoder=generated.bound.generator)
    theirs = halving(watching.fill, batch_size)
    network, relevance = generated.bound.generator, None
    if relevance_passes(network) and watching.moments is not None:
        begun = generated.steps + reference.steps
        slope = slopes(network, watching.moments.latents, lambda done, preview=None: on_step(begun + done, preview))
        relevance = Relevance(watching.moments.moment, slope)
    return ours, theirs, watching.sums.activity(), relevance


def total(generated: Run, reference: Run) -> int:
    """What `look` counts up to."""
    return generated.steps + reference.steps + relevance_passes(generated.bound.generator)


class Look:
    """Sees the pictures of a run, of which nothing is kept but features and classes.

    What is done when a batch runs out of memory stays, and the next `fill` goes on behind it.
    """

    def __init__(
        self,
        run: Run,
        extractor: Extractor,
        on_step: OnStep = quiet,
        distinct: bool = False,
        encoder: Generator | None = None,
    ) -> None:
        """
        Args:
            on_step: called with the steps done.
            distinct: leave out pictures that are equal, pixel for pixel, to an earlier one.
            encoder: encodes every picture for `sums`; pictures of another size are cut to the size that it takes.
        """
        self._run = run
        self._extractor = extractor
        self._on_step = on_step
        self._distinct = distinct
        self._encoder = encoder
        self._done = 0
        self._digests: set[bytes] = set()
        self._numbers: list[int] = []
        self._answers: list[Answers] = []
        self.sums = ActivitySums()
        self.moments: Moments | None = None

    def fill(self, batch_size: int) -> Seen:
        """All of them.

        Raises:
            BadInput: count or batch size below 1.
        """
        bound, count, seed = self._run
        first = self._done
        evaluations = bound.generator.evaluations(bound.settings)

        def on_step(step: int, preview: torch.Tensor | None = None) -> None:
            self._on_step(first * evaluations + step, preview)

        for batch in sample(bound, count - first, seed, batch_size, on_step, first):
            self._see(batch, batch_size)
        features = torch.cat([answers.taps[0] for answers in self._answers])
        classes = None
        likely = [answers.log_probabilities for answers in self._answers if answers.log_probabilities is not None]
        if likely:
            classes = torch.cat([each.argmax(dim=1) for each in likely])
        return Seen(features, classes, tuple(self._numbers), self._done - len(self._numbers))

    def _see(self, batch: Batch, batch_size: int) -> None:
        pixels = eight_bit(batch.images)
        digests = [hashlib.blake2b(picture.numpy().tobytes(), digest_size=16).digest() for picture in pixels]
        chosen = self._new(digests) if self._distinct else list(range(len(pixels)))
        if chosen:
            prepared = self._extractor.prepare(pixels[chosen])
            answers = answer(self._extractor, prepared, (self._extractor.main,), batch_size)
            posterior = None
            if self._encoder is not None:
                with torch.no_grad():
                    shown = fitted(batch.images[chosen], self._encoder.descriptor, "crop")
                    posterior = self._encoder.posterior(shown)
            # Nothing is counted before everything has fitted into memory.
            self._answers.append(answers)
            self._numbers += [batch.requests[place].index for place in chosen]
            if posterior is not None:
                self.sums.add(posterior)
                self.moments = self.moments or Moments()
                self.moments.add(posterior)
        self._digests.update(digests)
        self._done += len(pixels)

    def _new(self, digests: Sequence[bytes]) -> list[int]:
        firsts = {digest: place for place, digest in reversed(list(enumerate(digests)))}
        return sorted(place for digest, place in firsts.items() if digest not in self._digests)
