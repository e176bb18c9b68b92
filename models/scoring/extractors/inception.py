"""Inception-v3 as FID defines it, as an extractor: from its published file, by the resize of any of four libraries."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import torch

from .base import Answers, Extractor, Source
from .inception_network import CLASSES, Inception
from .resizes import resize
from .weights import check_fit, identity_of

FAMILY: Final = "an Inception-v3 network"
"""As models/files/signatures.py calls it."""
NAME: Final = "Inception-v3 (FID)"
SIDE: Final = 299
VALUES_PER_IMAGE: Final = (32 + 64 + 64) * 147 * 147 + 3 * SIDE * SIDE
"""float32 values alive at once, where they are most: the third convolution's input and output, and its batch norm's."""
LAYOUT: Final = torch.channels_last
"""Of pixels in memory: the network takes 0.6 of the time on a CPU, and 8-bit images lie so already."""
COUNTERS: Final = ".num_batches_tracked"
"""Ending of what training kept in batch norms; some copies of the file have them, some have not."""


class InceptionExtractor(Extractor):
    """FID's 2048 features and the logits without bias; on demand those of sFID and of more depths."""

    main = "2048"
    spatial = "spatial"
    depths = ("64", "192", "2048")
    classes = CLASSES

    def __init__(self, network: Inception, resize: str) -> None:
        """resize: a key of resizes.RESIZES, which decides on the scaling of values too."""
        self.source = Source(NAME, identity_of(_weights(network.state_dict())), resize)
        self.taps = {"64": 64, "192": 192, "spatial": 2023, "768": 768, "2048": 2048}
        self.modules = (network,)

    def prepare(self, images: torch.Tensor) -> torch.Tensor:
        return resize(images, SIDE, self.source.resize)

    def extract(self, prepared: torch.Tensor, taps: Sequence[str]) -> Answers:
        (network,) = self.modules
        pixels = scale(prepared.to(network.fc.weight.device), self.source.resize)
        found = network(pixels.contiguous(memory_format=LAYOUT), taps)
        log_probabilities = found["logits"].log_softmax(dim=1)
        return Answers(tuple(found[tap].cpu() for tap in taps), log_probabilities.cpu())

    def memory_bytes(self, batch_size: int) -> int:
        return 4 * VALUES_PER_IMAGE * batch_size


def scale(pixels: torch.Tensor, resize: str) -> torch.Tensor:
    """Values 0..255, uint8 or float32, as the network of each library takes them: a new float32 tensor, about -1..1."""
    return torch.div(pixels, 255.0).mul_(2).sub_(1) if resize == "pytorch-fid" else torch.sub(pixels, 128.0).div_(128)


def load_inception(tensors: Mapping[str, torch.Tensor], name: str) -> Inception:
    """The network of a published state dict, float32 on the CPU. `name` is the file's, for messages.

    Raises:
        BadCheckpoint: the tensors are not exactly those of the 2015 graph (those of torchvision's are not).
    """
    with torch.device("meta"):
        network = Inception()
    expected = network.state_dict()
    found = {**{key: torch.tensor(0) for key in expected if key.endswith(COUNTERS)}, **tensors}
    check_fit(expected, found, name, "the Inception-v3 of FID, as pytorch-fid publishes it")
    network.to_empty(device="cpu").load_state_dict(found)
    return network.to(memory_format=LAYOUT).train(False).requires_grad_(False)


def _weights(tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {key: value for key, value in tensors.items() if not key.endswith(COUNTERS)}
