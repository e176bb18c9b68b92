"""OWLv2 (Minderer et al. 2023, arXiv:2306.09683), in transformers' layout: a CLIP whose patches are boxes.

Each phrase is a query of its own, so that phrases do not compete for tokens, and the score of a box is its likeliest
phrase's. Pictures are padded to a square on the right and below, and brought to the one size that it was trained on;
boxes are fractions of that square, and may reach beyond the picture.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from functools import cache
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import torch
import torch.nn.functional as F

from .. import weights
from ..families import Family
from ..files.checkpoints import Checkpoint
from ..files.folders import read_json, write_json
from .base import Detector
from .caption_detector import Kind
from .caption_folders import PREPROCESSOR
from .clip_words import read_tokenizer, token_ids
from .phrase_detector import Look, PhraseDetector
from .pretrained import build, network_class
from .stretching import three

if TYPE_CHECKING:
    from transformers import CLIPTokenizerFast, PreTrainedModel

KIND: Final = Kind("OWLv2", "Owlv2ForObjectDetection", "4.35", "owlv2")
MEAN: Final = (0.48145466, 0.4578275, 0.40821073)
STD: Final = (0.26862954, 0.26130258, 0.27577711)
"""CLIP's, of RGB values 0..1."""
GRAY: Final = 0.5
"""What its authors pad with."""
FLOAT_BYTES: Final = 4


