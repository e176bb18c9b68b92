"""StackGAN++ (Zhang et al. 2017): three stages that each draw from the one before and the condition."""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import torch
from torch import Tensor, nn

from .... import weights
from ....errors import BadCheckpoint
from ....families import Family
from ....files.atomic import replacing
from ....files.checkpoints import Checkpoint
from ....files.unpickling import as_tensor, contents, stands_for_tensor
from ....random_weights import random_weights, write
from ....weights import DtypeFor, Tensors, empty_weights, full_precision
from . import companions
from .drawing import Drawn, TextNetwork
from .generator import EmbeddingGAN
from .stages import (
    COUNTER,
    Colours,
    ConditioningAugmentation,
    FirstStage,
    count_residuals,
    count_stages,
    enlarging,
    gated,
    residuals,
    sides,
    with_counters,
)

NAME: Final = "StackGAN++"
SIGNS: Final = ("h_net1.fc.0.weight", "img_net1.img.0.weight", "h_net2.jointConv.0.weight")


class Sizes(NamedTuple):
    """text_dim: 0 where it draws without sentences; condition: of what is drawn of the sentence, then z itself.
    channels: of the first stage's last layer; each further stage has half of the one before."""

    z_dim: int
    text_dim: int
    condition: int
    channels: int
    stages: int
    residuals: int


class NextStage(nn.Module):
    """Features [N, channels, side, side] and the condition to [N, channels / 2, 2 side, 2 side]."""

    def __init__(self, condition: int, channels: int, count: int) -> None:
        super().__init__()
        self.jointConv = nn.Sequential(*gated(condition + channels, channels))
        self.residual = residuals(channels, count)
        self.upsample = enlarging(channels, channels // 2)

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        spread = condition[..., None, None].expand(-1, -1, *x.shape[2:])
        return self.upsample(self.residual(self.jointConv(torch.cat([spread, x], dim=1))))


class StackGAN(TextNetwork):
    """Without sentences (`text_dim` 0) the condition is z itself."""

    def __init__(self, size: Sizes) -> None:
        super().__init__()
        self.z_dim, self.text_dim, self.attends = size.z_dim, size.text_dim, 0
        self.noise_dim = size.condition if size.text_dim else 0
        self.sides = sides(size.stages)
        if size.text_dim:
            self.ca_net = ConditioningAugmentation(size.text_dim, size.condition)
        self.h_net1 = FirstStage(self.noise_dim + size.z_dim, size.channels)
        self.img_net1 = Colours(size.channels)
        channels = size.channels
        for number in range(2, size.stages + 1):
            self.add_module(f"h_net{number}", NextStage(size.condition, channels, size.residuals))
            self.add_module(f"img_net{number}", Colours(channels // 2))
            channels //= 2
        # Of the last stage: features before it, enlarged, and before their gates.
        self.floats = 5 * channels * self.sides[-1] ** 2

    def z_weights(self) -> Tensor:
        return self.h_net1.weights_of_last(self.z_dim)

    def forward(self, z: Tensor, sentence: Tensor, noise: Tensor, words: Tensor, masks: Sequence[Tensor]) -> Drawn:
        condition = self.ca_net(sentence, noise) if self.text_dim else z
        x = self.h_net1(torch.cat([condition, z], dim=1) if self.text_dim else z)
        pictures = [self.img_net1(x)]
        for number in range(2, len(self.sides) + 1):
            x = self.get_submodule(f"h_net{number}")(x, condition)
            pictures.append(self.get_submodule(f"img_net{number}")(x))
        return Drawn(tuple(pictures))


def sizes_of(tensors: Tensors) -> Sizes:
    """What the shapes of a file tell."""
    given = tensors["h_net1.fc.0.weight"].shape[1]
    channels = tensors["img_net1.img.0.weight"].shape[1]
    stages = count_stages(tensors)
    if "ca_net.fc.weight" not in tensors:
        return Sizes(given, 0, given, channels, stages, count_residuals(tensors))
    condition, text_dim = tensors["ca_net.fc.weight"].shape[0] // 4, tensors["ca_net.fc.weight"].shape[1]
    return Sizes(given - condition, text_dim, condition, channels, stages, count_residuals(tensors))


def detect(checkpoint: Checkpoint) -> bool:
    """Whether a checkpoint is a StackGAN++ generator."""
    return all(name in checkpoint.tensors for name in SIGNS)


def load(checkpoint: Checkpoint, dtype_for: DtypeFor = full_precision) -> EmbeddingGAN:
    """Build the generator of a checkpoint, with the embeddings of sentences beside it where it draws from those.

    Raises:
        MissingFile: the embeddings are not there.
        BadCheckpoint: a tensor is missing, unexpected, or of another shape, or the embeddings are.
    """
    what = f"{checkpoint.name}, {NAME}"
    with empty_weights():
        network = StackGAN(sizes_of(checkpoint.tensors))
    weights.fill(network, with_counters(network, checkpoint.tensors), what)
    embeddings: Sequence[Tensor] = ()
    names: tuple[str, ...] = ()
    if network.text_dim:
        path = checkpoint.path or Path()
        (file,) = companions.find(path, what, companions.EMBEDDINGS)
        embeddings = _embeddings(file, network.text_dim)
        named = companions.found(path, companions.FILENAMES)
        names = _names(named[0], len(embeddings)) if named else ()
    return EmbeddingGAN(NAME, network, embeddings, names, weights.identity(checkpoint.tensors))


def _embeddings(path: Path, size: int) -> list[Tensor]:
    """Of each picture, [sentences, size]."""
    found = _contents(path)
    listed = as_tensor(found) if stands_for_tensor(found) else found
    each = [as_tensor(value) for value in listed] if isinstance(listed, list) else listed
    made = [value[None] if value.ndim == 1 else value for value in each]
    if not made or any(value.ndim != 2 or value.shape[1] != size or not len(value) for value in made):
        raise BadCheckpoint(f"{path.name}: expected embeddings of {size} numbers for each picture; download it again.")
    return made


def _names(path: Path, count: int) -> tuple[str, ...]:
    found = _contents(path)
    if not isinstance(found, (list, tuple)) or len(found) != count or not all(isinstance(each, str) for each in found):
        raise BadCheckpoint(
            f"{path.name}: expected names of the {count} pictures that the embeddings are of; take it from the same "
            "folder as those."
        )
    return tuple(found)


def _contents(path: Path) -> Any:
    try:
        return contents(path)
    except BadCheckpoint as error:
        raise BadCheckpoint(f"{path.name}: {error}") from error


def tiny(folder: Path) -> Path:
    size = Sizes(5, 8, 6, 4, 2, 1)
    drawn = torch.rand(3, 2, 8, generator=torch.Generator().manual_seed(0)).numpy()
    with replacing(folder / "char-CNN-RNN-embeddings.pickle") as file:
        file.write(pickle.dumps(list(drawn), protocol=2))
    with replacing(folder / "filenames.pickle") as file:
        file.write(pickle.dumps(["001.Auk/1", "002.Bunting/2", "003.Crow/3"], protocol=2))
    made = random_weights(StackGAN(size))
    return write(folder / "tiny.safetensors", {name: made[name] for name in made if not name.endswith(COUNTER)})


def _typical() -> frozenset[str]:
    with empty_weights():
        return frozenset(StackGAN(Sizes(100, 1024, 128, 64, 3, 2)).state_dict())


FAMILY: Final = Family(NAME, detect, load, tiny, companions.files_with_embeddings, _typical)
