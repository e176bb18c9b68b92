"""Image GPT (Chen et al. 2020) from folders of transformers, `openai/imagegpt-*`: a picture's pixels, one by one.

Each pixel is one of 512 colours, which lie beside the weights. The transformer differs from GPT-2 in its norms, which
neither centre nor shift, and in its activation.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, Final, cast

import torch
import torch.nn.functional as F
from torch import nn

from ... import weights
from ...errors import BadCheckpoint, MissingFile
from ...families import Family
from ...files.checkpoints import Checkpoint
from ...files.folders import CONFIG, read_json, weight_files, write_json
from ...files.numpy_arrays import read_array
from ...random_weights import random_weights, write
from ...weights import DtypeFor, empty_weights, full_precision
from ..base import Descriptor
from .code_generator import OPTIONS, CodeGenerator
from .code_prior import CodePrior
from .min_gpt import KeysAndValues
from .quantised import QuantisedCoder

NAME: Final = "Image GPT"
PREPROCESSOR: Final = "preprocessor_config.json"
CENTERS: Final = "kmeans_centers.npy"
SIGNS: Final = frozenset({"transformer.wte.weight", "transformer.h.0.attn.c_attn.weight", "lm_head.weight"})
CENTRED: Final = "transformer.ln_f.bias"
"""What GPT-2 has beside those."""
MASKS: Final = (".attn.bias", ".attn.masked_bias")
"""What early files hold for each block; `.attn.c_attn.bias` does not end so."""
EPSILON: Final = 1e-5


class PixelCoder(QuantisedCoder):
    """Pixels are their own vectors, in -1..1; the nearest of the colours stands in their place."""

    def __init__(self, colours: torch.Tensor) -> None:
        super().__init__()
        self.colours = nn.Parameter(colours.float(), requires_grad=False)

    @property
    def book(self) -> torch.Tensor:
        return self.colours

    def means(self, pixels: torch.Tensor) -> torch.Tensor:
        return 2 * pixels - 1

    def restored(self, vectors: torch.Tensor) -> torch.Tensor:
        return (vectors + 1) / 2


class Norm(nn.Module):
    """Divides by the root of the mean of squares, and scales."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        return F.rms_norm(values, self.weight.shape, self.weight, EPSILON)


class Dense(nn.Module):
    """A linear layer whose weights are stored as [inputs, outputs]."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(inputs, outputs))
        self.bias = nn.Parameter(torch.empty(outputs))

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        return F.linear(values, self.weight.T, self.bias)


class Attention(nn.Module):
    """Of each token to itself and those before it."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.c_attn, self.c_proj = Dense(width, 3 * width), Dense(width, width)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """[N, T, width] to the same."""
        seen = F.scaled_dot_product_attention(*self._split(tokens), is_causal=True)
        return self.c_proj(seen.transpose(1, 2).flatten(2))

    def next(self, token: torch.Tensor, keys: torch.Tensor, values: torch.Tensor, place: int) -> torch.Tensor:
        """See `min_gpt.Attention.next`."""
        query, keys[:, :, place : place + 1], values[:, :, place : place + 1] = self._split(token)
        known = slice(place + 1)
        seen = F.scaled_dot_product_attention(query, keys[:, :, known], values[:, :, known])
        return self.c_proj(seen.transpose(1, 2).flatten(2))

    def _split(self, tokens: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Queries, keys and values, [N, heads, T, size] each."""
        query, key, value = self.c_attn(tokens).chunk(3, dim=-1)
        query, key, value = (part.unflatten(-1, (self.heads, -1)).transpose(1, 2) for part in (query, key, value))
        return query, key, value


