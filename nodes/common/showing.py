"""The result of a node that shows something on itself.

Unless it is an output node, its class says HAS_INTERMEDIATE_OUTPUT: of nodes that ComfyUI answers from its cache it
shows the page only these two kinds. Keys that begin with PAGE are read by the scripts in
web/; ComfyUI wants lists of all.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, Final

import torch

from ... import host
from ...models.files.atomic import make_folder, sweep_parts
from ...models.generators.base import SampleRequest
from ...models.pictures.png import eight_bit, write_png

PAGE: Final = "trilemma_"
EXPLORER: Final = f"{PAGE}explorer"
"""What the page's explorer of latents knows of the last run."""
MOST: Final = 64
"""Pictures on a node."""
PIXELS: Final = 2**24
"""Of all pictures on a node together: a second or two of writing."""


def show_text(text: str, *outputs: Any, **panels: Any) -> dict[str, Any]:
    """The node's outputs, and a text that the page shows on it.

    panels: by their keys without PAGE, further values for the page, which JSON knows.
    """
    return {"ui": {"text": [text], **{PAGE + key: [value] for key, value in panels.items()}}, "result": outputs}


def show_note(text: str, *outputs: Any) -> dict[str, Any] | tuple[Any, ...]:
    """The same of a node that only now and then has something to say: the outputs alone where the text is empty."""
    return show_text(text, *outputs) if text else outputs


def show_samples(
    captions: Sequence[Mapping[str, Any]], images: torch.Tensor, *outputs: Any, **texts: str
) -> dict[str, Any]:
    """The images and the node's other outputs; the first of the images as pictures on the node, where there is a page.

    captions: of each image what the page tells of it, such as seed (of which a click keeps one) and condition, both as
        texts: a script knows no whole numbers from 2^53 on. Empty: nothing. texts: `text`, what the page shows besides.
    """
    shown = {key: [text] for key, text in texts.items()}
    return {"ui": {**sample_panel(captions, images), **shown}, "result": (images, *outputs)}


def sample_panel(captions: Sequence[Mapping[str, Any]], images: torch.Tensor, count: int = 0) -> dict[str, Any]:
    """The images as pictures on a node, where there is a page; see `show_samples`. count: of all, if these are some."""
    files = previews(images) if host.has_page() else []
    told = captions or [{}] * len(files)
    pictures = [{**file, **caption} for file, caption in zip(files, told, strict=False)]
    height, width = images.shape[1:3]
    panel = {"pictures": pictures, "count": count or len(images), "width": width, "height": height}
    return {f"{PAGE}samples": [panel]}


def captions_of(requests: Sequence[SampleRequest]) -> list[dict[str, str]]:
    """What the page tells of samples."""
    return [{"seed": str(request.seed), "condition": request.condition.text} for request in requests]


def previews(images: torch.Tensor) -> list[dict[str, str]]:
    """The first of the images, [B, H, W, 3 or 4], 0..1, as files of the temporary folder, in the host's words for them.

    Equal pictures have equal names.
    """
    shown = images[: how_many(*images.shape[:3])]
    folder = host.temp_folder()
    make_folder(folder)
    sweep_parts(folder)
    files = []
    for picture in shown:
        digest = hashlib.sha256(eight_bit(picture).numpy().tobytes() + str(picture.shape).encode()).hexdigest()
        path = folder / f"trilemma_{digest[:24]}.png"
        if not path.exists():
            write_png(path, picture)
        files.append({"filename": path.name, "subfolder": "", "type": "temp"})
    return files


def how_many(count: int, height: int, width: int) -> int:
    """Of so many pictures of a size, how many are shown: at most MOST, of PIXELS together, and at least the first."""
    return min(count, MOST, max(1, PIXELS // (height * width)))
