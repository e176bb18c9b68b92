"""Pictures that exist already, as a generator: a folder or a batch, as the real set or another tool's output."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple

import torch

from ..errors import BadInput
from ..files.paths import fingerprint
from ..pictures.image_files import read_picture
from ..pictures.images import rgb
from ..pictures.picture_folders import left_out_lines, list_pictures
from ..pictures.resizing import FITS, Fit, fit
from ..steps import OnStep
from .base import Descriptor, Generator, SampleRequest

Resize = Fit | Literal["none"]
Order = Literal["sequential", "shuffled"]
ORDERS: Final = ("sequential", "shuffled")


class Pictures(NamedTuple):
    """Where pictures come from.

    title: as tables show it. names: of each, for messages. read: number -> float32 [H, W, 3], 0..1, of any size.
    identity: changes when a picture does. left_out: lines about what looked like a picture and was not taken.
    """

    title: str
    names: tuple[str, ...]
    read: Callable[[int], torch.Tensor]
    identity: str
    left_out: tuple[str, ...] = ()


def from_folder(folder: Path, subfolders: bool = False) -> Pictures:
    """The picture files of a folder, read one at a time when they are drawn; a changed file is told by size and time.

    Raises:
        MissingFile: the folder holds no picture.
    """
    listing = list_pictures(folder, subfolders)
    files = listing.files
    names = tuple(file.relative_to(folder).as_posix() for file in files)
    identity = "\n".join(f"{name} {fingerprint(file, lasting=True)}" for name, file in zip(names, files, strict=True))
    left_out = tuple(left_out_lines(folder, subfolders, listing))
    return Pictures(folder.resolve().name, names, lambda number: read_picture(files[number]), identity, left_out)


def from_batch(images: torch.Tensor) -> Pictures:
    """The images of a batch [B, H, W, 3 or 4], 0..1; an alpha channel is ignored.

    Raises:
        BadInput: see `images.check_images`.
    """
    pixels = rgb(images, "images").clamp(0, 1).cpu().contiguous()
    names = tuple(f"image {number} of the batch" for number in range(len(pixels)))
    identity = f"{tuple(pixels.shape)} {hashlib.sha256(pixels.numpy().data).hexdigest()}"
    return Pictures("image batch", names, lambda number: pixels[number], identity)


class Images(Generator):
    """Draws picture `seed` modulo the number of pictures; when they are shuffled, that of a fixed permutation.

    So a run from seed 0 shows every picture once, in order, before the first comes again.
    """

    def __init__(
        self,
        pictures: Pictures,
        resize: Resize = "none",
        height: int = 0,
        width: int = 0,
        order: Order = "sequential",
        shuffle_seed: int = 0,
    ) -> None:
        """
        Args:
            resize: how pictures of other sizes are brought to one (`resizing.py`); "none" refuses them.
            height, width: of every picture, pixels; 0 is the first picture's own.
            shuffle_seed: of the permutation, 0 to 2^64 - 1.

        Raises:
            BadInput: sizes without a way to reach them, or a first picture that cannot be read.
        """
        if resize == "none" and (height or width):
            raise BadInput(f"resize: 'none' keeps sizes, yet {width} x {height} is asked for; choose crop, or 0 x 0.")
        first = pictures.read(0).shape
        self.modules = ()
        self.descriptor = Descriptor(
            family="images",
            architecture=pictures.title,
            height=height or first[0],
            width=width or first[1],
            channels=3,
            parameters=0,
        )
        self._pictures = pictures
        self._resize: Resize = resize
        count = len(pictures.names)
        shuffled = torch.randperm(count, generator=torch.Generator().manual_seed(shuffle_seed))
        self._order = shuffled.tolist() if order == "shuffled" else list(range(count))
        settings = f"{pictures.identity}\n{resize} {self.descriptor.height} {self.descriptor.width} {self._order}"
        self.identity = hashlib.sha256(settings.encode()).hexdigest()

    def draw(self, requests: Sequence[SampleRequest], options: Mapping[str, Any], on_step: OnStep) -> torch.Tensor:
        batch = torch.empty(len(requests), self.descriptor.height, self.descriptor.width, 3)
        for row, request in zip(batch, requests, strict=True):
            row.copy_(self._picture(self._order[request.seed % len(self._order)]))
        on_step(1, None)
        return batch

    def memory_bytes(self, batch_size: int) -> int:
        # The batch, and one picture beside it.
        return (batch_size + 1) * self.descriptor.height * self.descriptor.width * 3 * 4

    def _picture(self, number: int) -> torch.Tensor:
        picture = self._pictures.read(number)
        height, width = self.descriptor.height, self.descriptor.width
        if self._resize != "none":
            return fit(picture, height, width, self._resize)
        if picture.shape[:2] != (height, width):
            raise BadInput(
                f"resize: {self._pictures.names[number]} has {picture.shape[1]} x {picture.shape[0]} pixels, the first "
                f"picture {width} x {height}; choose a way to bring them to one size: {', '.join(FITS)}."
            )
        return picture
