"""Grounding DINO (Liu et al. 2023, arXiv:2303.05499): finds what a text names, by transformers' network."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import nn

from ..errors import BadCheckpoint, MissingFile
from ..files import checkpoints, signatures
from ..pictures.images import rgb
from ..values import Detections
from . import preprocessing, published
from .memory import activation_bytes
from .prompt import VOCABULARY, encode, read_vocabulary

if TYPE_CHECKING:
    from tokenizers import BertWordPieceTokenizer
    from transformers import GroundingDinoForObjectDetection

WEIGHT_FILES = ("model.safetensors", "pytorch_model.bin")


class Detector(NamedTuple):
    """A loaded detector; its network computes in float32.

    Half precision is not offered: sampling positions lose whole pixels in it (bfloat16), or the network refuses it
    (transformers 4.50).
    """

    model: GroundingDinoForObjectDetection
    tokenizer: BertWordPieceTokenizer
    input_size: preprocessing.InputSize


def load_detector(path: Path) -> Detector:
    """Read a detector, strictly: every tensor of the file has its place in the network, and the reverse.

    `path` is a published `.pth` (or the same as `.safetensors`), or a transformers folder with `config.json`,
    weights, and, where they differ from bert-base-uncased's and from 800 / 1333 pixels, `vocab.txt` and
    `preprocessor_config.json`. Nothing is fetched.

    Raises:
        BadCheckpoint: a broken file, another architecture, or tensors that do not fit.
        MissingFile: a folder without weights.
    """
    if path.is_dir():
        return _load_folder(path)
    tensors = checkpoints.read(path).tensors
    if not published.detect(tensors):
        raise BadCheckpoint(
            f"{path.name}: holds {signatures.identify(tensors)}; expected a Grounding DINO as its authors publish it, "
            "or a transformers folder with its config.json."
        )
    try:
        config = published.config(tensors)
    except KeyError as error:
        raise BadCheckpoint(f"{path.name}: a Grounding DINO without its tensor {error}; download it again.") from None
    model = _build(path.name, config, published.convert(tensors))
    return Detector(model, _tokenizer(VOCABULARY, model), preprocessing.InputSize())


def _load_folder(folder: Path) -> Detector:
    config = _read_json(folder / "config.json")
    if config.get("model_type") != "grounding-dino":
        raise BadCheckpoint(f"{folder.name}: holds a {config.get('model_type')!r} model; expected 'grounding-dino'.")
    if not isinstance(config.get("backbone_config"), dict):
        raise BadCheckpoint(
            f"{folder.name}: config.json only names its backbone ({config.get('backbone')!r}), which would have to be "
            "fetched; use a folder whose config.json holds a backbone_config."
        )
    weights = next((folder / name for name in WEIGHT_FILES if (folder / name).is_file()), None)
    if weights is None:
        raise MissingFile(f"{folder.name}: has no weights; put {' or '.join(WEIGHT_FILES)} into {folder}.")
    preprocessor = folder / "preprocessor_config.json"
    size = preprocessing.input_size(_read_json(preprocessor) if preprocessor.is_file() else {})
    model = _build(folder.name, config, checkpoints.read(weights).tensors)
    vocabulary = folder / "vocab.txt"
    return Detector(model, _tokenizer(vocabulary if vocabulary.is_file() else VOCABULARY, model), size)


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise MissingFile(f"{path.parent.name}: has no {path.name}; put it into {path.parent}.") from None
    except ValueError as error:
        raise BadCheckpoint(f"{path.parent.name}: {path.name} is no JSON ({error}); download it again.") from None
    if not isinstance(content, dict):
        raise BadCheckpoint(f"{path.parent.name}: {path.name} holds no JSON object; download it again.")
    return content


def _tokenizer(vocabulary: Path, model: GroundingDinoForObjectDetection) -> BertWordPieceTokenizer:
    tokenizer = read_vocabulary(vocabulary)
    words, rows = tokenizer.get_vocab_size(), model.config.text_config.vocab_size
    if words > rows:
        raise BadCheckpoint(
            f"{vocabulary.name}: has {words} tokens, but the network embeds {rows}; put the network's own vocab.txt "
            "beside its weights."
        )
    return tokenizer


def _build(name: str, config: dict[str, Any], tensors: dict[str, torch.Tensor]) -> GroundingDinoForObjectDetection:
    """The network, with all tensors (transformers 4.x names) in place, as float32."""
    from transformers import GroundingDinoConfig, GroundingDinoForObjectDetection

    # transformers would build the network in the type that the configuration names.
    config = {key: value for key, value in config.items() if key not in ("torch_dtype", "dtype")}
    # Copies: the network must not live in a mapped file, which the user may replace while it is loaded.
    state = {
        key: value.to(torch.float32 if value.is_floating_point() else value.dtype, copy=True)
        for key, value in tensors.items()
    }
    # Not load_state_dict: only from_pretrained translates these names to those of transformers 5.
    model, info = GroundingDinoForObjectDetection.from_pretrained(
        None,
        config=GroundingDinoConfig.from_dict(config),
        state_dict=state,
        output_loading_info=True,
        ignore_mismatched_sizes=True,
    )
    for kind in ("missing", "unexpected", "mismatched"):
        names = sorted(str(key) for key in info[f"{kind}_keys"])
        if names:
            raise BadCheckpoint(
                f"{name}: {len(names)} tensors are {kind} for a Grounding DINO: {', '.join(names[:3])}; "
                "the file is damaged, or of a variant that the pack does not know."
            )
    return model.train(False)


def modules(detector: Detector) -> tuple[nn.Module, ...]:
    """The networks that must be on the compute device for `detect`."""
    return (detector.model,)


def memory_bytes(detector: Detector, batch_size: int, height: int, width: int) -> int:
    """Estimate of the memory that `detect` takes beside the weights, for images of `height` x `width` pixels."""
    placed = preprocessing.sizes(detector.input_size, height, width)
    return activation_bytes(detector.model.config, batch_size, placed.canvas_height, placed.canvas_width)


@torch.no_grad()
def detect(
    detector: Detector,
    images: torch.Tensor,
    prompt: str,
    batch_size: int,
    on_step: Callable[[int, torch.Tensor | None], None],
) -> Detections:
    """Look for the phrases of a prompt in a batch of images [B, H, W, 3 or 4], `batch_size` images at a time.

    `on_step(done, None)` is called after each batch with the number of images done. The result lies on the CPU.

    Raises:
        BadInput: images or prompt that the detector cannot take.
    """
    images = rgb(images)
    frames, height, width = images.shape[:3]
    asked = encode(prompt, detector.tokenizer, detector.model.config.max_text_len)
    placed = preprocessing.sizes(detector.input_size, height, width)
    device = detector.model.device
    boxes, probabilities = [], []
    for start in range(0, frames, batch_size):
        pixels = preprocessing.pixels(images[start : start + batch_size], placed).to(device)
        ids = asked.ids.to(device).expand(len(pixels), -1)
        output = detector.model(pixel_values=pixels, input_ids=ids)
        boxes.append(preprocessing.to_picture(output.pred_boxes, placed).float().cpu())
        probabilities.append(output.logits[..., : len(asked.tokens)].sigmoid().float().cpu())
        on_step(min(start + batch_size, frames), None)
    return Detections(
        torch.cat(boxes), torch.cat(probabilities), asked.phrase_tokens, asked.phrases, asked.tokens, height, width
    )
