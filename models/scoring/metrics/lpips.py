"""LPIPS (Zhang et al. 2018, arXiv:1801.03924): torchmetrics' network, filled from files on disk, never from the net."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final, Literal, NamedTuple

import torch
from torch import nn

from ... import weights
from ...errors import MissingFile
from ...files.catalog import PublishedFile
from ...files.checkpoints import read
from ...weights import empty_weights

Net = Literal["alex", "vgg"]


class Backbone(NamedTuple):
    """file: torchvision's ImageNet weights. builder: of torchvision.models. side: shortest that it takes, in pixels.

    floats: of activations kept per pixel, for two images.
    """

    file: PublishedFile
    builder: str
    side: int
    floats: int


BACKBONES: Final[dict[Net, Backbone]] = {
    "alex": Backbone(
        PublishedFile(
            name="alexnet-owt-7be5be79.pth",
            source="https://download.pytorch.org/models/alexnet-owt-7be5be79.pth",
            bytes=244_408_911,
            sha256="7be5be791159472b1fbf3c69796f7cb30dca7ad8466c2df70058c37116cdee02",
        ),
        "alexnet",
        side=31,
        floats=50,
    ),
    "vgg": Backbone(
        PublishedFile(
            name="vgg16-397923af.pth",
            source="https://download.pytorch.org/models/vgg16-397923af.pth",
            bytes=553_433_881,
            sha256="397923af8e79cdbb6a7127f12361acd7a2f83e06b05044ddf496e83de57a5bf0",
        ),
        "vgg16",
        side=16,
        floats=480,
    ),
}
"""The backbones with which LPIPS is reported; their linear heads come with torchmetrics."""


def missing_file(net: Net, folder: Path, otherwise: str = "none") -> MissingFile:
    """The error for a backbone that is not on disk: what it is, where from, size, hash, and where it goes.

    otherwise: what can be chosen instead.
    """
    file = BACKBONES[net].file
    return MissingFile(
        f"lpips: {net} needs {file.name}, which is not on this machine. Fetch it from {file.source} ({file.bytes:,} "
        f"bytes, SHA-256 {file.sha256}) and put it into {folder}; or choose {otherwise}."
    )


class Lpips:
    """The network with one of the backbones; see families.Model for its attributes.

    side: shortest of the images that it takes, in pixels.
    """

    def __init__(self, net: Net, network: nn.Module, path: Path) -> None:
        """path: of the backbone."""
        self._net: Net = net
        self._network = network
        self.side = BACKBONES[net].side
        self.modules: tuple[nn.Module, ...] = (network,)
        self.identity = weights.identity(network.state_dict())
        self.files: tuple[Path, ...] = (path,)

    @torch.no_grad()
    def distance(self, reference: torch.Tensor, image: torch.Tensor) -> float:
        """LPIPS of two images [1, 3, H, W], 0..1, at their own size; 0 is the same."""
        return float(self.distances(reference, image))

    def distances(self, references: torch.Tensor, images: torch.Tensor) -> torch.Tensor:
        """LPIPS of pairs [N, 3, H, W], 0..1 or a little beyond, [N], with derivatives where they are asked for."""
        device = next(self._network.parameters()).device
        return self._network(references.to(device), images.to(device), normalize=True).flatten()

    def memory_bytes(self, height: int, width: int) -> int:
        """Estimate of what `distance` takes beside the weights."""
        return memory_bytes(self._net, height, width)


def memory_bytes(net: Net, height: int, width: int) -> int:
    """The same of a backbone that is not loaded."""
    return 4 * BACKBONES[net].floats * height * width


def load_lpips(net: Net, path: Path) -> Lpips:
    """The network with the backbone's weights at `path`, float32, on the CPU.

    Raises:
        BadCheckpoint: the file is broken, or is not exactly torchvision's network.
    """
    import torchmetrics
    import torchvision
    from torchmetrics.functional.image import lpips

    builder = BACKBONES[net].builder
    with empty_weights():
        whole = getattr(torchvision.models, builder)(weights=None).state_dict()
        # Random backbone and heads: with any other setting the library would fetch weights.
        network = lpips._LPIPS(net=net, pnet_rand=True, pretrained=False)
    # Its constants are no parameters, so that loading would not bring them back from meta.
    network.scaling_layer = lpips.ScalingLayer()
    tensors, what = read(path).tensors, f"lpips: {path.name}, torchvision's {builder}"
    weights.check_fit({name: value.shape for name, value in whole.items()}, tensors, what)
    heads = read(Path(torchmetrics.__file__).parent / "functional" / "image" / "lpips_models" / f"{net}.pth").tensors
    state = {}
    for name in network.state_dict():
        # The library has each head under two names.
        head = re.sub(r"^lins\.(\d)", r"lin\1", name)
        # Slices keep the numbers that their layers have in torchvision's network.
        layer = re.sub(r"^net\.slice\d", "features", name)
        state[name] = heads[head] if head in heads else tensors[layer]
    weights.fill(network, state, what)
    return Lpips(net, network, path)
