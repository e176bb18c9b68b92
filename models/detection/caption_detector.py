"""Detectors that read the whole prompt as one caption: Grounding DINO and its kin, by transformers' networks."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import torch

from .. import weights
from ..errors import BadCheckpoint
from ..pictures.images import rgb
from ..steps import OnStep, quiet
from ..values import Detections
from . import preprocessing
from .base import Detector
from .captions import VOCABULARY, Caption, encode_all, read_vocabulary
from .faster import replace_layers
from .heads import distinct, spread
from .memory import activation_bytes
from .passes import joined
from .pretrained import build, network_class
from .prompt import parse

if TYPE_CHECKING:
    from tokenizers import BertWordPieceTokenizer
    from transformers import PreTrainedModel


class Kind(NamedTuple):
    """One of the architectures.

    name: as messages and reports show it. network: transformers' class. since: the first release that has it.
    model_type: of its folders' config.json.
    """

    name: str
    network: str
    since: str
    model_type: str


class CaptionDetector(Detector):
    """A network that is asked for all phrases at once. It computes in float32, or in mixed precision."""

    def __init__(
        self,
        kind: Kind,
        network: PreTrainedModel,
        tokenizer: BertWordPieceTokenizer,
        input_size: preprocessing.InputSize,
        identity: str,
    ) -> None:
        self.architecture = kind.name
        self.network = network
        self.modules = (network,)
        self.tokenizer = tokenizer
        self.input_size = input_size
        self.identity = identity

    @torch.no_grad()
    def detect(self, images: torch.Tensor, prompt: str, batch_size: int, on_step: OnStep = quiet) -> Detections:
        """See `Detector.detect`."""
        images = rgb(images)
        frames, height, width = images.shape[:3]
        asked = parse(prompt)
        captions = encode_all([phrase.text for phrase in asked], self.tokenizer, self.network.config.max_text_len)
        placed = self._sizes(height, width)
        found = []
        for start in range(0, frames, batch_size):
            pixels = preprocessing.pixels(images[start : start + batch_size], placed).to(self.network.device)
            found.append(joined([self._look(pixels, caption) for caption in captions]))
            on_step(min(start + batch_size, frames))
        boxes, probabilities = zip(*found, strict=True)
        return Detections(
            preprocessing.to_picture(torch.cat(boxes), placed),
            torch.cat(probabilities),
            torch.block_diag(*(caption.phrase_tokens for caption in captions)).bool(),
            tuple(phrase.text for phrase in asked),
            tuple(token for caption in captions for token in caption.tokens),
            height,
            width,
            self.class_names,
            tuple(phrase.limit for phrase in asked),
            tuple(phrase.threshold for phrase in asked),
            len(captions),
        )

    def _look(self, pixels: torch.Tensor, caption: Caption) -> tuple[torch.Tensor, torch.Tensor]:
        """Boxes [B, Q, 4] as fractions of the canvas, and probabilities of the caption's tokens [B, Q, T]."""
        ids = caption.ids.to(pixels.device).expand(len(pixels), -1)
        with self.precision():
            output = self.network(pixel_values=pixels, input_ids=ids)
        probabilities = output.logits[..., : len(caption.tokens)].float().sigmoid()
        return output.pred_boxes.float().cpu(), probabilities.cpu()

    def _sizes(self, height: int, width: int) -> preprocessing.Sizes:
        config = self.network.config
        return preprocessing.sizes(self.input_size, height, width, config.num_queries, preprocessing.strides(config))

    def memory_bytes(self, batch_size: int, height: int, width: int) -> int:
        """See `Detector.memory_bytes`."""
        placed = self._sizes(height, width)
        return activation_bytes(self.network.config, batch_size, placed.canvas_height, placed.canvas_width)


def assemble(
    kind: Kind,
    config: Mapping[str, Any],
    tensors: weights.Tensors,
    what: str,
    vocabulary: Path = VOCABULARY,
    input_size: preprocessing.InputSize | None = None,
) -> CaptionDetector:
    """The detector of a configuration and of tensors as transformers 4 names them.

    what: the file or folder, as messages begin. input_size: the published models' where there is none.

    Raises:
        BadCheckpoint: tensors or vocabulary do not fit the network. CannotDo: transformers is too old.
    """
    # Every head is given under each of its names, so transformers has none to tie.
    given = {**config, "tie_word_embeddings": False}
    network = build(network_class(kind.network, kind.since), given, spread(config, tensors), what)
    replace_layers(network)
    tokenizer = read_vocabulary(vocabulary)
    words, rows = tokenizer.get_vocab_size(), network.config.text_config.vocab_size
    if words > rows:
        raise BadCheckpoint(
            f"{what}: {vocabulary.name} has {words} tokens, but the network embeds {rows}; put the network's own "
            "vocab.txt beside its weights."
        )
    identity = weights.identity(distinct(tensors))
    return CaptionDetector(kind, network, tokenizer, input_size or preprocessing.InputSize(), identity)
