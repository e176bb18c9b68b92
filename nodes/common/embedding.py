"""What pictures and texts are of, as vectors: by an extractor, or by the host's CLIP and CLIP_VISION."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch

from ... import host
from ...models.pictures.images import rgb
from ...models.scoring.extractors.base import eight_bit
from ...models.scoring.extractors.host_extractor import HostExtractor
from ...models.scoring.features.extraction import Named, fitting_batch, stream
from ...models.scoring.metrics.clip_score import check_projection

RESIZE = "clean"
"""How pictures reach a CLIP_VISION where no input tells."""


class Vectors(NamedTuple):
    """rows: float32 [N, D], CPU. source: what made them, see `Given`."""

    rows: torch.Tensor
    source: tuple[str, ...]


def of_pictures(extractor: host.Handle, images: torch.Tensor, name: str = "image") -> Vectors:
    """The main features of images [N, H, W, C], as 8-bit files hold them, without alpha. name: of the input."""
    model, pictures = extractor.model, eight_bit(rgb(images, name))
    size = fitting_batch(model, len(pictures))
    named = [Named(str(place), place, picture) for place, picture in enumerate(pictures)]
    with host.placed(extractor, memory=model.memory_bytes(size)), host.progress(len(named)) as on_step:
        batches = list(stream(model, named, (model.main,), size, on_step, host.halving))
    return Vectors(torch.cat([batch.answers.taps[0] for batch in batches]), model.source.key)


def of_texts(clip: Any, texts: Sequence[str], graph: Any, node_id: str | None) -> Vectors:
    """The embeddings of texts in CLIP's common space. graph, node_id: hidden inputs of the node, see `host.text_tower`.

    Raises:
        BadCheckpoint: this CLIP has no projection into it.
    """
    tower = host.text_tower(clip, graph, node_id)
    check_projection(tower.projection, "clip", tower.files, tower.in_files)
    embedded: dict[str, torch.Tensor] = {}
    different = list(dict.fromkeys(texts))
    with host.progress(len(different)) as on_step:
        for text in different:
            embedded[text] = tower.embed(text)
            on_step(len(embedded))
    return Vectors(torch.cat([embedded[text] for text in texts]), ("CLIP text", tower.identity))


def of_clip_vision(clip_vision: Any, resize: str = RESIZE) -> host.Handle:
    """A CLIP_VISION as an extractor. The host places its own models.

    Raises:
        BadCheckpoint: a CLIP without its projection. CannotDo: it gives no vectors.
    """
    encoder = host.vision_encoder(clip_vision)
    if encoder.projection is not None:
        check_projection(encoder.projection, "clip_vision", (), False)
    setup = {
        "model": encoder.name.split(" vision")[0],
        "layer": "class token" if encoder.projection is None else "projection",
        "mean": " ".join(f"{value!r}" for value in encoder.mean),
        "std": " ".join(f"{value!r}" for value in encoder.std),
    }
    sizes = (encoder.side, encoder.size)
    calls = (encoder.encode, encoder.memory_bytes)
    extractor = HostExtractor(encoder.name, encoder.identity, *sizes, *calls, setup)
    return host.Handle(extractor.with_resize(resize), ())