class Mlp(nn.Module):
    """Two dense layers, with x * sigmoid(1.702 x) between."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.c_fc, self.c_proj = Dense(width, 4 * width), Dense(4 * width, width)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        hidden = self.c_fc(tokens)
        return self.c_proj(hidden * torch.sigmoid(1.702 * hidden))


class Block(nn.Module):
    """Attention and two dense layers, each after a norm and added to what was there."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.ln_1, self.ln_2 = Norm(width), Norm(width)
        self.attn, self.mlp = Attention(width, heads), Mlp(width)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        tokens = tokens + self.attn(self.ln_1(tokens))
        return tokens + self.mlp(self.ln_2(tokens))

    def next(self, token: torch.Tensor, keys: torch.Tensor, values: torch.Tensor, place: int) -> torch.Tensor:
        """See `min_gpt.Attention.next`."""
        token = token + self.attn.next(self.ln_1(token), keys, values, place)
        return token + self.mlp(self.ln_2(token))


class PixelGpt(CodePrior):
    """colours: of a pixel; the token behind the last of them begins a picture. side: of the pictures, in pixels."""

    num_classes = 0

    def __init__(self, colours: int, side: int, width: int = 64, layers: int = 2, heads: int = 2) -> None:
        super().__init__()
        self.grid, self.colours = (side, side), colours
        self.transformer = nn.ModuleDict(
            {
                "wte": nn.Embedding(colours + 1, width),
                "wpe": nn.Embedding(side * side, width),
                "h": nn.ModuleList(Block(width, heads) for _ in range(layers)),
                "ln_f": Norm(width),
            }
        )
        self.lm_head = nn.Linear(width, colours, bias=False)

    @property
    def code(self) -> nn.Embedding:  # pyright: ignore[reportIncompatibleVariableOverride]
        return cast("nn.Embedding", self.transformer["wte"])

    def forward(self, codes: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        first = torch.full_like(labels, self.colours)[:, None]
        return self.from_tokens(torch.cat([first, codes.flatten(1)[:, :-1]], dim=1))

    def from_tokens(self, tokens: torch.Tensor) -> torch.Tensor:
        """Logits [N, T, colours] of what follows each of the tokens, int64 [N, T]."""
        return self.lm_head(self.hidden(tokens)[-1])

    def hidden(self, tokens: torch.Tensor) -> list[torch.Tensor]:
        """What is there after the embedding and after each block, [N, T, width]; the last after the final norm."""
        places = torch.arange(tokens.shape[1], device=tokens.device)
        found = [self.code(tokens) + self.transformer["wpe"](places)]
        for block in self._blocks():
            found.append(block(found[-1]))
        return [*found[:-1], self.transformer["ln_f"](found[-1])]

    def begin(self, labels: torch.Tensor) -> tuple[torch.Tensor, KeysAndValues]:
        """The token that begins a picture, and an empty cache."""
        blocks = self._blocks()
        cache = KeysAndValues.empty(self.code.weight, len(blocks), len(labels), blocks[0].attn.heads, self.places)
        return torch.full_like(labels, self.colours), cache

    def next_logits(self, state: tuple[torch.Tensor, KeysAndValues], codes: torch.Tensor, place: int) -> torch.Tensor:
        first, cache = state
        token = self.code(first if place == 0 else codes[:, place - 1])[:, None]
        token = token + cast("nn.Embedding", self.transformer["wpe"]).weight[place]
        for block, keys, values in zip(self._blocks(), *cache, strict=True):
            token = block.next(token, keys, values, place)
        return self.lm_head(self.transformer["ln_f"](token)[:, 0])

    def floats(self) -> float:
        # The cache; then the widest layer, and the distribution in twice the precision, sorted and summed.
        width = self.code.embedding_dim
        return 2 * len(self._blocks()) * self.places * width + 8 * width + 8 * self.colours

    def _blocks(self) -> list[Block]:
        return cast("list[Block]", list(cast("nn.ModuleList", self.transformer["h"])))


def detect(checkpoint: Checkpoint) -> bool:
    """The layout of GPT-2, with norms that do not shift."""
    return checkpoint.tensors.keys() >= SIGNS and CENTRED not in checkpoint.tensors


def load(checkpoint: Checkpoint, dtype_for: DtypeFor = full_precision) -> CodeGenerator:
    """Sizes are read from the shapes; config.json tells the heads, preprocessor_config.json or kmeans_centers.npy the
    colours.

    Raises:
        MissingFile, BadCheckpoint: one of those is not there, or does not fit; the weights do not fit exactly.
    """
    what = f"{checkpoint.name}, {NAME}"
    tensors = {name: value for name, value in checkpoint.tensors.items() if not name.endswith(MASKS)}
    folder = _folder(checkpoint)
    heads = _config(folder).get("n_head")
    tokens, width = tensors["transformer.wte.weight"].shape
    side = math.isqrt(len(tensors["transformer.wpe.weight"]))
    colours = _colours(folder, tokens - 1, what)
    if not isinstance(heads, int) or heads < 1 or width % heads:
        raise BadCheckpoint(
            f"{what}: {CONFIG} has to tell n_head, attention heads that divide the width {width}; it says {heads!r}."
        )
    with empty_weights():
        layers = weights.count_layers(tensors, "transformer.h.{}.attn.c_attn.weight")
        prior = PixelGpt(tokens - 1, side, width, layers, heads)
    weights.fill(prior, tensors, what)
    coder = PixelCoder(colours)
    descriptor = Descriptor(
        family="autoregressive",
        architecture=NAME,
        height=side,
        width=side,
        channels=3,
        parameters=sum(map(torch.numel, prior.parameters())),
        latent_shape=(3, side, side),
        options=OPTIONS,
        abilities=("sample", "encode", "decode", "complete"),
    )
    identity = weights.identity({**tensors, "colours": colours})
    # Distances to the colours.
    return CodeGenerator(descriptor, coder, prior, identity, float(len(colours) + 6))


def _folder(checkpoint: Checkpoint) -> Path:
    path = Path(checkpoint.path or ".")
    return path if path.is_dir() else path.parent


def _config(folder: Path) -> dict[str, Any]:
    return read_json(folder / CONFIG) if (folder / CONFIG).is_file() else {}


def _colours(folder: Path, number: int, what: str) -> torch.Tensor:
    """float32 [number, 3], -1..1."""
    if (folder / PREPROCESSOR).is_file():
        found = read_json(folder / PREPROCESSOR).get("clusters")
        place = PREPROCESSOR
    elif (folder / CENTERS).is_file():
        found, place = _centers(folder, what), CENTERS
    else:
        raise MissingFile(
            f"{what}: its colours are missing; put {PREPROCESSOR} of its publisher, or OpenAI's "
            f"{CENTERS}, into {folder}."
        )
    try:
        colours = torch.tensor(found, dtype=torch.float32)
    except (TypeError, ValueError):
        colours = torch.empty(0)
    if colours.shape != (number, 3) or not bool(colours.isfinite().all()):
        raise BadCheckpoint(f"{what}: {place} has to hold {number} colours of 3 numbers; download it again.")
    return colours


def _centers(folder: Path, what: str) -> Any:
    try:
        return read_array(folder / CENTERS).tolist()
    except BadCheckpoint as error:
        raise BadCheckpoint(f"{what}: {error}") from error


def files(path: Path) -> tuple[Path, ...]:
    """Weights, configuration and colours."""
    folder = path if path.is_dir() else path.parent
    beside = (folder / name for name in (CONFIG, PREPROCESSOR, CENTERS))
    return (*weight_files(path), *(file for file in beside if file.is_file()))


def tiny(folder: Path) -> Path:
    write_json(folder / CONFIG, {"n_head": 2})
    colours = torch.rand(16, 3, generator=torch.Generator().manual_seed(0)) * 2 - 1
    write_json(folder / PREPROCESSOR, {"clusters": colours.tolist()})
    return write(folder / "tiny.safetensors", random_weights(PixelGpt(16, 4, width=8)))


def _typical() -> frozenset[str]:
    with empty_weights():
        return frozenset(PixelGpt(16, 4, layers=24).state_dict())


FAMILY: Final = Family(NAME, detect, load, tiny, files, _typical)
