"""Inception-v3 as FID defines it, as an extractor: from its published files, by the resize of any of four libraries."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import torch

from ... import weights
from ...errors import BadCheckpoint
from ...families import Family
from ...files import catalog
from ...files.checkpoints import Checkpoint
from ...weights import DtypeFor, Tensors, empty_weights
from . import inception_program
from .base import Answers, Extractor, weight_files
from .inception_network import CLASSES, Inception
from .resizes import resize, with_derivatives

ONE_OF_ITS: Final = "Mixed_5b.branch1x1.conv.weight"
"""A tensor that all Inceptions have, and nothing else has."""
NAME: Final = "Inception-v3 (FID)"
SIDE: Final = 299
VALUES_PER_IMAGE: Final = (32 + 64 + 64) * 147 * 147 + 3 * SIDE * SIDE
"""float32 values alive at once, where they are most: the third convolution's input and output, and its batch norm's."""
LAYOUT: Final = torch.channels_last
"""Of pixels in memory: the network takes 0.6 of the time on a CPU, and 8-bit images lie so already."""
COUNTERS: Final = ".num_batches_tracked"
"""Ending of what training kept in batch norms; some copies of the file have them, some have not."""


class InceptionExtractor(Extractor):
    """FID's 2048 features and the logits without bias; on demand those of sFID and of more depths.

    The resize decides on the scaling of values too.
    """

    main = "2048"
    spatial = "spatial"
    depths = ("64", "192", "2048")
    classes = CLASSES
    side = SIDE

    def __init__(self, network: Inception) -> None:
        self.name = NAME
        self.identity = weights.identity(_weights(network.state_dict()))
        self.network = network
        self.taps = {"64": 64, "192": 192, "spatial": 2023, "768": 768, "2048": 2048}
        self.modules = (network,)

    @property
    def setup(self) -> Mapping[str, str]:
        values = "2 x / 255 - 1" if self.resize == "pytorch-fid" else "(x - 128) / 128"
        return {"model": NAME, "layer": self.main, "side": str(SIDE), "values": values}

    def prepare(self, images: torch.Tensor) -> torch.Tensor:
        return resize(images, SIDE, self.resize)

    def extract(self, prepared: torch.Tensor, taps: Sequence[str]) -> Answers:
        pixels = scale(prepared.to(self.network.fc.weight.device), self.resize)
        found = self.network(pixels.contiguous(memory_format=LAYOUT), taps)
        log_probabilities = found["logits"].log_softmax(dim=1)
        return Answers(tuple(found[tap].cpu() for tap in taps), log_probabilities.cpu())

    def see(self, pictures: torch.Tensor, taps: Sequence[str]) -> Answers:
        pixels = scale(with_derivatives(pictures, SIDE), self.resize)
        found = self.network(pixels.contiguous(memory_format=LAYOUT), taps)
        return Answers(tuple(found[tap] for tap in taps), found["logits"].log_softmax(dim=1))

    def memory_bytes(self, batch_size: int) -> int:
        return 4 * VALUES_PER_IMAGE * batch_size


def scale(pixels: torch.Tensor, resize: str) -> torch.Tensor:
    """Values 0..255, uint8 or float32, as the network of each library takes them: a new float32 tensor, about -1..1."""
    return torch.div(pixels, 255.0).mul_(2).sub_(1) if resize == "pytorch-fid" else torch.sub(pixels, 128.0).div_(128)


def inception_of(checkpoint: Checkpoint) -> Inception:
    """The network of a published state dict, or of the weights of NVIDIA's program, float32 on the CPU.

    Raises:
        BadCheckpoint: the tensors are not exactly those of the 2015 graph (those of torchvision's are not).
    """
    name = checkpoint.path.name if checkpoint.path else "the file"
    what = f"model: {name}, the Inception-v3 of FID"
    tensors: Tensors = checkpoint.tensors
    if inception_program.is_program(tensors):
        tensors = inception_program.published_names(tensors, what)
    rows = tensors.get("fc.weight", torch.empty(CLASSES, 0)).shape[0]
    if rows != CLASSES:
        published = catalog.PUBLISHED["extractor"][0]
        raise BadCheckpoint(
            f"model: {name} is an Inception-v3 trained for {rows} classes, such as torchvision's; FID is defined by "
            f"that of 2015, with {CLASSES}: fetch {published.name} from {published.source}."
        )
    with empty_weights():
        network = Inception()
    counters = {key: torch.tensor(0) for key in network.state_dict() if key.endswith(COUNTERS)}
    weights.fill(network, {**counters, **tensors}, what)
    return network.to(memory_format=LAYOUT)


def _weights(tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {key: value for key, value in tensors.items() if not key.endswith(COUNTERS)}


def _detect(checkpoint: Checkpoint) -> bool:
    return ONE_OF_ITS in checkpoint.tensors or inception_program.is_program(checkpoint.tensors)


def _load(checkpoint: Checkpoint, dtype_for: DtypeFor) -> Extractor:
    return InceptionExtractor(inception_of(checkpoint))


def _typical() -> frozenset[str]:
    with empty_weights():
        return frozenset(_weights(Inception().state_dict()))


def _tiny(folder: Path) -> Path:
    """Of the one size that there is, in half precision: 48 MB."""
    from safetensors.torch import save_file

    with empty_weights():
        shapes = {key: value.shape for key, value in _weights(Inception().state_dict()).items()}
    tensors = {
        key: (torch.randn(shape) * shape[1:].numel() ** -0.5 if len(shape) > 1 else torch.rand(shape) + 0.5).half()
        for key, shape in shapes.items()
    }
    path = folder / "inception.safetensors"
    save_file(tensors, path)
    return path


INCEPTION: Final[Family[Extractor]] = Family(NAME, _detect, _load, _tiny, weight_files, _typical)
