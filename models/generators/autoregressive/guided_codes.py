"""Pictures drawn code by code behind the codes of another picture, a map of depths or of labels (Esser et al. 2021)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import torch
import torch.nn.functional as F

from ...errors import BadInput, CannotDo
from ...pictures import resizing
from ..base import Condition, Descriptor, SampleRequest
from ..reconstruction import grey
from .code_generator import CodeGenerator
from .code_prior import CodePrior
from .vq_model import VQModelCoder

LEVELS: Final = 255
"""Of an 8-bit picture; a map of labels has the number of each label as its grey level."""
FROM_1: Final = frozenset({183})
"""Numbers of labels of networks that count them from 1, so that 255, which stands for what has none, becomes 0:
COCO-Stuff's 182 and that one. Cannot be detected."""
SAME: Final = 1e-3
"""How far channels, and levels from whole ones, may lie apart, as shares of white."""


class GuidedCodeGenerator(CodeGenerator):
    """guide: the network whose codes of a map the prior begins with, on maps of the pictures' own size. It sees depths
    by one channel, a picture by three, -1..1 each, and labels by one each, of which one is 1 at a pixel and the rest 0.
    """

    def __init__(
        self, descriptor: Descriptor, coder: VQModelCoder, prior: CodePrior, guide: VQModelCoder, identity: str
    ) -> None:
        super().__init__(descriptor, coder, prior, identity, coder.floats)
        self.modules = (coder, prior, guide)
        self._guide = guide

    @property
    def labels(self) -> int:
        """Of the maps; 0 where they are of depths or plain pictures."""
        return 0 if self._channels in (1, 3) else self._channels

    @property
    def _channels(self) -> int:
        return self._guide.network.config.in_channels

    def check_condition(self, condition: Condition) -> None:
        super().check_condition(condition)
        for image in condition.images:
            self.guidance(image.values)

    def memory_bytes(self, batch_size: int) -> int:
        """As without a guide, which sees one map before anything else is there."""
        seen = self._guide.floats + 2 * self._channels
        return max(super().memory_bytes(batch_size), int(4 * seen * self.descriptor.height * self.descriptor.width))

    def given(self, requests: Sequence[SampleRequest], generators: Sequence[torch.Generator]) -> torch.Tensor:
        """The guide's codes of each request's map, int64 [N, places]; a map that several have is seen once."""
        if not all(request.condition.images for request in requests):
            what = {1: "a map of depths", 3: "a picture"}.get(self._channels, f"a map of {self.labels} labels")
            raise CannotDo(
                f"condition: this {self.descriptor.architecture} draws from {what}, and there is none; connect "
                "Condition on Images behind Load Generator."
            )
        maps = [request.condition.images[0] for request in requests]
        seen = {each: self._seen(each.values) for each in dict.fromkeys(maps)}
        return torch.stack([seen[each] for each in maps])

    def _seen(self, image: torch.Tensor) -> torch.Tensor:
        parameter = next(self._guide.parameters())
        pixels = self.guidance(image).to(parameter.device, parameter.dtype)
        return self._guide.codes(self._guide.network.encode(pixels[None]).latents).flatten().cpu()

    def guidance(self, image: torch.Tensor) -> torch.Tensor:
        """What the guide sees of a map [H, W, 3], 0..1: float32 [channels, height, width] of the pictures drawn.

        The shorter side is brought to theirs, and the middle cut out. Depths are first stretched from the least to the
        most, as in training.

        Raises:
            BadInput: it is no map of labels that the guide knows.
        """
        height, width = self.descriptor.height, self.descriptor.width
        if self.labels:
            return labels_as_channels(image, self.labels, height, width)
        if self._channels == 1:
            depths = grey(image[None])[0]
            low, high = depths.aminmax()
            image = (depths - low) / (high - low).clamp(min=1e-8)
        return 2 * resizing.fit(image, height, width, "crop").movedim(-1, 0)[: self._channels] - 1


def labels_as_channels(image: torch.Tensor, count: int, height: int, width: int) -> torch.Tensor:
    """A map [H, W, 3] whose grey levels are labels, a channel for each: float32 [count, height, width], 0 or 1.

    Raises:
        BadInput: it is not grey, has values between levels, or a level that is no label.
    """
    levels = (image * LEVELS).round()
    numbers = levels[..., 0].long()
    if count in FROM_1:
        numbers = (numbers + 1) % (LEVELS + 1)
    most = int(numbers.max())
    grey_enough = bool((image.amax(dim=2) - image.amin(dim=2) < SAME).all())
    if not grey_enough or bool(((levels / LEVELS - image).abs() > SAME).any()) or most >= count:
        found = (
            "it has colours"
            if not grey_enough
            else f"label {most} is none"
            if most >= count
            else "it has values between levels"
        )
        raise BadInput(
            f"images: this model draws from a map of {count} labels, a picture whose grey levels, 0 to {LEVELS}, are "
            f"their numbers; {found}. Give such a map, saved without loss as RGB."
        )
    scale = max(height / numbers.shape[0], width / numbers.shape[1])
    sizes = [max(least, round(side * scale)) for side, least in zip(numbers.shape, (height, width), strict=True)]
    resized = F.interpolate(numbers[None, None].float(), sizes, mode="nearest")[0, 0].long()
    top, left = (sizes[0] - height) // 2, (sizes[1] - width) // 2
    cut = resized[top : top + height, left : left + width]
    return F.one_hot(cut, count).movedim(-1, 0).float()
