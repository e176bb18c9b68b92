"""The smallest extractor that has every ability of the contract: linear maps of a picture cut or padded to 4 x 4."""

from __future__ import annotations

import torch
from torch import nn
from trilemma.models.scoring.extractors.base import Answers, Extractor
from trilemma.models.scoring.features.feature_set import Accumulator
from trilemma.models.scoring.features.keys import hash_keys

SIDE, SIZE, CLASSES = 4, 6, 3


class Toy(Extractor):
    """weights: seed of its maps, so that two toys are two extractors. room: the largest batch that fits.

    batches: sizes of all batches that were extracted. broken: gives NaN for pictures whose first value is 255.
    """

    main = "deep"
    spatial = "place"
    depths = ("early", "deep")
    classes = CLASSES

    def __init__(self, weights: int = 0, resize: str = "cut", room: int = 10**6, broken: bool = False) -> None:
        generator = torch.Generator().manual_seed(weights)
        self.taps = {"early": 2, "place": 3, "deep": SIZE}
        layer = nn.Linear(SIDE * SIDE * 3, 2 + 3 + SIZE + CLASSES, bias=False, dtype=torch.float64)
        nn.init.normal_(layer.weight, generator=generator)
        self.modules = (layer,)
        self.name, self.identity, self.resize = "toy", f"{weights:08}", resize
        self.room = room
        self.broken = broken
        self.batches: list[int] = []

    def prepare(self, images):
        prepared = torch.zeros(len(images), SIDE, SIDE, 3)
        height, width = (min(SIDE, side) for side in images.shape[1:3])
        prepared[:, :height, :width] = images[:, :height, :width] / 255
        return prepared.flatten(1)

    def extract(self, prepared, taps):
        if len(prepared) > self.room:
            raise torch.cuda.OutOfMemoryError(f"no room for {len(prepared)}")
        self.batches.append(len(prepared))
        early, place, deep, logits = self.modules[0](prepared.double()).float().split([2, 3, SIZE, CLASSES], dim=1)
        if self.broken:
            deep = deep.masked_fill(prepared[:, :1] == 1, torch.nan)
        found = {"early": early, "place": place, "deep": deep}
        return Answers(tuple(found[tap] for tap in taps), logits.log_softmax(dim=1))

    def memory_bytes(self, batch_size):
        return 1000 * batch_size


def pictures(count: int, seed: int = 0, side: int = SIDE) -> torch.Tensor:
    """uint8 [count, side, side, 3] of noise."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (count, side, side, 3), dtype=torch.uint8, generator=generator)


@torch.no_grad()
def features(first: int, last: int, name: str = "set", capacity: int = 20, seed: int = 0, taps=("deep",), toy=None):
    """Of samples `first` to `last - 1` of an endless set."""
    toy = toy or Toy()
    accumulator = Accumulator(toy.source, {tap: toy.taps[tap] for tap in taps}, CLASSES, capacity, seed)
    numbers = torch.arange(first, last)
    images = torch.cat([pictures(1, seed=number) for number in numbers.tolist()])
    answers = toy.extract(toy.prepare(images), taps)
    accumulator.add(hash_keys(f"sample {number}" for number in numbers.tolist()), numbers, answers)
    return accumulator.features(name)
