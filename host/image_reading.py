"""Picture files as ComfyUI's own Load Image reads them, for running without ComfyUI.

ComfyUI 0.28 decodes by PyAV (FFmpeg), and by Pillow what PyAV finds no frame in; until 0.3.64 it was Pillow alone. The
two give other pixels and other masks for many kinds of file; the help of Load Images has the table.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import torch
from PIL import Image, ImageFile, ImageOps, ImageSequence

from ..models.errors import BadInput, is_out_of_memory

if TYPE_CHECKING:
    from collections.abc import Callable

PYAV: Final = "PyAV"
PILLOW: Final = "Pillow"
EIGHT_BIT: Final = frozenset({"yuvj420p", "yuvj422p", "yuvj444p", "rgb24", "rgba", "pal8"})
"""Pixel formats of FFmpeg that become 8 bits of RGB; all others become floats, whose white can be 255/256."""
ALIGNED: Final = 32
"""Pixels. FFmpeg converts rows of other lengths to float with what lies behind their end."""
NO_MASK: Final = (64, 64)
"""Size of the zero mask of pictures without alpha."""


def reader() -> str:
    """What reads pictures here: PyAV, or Pillow where PyAV is not installed."""
    return PYAV if find_spec("av") else PILLOW


def read_image(path: Path) -> tuple[torch.Tensor, torch.Tensor]:
    """Image [B, H, W, 3] float32, about 0..1, of all frames, and mask 1 - alpha [B, H, W], or zeros [B, 64, 64] where
    the file has no alpha.

    Raises:
        BadInput: it cannot be read; names the file.
    """
    try:
        if reader() == PYAV:
            return _by_pyav(path) or _by_pillow(path, later=True)
        _tell_once()
        return _by_pillow(path, later=False)
    except (OSError, SyntaxError, ValueError, RuntimeError, Image.DecompressionBombError) as error:
        if is_out_of_memory(error):
            raise
        raise BadInput(f"image: {path} cannot be read as a picture ({error}); repair it, or choose another.") from error


@cache
def _tell_once() -> None:
    logging.getLogger(__name__).warning(
        "PyAV is not installed, so Load Image reads by Pillow, as ComfyUI 0.3.64 does; ComfyUI 0.28 gives other pixels "
        "for JPEG and many other files. `pip install av` reads as it does."
    )


def _by_pyav(path: Path) -> tuple[torch.Tensor, torch.Tensor] | None:
    """None where the file has no frame that PyAV decodes."""
    import av  # here, for it is slow to import and not always installed
    from av.error import FFmpegError

    convert, taken = None, []
    try:
        with av.open(str(path), mode="r") as container:
            if not container.streams.video:
                return None
            for frame in _frames(container):
                convert = convert or _Converter(frame)
                taken.append(torch.from_numpy(convert(frame)))
    except FFmpegError as error:
        # ComfyUI ends here, also with pictures of less than half of ALIGNED pixels, which are no worse for it.
        logging.getLogger(__name__).info("PyAV does not read %s (%s)", path, error)
        return None
    if convert is None:
        return None
    pixels = torch.stack(taken)
    if convert.eight_bit:
        pixels = pixels.float() / 255
    if not convert.alpha:
        return pixels, torch.zeros(len(pixels), *NO_MASK)
    return pixels[..., :3], 1 - pixels[..., 3]


def _frames(container: Any) -> Iterator[Any]:
    from av.error import InvalidDataError

    for packet in container.demux(container.streams.video[0]):
        try:
            yield from packet.decode()
        except InvalidDataError:
            logging.getLogger(__name__).info("a part of %s cannot be decoded", container.name)


class _Converter:
    """FFmpeg's frames to arrays [H, W, 3 or 4], uint8 or float32, all in the format that the first one decides."""

    def __init__(self, first: Any) -> None:
        kind = first.format.name
        self.alpha = kind == "pal8" or any(part.is_alpha for part in first.format.components)
        self.eight_bit = kind in EIGHT_BIT
        if self.eight_bit:
            self._format = "rgba" if self.alpha else "rgb24"
        else:
            self._format = "gbrapf32le" if self.alpha else "gbrpf32le"
        self._widen = None if self.eight_bit or first.width % ALIGNED == 0 else _Widening(first)

    def __call__(self, frame: Any) -> np.ndarray:
        height, width = frame.height, frame.width
        whole = frame if self._widen is None else self._widen(frame)
        pixels = whole.to_ndarray(format=self._format)[:height, :width]
        # What EXIF says of turning; FFmpeg does not tell of mirroring.
        return np.ascontiguousarray(np.rot90(pixels, round(frame.rotation // 90)))


class _Widening:
    """A filter that extends frames like the first one to aligned sides, by their last row and column."""

    def __init__(self, first: Any) -> None:
        from av.filter import Graph

        width, height = (-(-side // ALIGNED) * ALIGNED for side in (first.width, first.height))
        # Held here: its ends do not hold it.
        self._graph = graph = Graph()
        self._given = graph.add_buffer(
            width=first.width, height=first.height, format=first.format.name, time_base=first.time_base
        )
        padded = graph.add("pad", f"{width}:{height}:0:0")
        right, bottom = width - first.width, height - first.height
        filled = graph.add("fillborders", f"left=0:right={right}:top=0:bottom={bottom}:mode=smear")
        self._taken = graph.add("buffersink")
        self._given.link_to(padded)
        padded.link_to(filled)
        filled.link_to(self._taken)
        graph.configure()

    def __call__(self, frame: Any) -> Any:
        self._given.push(frame)
        return self._taken.pull()


def _by_pillow(path: Path, later: bool) -> tuple[torch.Tensor, torch.Tensor]:
    """later: as ComfyUI 0.28 falls back to it, else as 0.3.64 reads all."""
    images: list[torch.Tensor] = []
    masks: list[torch.Tensor] = []
    with _patiently(Image.open, path) as file:
        for frame in ImageSequence.Iterator(file):
            image, mask = _read_frame(_patiently(ImageOps.exif_transpose, frame), later)
            if images and image.shape != images[0].shape:
                continue
            images.append(image)
            masks.append(mask)
            if file.format == "MPO" and not later:
                break
    return torch.stack(images), torch.stack(masks)


def _patiently(read: Callable[[Any], Any], what: Any) -> Any:
    """`read`, and where that fails once more, with what is there of a file that was cut short."""
    try:
        return read(what)
    except (OSError, ValueError):
        before = ImageFile.LOAD_TRUNCATED_IMAGES
        ImageFile.LOAD_TRUNCATED_IMAGES = True
        try:
            return read(what)
        finally:
            ImageFile.LOAD_TRUNCATED_IMAGES = before


def _read_frame(frame: Image.Image, later: bool) -> tuple[torch.Tensor, torch.Tensor]:
    if frame.mode == "I" and not later:
        frame = frame.point(lambda value: value * (1 / 255))
    image = torch.from_numpy(np.array(frame.convert("RGB"), dtype=np.float32) / 255)
    if frame.mode == "P" and "transparency" in frame.info and not later:
        frame = frame.convert("RGBA")
    if "A" not in frame.getbands():
        return image, torch.zeros(*NO_MASK)
    return image, 1 - torch.from_numpy(np.array(frame.getchannel("A"), dtype=np.float32) / 255)