class Owlv2(PhraseDetector):
    """mean, std: of the pictures that it was trained on."""

    def __init__(
        self,
        network: PreTrainedModel,
        tokenizer: CLIPTokenizerFast,
        mean: Sequence[float],
        std: Sequence[float],
        identity: str,
    ) -> None:
        super().__init__(KIND.name, network, identity)
        self.tokenizer = tokenizer
        self.mean, self.std = torch.tensor(mean), torch.tensor(std)
        self.side: int = network.config.vision_config.image_size

    def ask(self, phrases: Sequence[str]) -> Look:
        """See `PhraseDetector.ask`."""
        most = self.network.config.text_config.max_position_embeddings
        rows = [token_ids(self.tokenizer, phrase, most, KIND.name) for phrase in phrases]
        # The end of a text is its highest id; what is padded behind it is masked.
        ids = torch.tensor([row + [0] * (most - len(row)) for row in rows])
        mask = torch.tensor([[1] * len(row) + [0] * (most - len(row)) for row in rows])

        def look(pixels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            texts, seen = (each.to(pixels.device).repeat(len(pixels), 1) for each in (ids, mask))
            output = self.network(input_ids=texts, attention_mask=seen, pixel_values=pixels)
            return output.pred_boxes, output.logits.sigmoid()

        return look

    def pixels(self, images: torch.Tensor) -> torch.Tensor:
        """See `PhraseDetector.pixels`."""
        square = to_square(images.permute(0, 3, 1, 2), padding())
        mean, std = (each[:, None, None].to(images.device) for each in (self.mean, self.std))
        return (resized(square, self.side) - mean) / std

    def extent(self, height: int, width: int) -> tuple[float, float]:
        """See `PhraseDetector.extent`."""
        side = max(height, width)
        return side / height, side / width

    def memory_bytes(self, batch_size: int, height: int, width: int) -> int:
        """See `Detector.memory_bytes`. Measured at one or two phrases."""
        config, side = self.network.config.vision_config, max(height, width)
        tokens = (self.side // config.patch_size) ** 2 + 1
        scores = 0 if self.network.config._attn_implementation == "sdpa" else 2 * config.num_attention_heads * tokens
        layer = max(6 * config.hidden_size + scores, 4 * config.hidden_size + 3 * config.intermediate_size)
        picture = 3 * side**2 * (4 if side > self.side else 1)
        return batch_size * (3 * self.side**2 + max(picture, tokens * layer)) * FLOAT_BYTES


@cache
def padding() -> float:
    """What the transformers at hand pads with, 0..1, so that it sees what that shows the network: releases 4 gray, as
    its authors do, releases 5 black."""
    import transformers

    # Its processor may need torchvision, or scipy.
    with suppress(ImportError):
        processor = transformers.Owlv2ImageProcessor(
            do_normalize=False, do_rescale=False, size={"height": 2, "width": 2}
        )
        wide = np.ones((3, 1, 2), dtype=np.float32)
        seen = processor(wide, input_data_format="channels_first", return_tensors="np")["pixel_values"]
        return float(np.asarray(seen)[0, 0, 1, 0])
    return GRAY


def to_square(pictures: torch.Tensor, value: float) -> torch.Tensor:
    """Pictures [B, C, H, W], padded to a square on the right and below."""
    height, width = pictures.shape[2:]
    side = max(height, width)
    return F.pad(pictures, (0, side - width, 0, side - height), value=value)


def resized(squares: torch.Tensor, side: int) -> torch.Tensor:
    """Squares [B, C, S, S], blurred against aliasing where they shrink, and interpolated linearly at `side` pixels.

    The blur is scikit-image's, by a Gaussian of standard deviation (S / side - 1) / 2, cut off at three of them.
    """
    sigma = (squares.shape[-1] / side - 1) / 2
    if sigma > 0:
        reach = ceil(3 * sigma)
        places = torch.arange(-reach, reach + 1, dtype=torch.float32, device=squares.device)
        kernel = (-0.5 * (places / sigma) ** 2).exp()
        kernel = (kernel / kernel.sum()).expand(squares.shape[1], 1, -1)
        channels = squares.shape[1]
        squares = F.pad(squares, (reach, reach, reach, reach), mode="reflect")
        squares = F.conv2d(F.conv2d(squares, kernel[:, :, None], groups=channels), kernel[..., None], groups=channels)
    return F.interpolate(squares, size=(side, side), mode="bilinear", align_corners=False)


def load(checkpoint: Checkpoint) -> Owlv2:
    """The detector of a folder: its own tokenizer, means and deviations where it has them, else CLIP's.

    Raises:
        BadCheckpoint, CannotDo: as `pretrained.build` does; a tokenizer or a preprocessor that does not fit.
    """
    folder = checkpoint.path
    assert folder is not None
    # Old files hold positions, which are numbers from 0.
    tensors = {name: value for name, value in checkpoint.tensors.items() if not name.endswith(".position_ids")}
    network = build(network_class(KIND.network, KIND.since), checkpoint.config, tensors, folder.name)
    preprocessor = read_json(folder / PREPROCESSOR) if (folder / PREPROCESSOR).is_file() else {}
    mean, std = (three(preprocessor, name, usual) for name, usual in (("image_mean", MEAN), ("image_std", STD)))
    tokenizer = read_tokenizer(folder, network.config.text_config.vocab_size)
    return Owlv2(network, tokenizer, mean, std, weights.identity(tensors))


TINY: Final[dict[str, Any]] = {
    "text_config": {
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "max_position_embeddings": 16,
    },
    "vision_config": {
        "hidden_size": 48,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 3,
        "image_size": 64,
        "patch_size": 8,
    },
    "projection_dim": 32,
}


def random_network(vocabulary: int, seed: int = 7) -> PreTrainedModel:
    """A TINY network with random weights, for a tokenizer of so many words."""
    network = network_class(KIND.network, KIND.since)
    text = {**TINY["text_config"], "vocab_size": vocabulary, "eos_token_id": vocabulary - 1}
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(seed)
        made = network(network.config_class.from_dict({**TINY, "text_config": text}))
        for name, weight in made.named_parameters():
            # As initialised, all phrases and patches look much the same.
            if "embedding" in name or "head" in name:
                weight.normal_(std=1.0 if "token" in name else 0.1 if "logit" in name else 0.3)
    return made.train(False)


def write_tiny(folder: Path) -> Path:
    """Write a `random_network` and a tokenizer of single letters into a folder in this folder, and give it."""
    from ..diffusion.tiny import write_tokenizer

    made = write_tokenizer(folder / "tiny")
    random_network(len(read_json(made / "vocab.json"))).save_pretrained(made)
    write_json(made / PREPROCESSOR, {"image_mean": MEAN, "image_std": STD})
    return made


FOLDER: Final[Family[Detector]] = Family(
    name=f"{KIND.name} in transformers' layout",
    detect=lambda checkpoint: checkpoint.config.get("model_type") == KIND.model_type,
    load=lambda checkpoint, dtype_for: load(checkpoint),
    tiny=write_tiny,
)
