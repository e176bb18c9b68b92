"""Pictures judged by a classifier: the logarithm of the probability of a class (Dhariwal and Nichol 2021,
arXiv:2105.05233, section 4), here of a classifier of clean pictures."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from ...errors import BadInput, CannotDo
from ...scoring.extractors.base import Extractor
from ..base import MOST_NAMES, SampleRequest, number_of_class
from ..conditions import EVERY_CLASS
from .critic import Critic, digest
from .embedding_critic import KEPT


class ClassCritic(Critic):
    """log p of the class that is asked for."""

    name = "class"

    def __init__(self, extractor: Extractor, classes: Sequence[str]) -> None:
        """
        Args:
            extractor: one with classes. classes: names, or numbers from 0, or EVERY_CLASS for all in order; sample i
                takes entry i, the first again after the last.

        Raises:
            CannotDo: the extractor has no classes, or no derivatives.
            BadInput: there is no such class, or none is asked for.
        """
        if not extractor.classes or not extractor.side:
            raise CannotDo(
                f"extractor: {extractor.name} tells no classes with derivatives; take the starter classifier, or a "
                "network of ImageNet."
            )
        if not classes:
            raise BadInput("classes: there are none; write one name or number to a line.")
        names = extractor.class_names
        asked_of = f"classes: {extractor.name}"
        self._numbers = [
            number
            for each in classes
            for number in (
                range(extractor.classes)
                if each == EVERY_CLASS
                else [number_of_class(each, names, extractor.classes, asked_of)]
            )
        ]
        self._extractor = extractor
        self.modules, self.files = extractor.modules, extractor.files
        self.identity = digest([self.name, extractor.identity, self._numbers])
        distinct = [names[number] if names else str(number) for number in dict.fromkeys(self._numbers)]
        asked = ", ".join(distinct) if len(distinct) <= MOST_NAMES else f"{len(distinct)} classes"
        self.notes = (f"class critic: log p of {asked} by {extractor.name}",)

    def scores(
        self, pictures: torch.Tensor, requests: Sequence[SampleRequest], streams: Sequence[torch.Generator]
    ) -> torch.Tensor:
        found = self._extractor.see(pictures, ()).log_probabilities
        assert found is not None  # it has classes
        wanted = torch.tensor([self._numbers[request.index % len(self._numbers)] for request in requests])
        return found.gather(1, wanted.to(found.device)[:, None])[:, 0]

    def memory_bytes(self, height: int, width: int) -> int:
        return KEPT * self._extractor.memory_bytes(1)
