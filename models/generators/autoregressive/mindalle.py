"""minDALL-E (Kim et al. 2021, github.com/kakaobrain/minDALL-E): a transformer over the tokens of a text and, behind
them, the codes of a VQGAN, as DALL-E has it (Ramesh et al. 2021, arXiv:2102.12092).

Its parts are files of one folder: `stage2_last.ckpt`, which is chosen, `stage1_last.ckpt`, the VQGAN, and the folder
`tokenizer` with the pieces of words.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isqrt
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast

import torch
from torch import nn

from ... import weights
from ...errors import BadCheckpoint, CannotDo, MissingFile, is_out_of_memory
from ...families import Family
from ...files import beside, checkpoints
from ...files.atomic import replacing
from ...files.checkpoints import Checkpoint
from ...files.folders import CONFIG, write_json
from ...random_weights import random_weights, write
from ...weights import DtypeFor, Tensors, empty_weights, full_precision
from ..base import Condition, Descriptor, SampleRequest
from . import vq_model, vqgan
from .code_generator import ABILITIES, OPTIONS, CodeGenerator
from .code_prior import CodePrior
from .min_gpt import Block, KeysAndValues, first_tokens, next_token
from .vq_model import VQModelCoder

if TYPE_CHECKING:
    from tokenizers import CharBPETokenizer

NAME: Final = "minDALL-E"
SIGNS: Final = ("tok_emb_txt.weight", "tok_emb_img.weight", "head_img.weight", "blocks.0.attn.key.weight")
PUBLISHED_HEADS: Final[Mapping[tuple[int, int], int]] = {(42, 1536): 24}
"""By blocks and width, what the shapes of the published file do not tell."""
STAGES: Final = ("stage2", "stage1")
VOCABULARY, MERGES = "bpe-16k-vocab.json", "bpe-16k-merges.txt"
TOKENIZER: Final = "tokenizer"
UNKNOWN, PADDING = "[UNK]", "[PAD]"
SOURCE: Final = (
    "All are in 1.3B.tar.gz (md5 57b008f02ceaa02b779c8b7463143315), to which the README of "
    "github.com/kakaobrain/minDALL-E leads"
)
TOP_K: Final = 256
"""As its authors draw."""


class TextGpt(CodePrior):
    """text_codes, text_places: size of the vocabulary of texts, and length of each. codes, places: of pictures."""

    num_classes = 0

    def __init__(
        self, text_codes: int, text_places: int, codes: int, places: int, width: int, layers: int, heads: int
    ) -> None:
        super().__init__()
        side = isqrt(places)
        self.grid = (side, side)
        self.tok_emb_img = nn.Embedding(codes, width)
        self.tok_emb_txt = nn.Embedding(text_codes, width)
        self.pos_emb_img = nn.Embedding(places, width)
        self.pos_emb_txt = nn.Embedding(text_places, width)
        self.blocks = nn.ModuleList(Block(width, heads) for _ in range(layers))
        self.ln_f = nn.LayerNorm(width)
        self.head_img = nn.Linear(width, codes, bias=False)
        self.head_txt = nn.Linear(width, text_codes, bias=False)

    @property
    def code(self) -> nn.Embedding:  # pyright: ignore[reportIncompatibleVariableOverride]
        return self.tok_emb_img

    @property
    def text_places(self) -> int:
        """Tokens of each text."""
        return self.pos_emb_txt.num_embeddings

    def forward(self, codes: torch.Tensor, texts: torch.Tensor) -> torch.Tensor:
        """As `CodePrior.forward`, given texts, int64 [N, text_places], in the place of labels."""
        return self.head_img(self._hidden(codes, texts)[:, self.text_places - 1 : -1])

    def text_logits(self, codes: torch.Tensor, texts: torch.Tensor) -> torch.Tensor:
        """Of each token of the texts but the first, given those before it: [N, text_places - 1, text_codes]."""
        return self.head_txt(self._hidden(codes, texts)[:, : self.text_places - 1])

    def _hidden(self, codes: torch.Tensor, texts: torch.Tensor) -> torch.Tensor:
        tokens = torch.cat([self._read(texts), self.tok_emb_img(codes.flatten(1)) + self.pos_emb_img.weight], dim=1)
        for block in self.blocks:
            tokens = block(tokens)
        return self.ln_f(tokens)

    def _read(self, texts: torch.Tensor) -> torch.Tensor:
        return self.tok_emb_txt(texts) + self.pos_emb_txt.weight

    def begin(self, labels: torch.Tensor) -> tuple[torch.Tensor, KeysAndValues]:
        """What follows the texts, [N, 1, width], and the cache of them."""
        heads = cast("Block", self.blocks[0]).attn.heads
        room = self.text_places + self.places
        cache = KeysAndValues.empty(self.tok_emb_img.weight, len(self.blocks), len(labels), heads, room)
        return first_tokens(self.blocks, self._read(labels), cache)[:, -1:], cache

    def next_logits(self, state: tuple[torch.Tensor, KeysAndValues], codes: torch.Tensor, place: int) -> torch.Tensor:
        hidden, cache = state
        if place:
            token = self.tok_emb_img(codes[:, place - 1])[:, None] + self.pos_emb_img.weight[place - 1]
            hidden = next_token(self.blocks, token, cache, self.text_places + place - 1)
        return self.head_img(self.ln_f(hidden)[:, 0])

    def floats(self) -> float:
        # The cache; then the texts in the widest layer, or the distribution in twice the precision.
        codes, width = self.tok_emb_img.weight.shape
        cache = 2 * len(self.blocks) * (self.text_places + self.places) * width
        return cache + max(10 * self.text_places * width, 8 * width + 8 * codes)


class MinDallE(CodeGenerator):
    """Draws from prompts. words: its tokenizer."""

    _code_prior: TextGpt

    def __init__(
        self, descriptor: Descriptor, coder: VQModelCoder, prior: TextGpt, identity: str, words: CharBPETokenizer
    ) -> None:
        super().__init__(descriptor, coder, prior, identity, coder.floats)
        self._words = words

    def check_condition(self, condition: Condition) -> None:
        if condition.negative:
            raise CannotDo(f"negative_prompt: {NAME} takes none; leave it empty.")

    def remark(self, condition: Condition) -> str:
        read = self._words.encode(condition.text)
        said = []
        if len(read.ids) > self._code_prior.text_places:
            said.append(f"only the first {self._code_prior.text_places} of {len(read.ids)} pieces of words are read.")
        if UNKNOWN in read.tokens:
            said.append("some characters are not known, and are left out.")
        return " ".join(said)

    def given(self, requests: Sequence[SampleRequest], generators: Sequence[torch.Generator]) -> torch.Tensor:
        """Tokens of each prompt, int64 [N, text_places]; an empty one is padding alone."""
        length, padding = self._code_prior.text_places, self._words.token_to_id(PADDING)
        rows = [self._words.encode(request.condition.text).ids[:length] for request in requests]
        return torch.tensor([row + [padding] * (length - len(row)) for row in rows])


def detect(checkpoint: Checkpoint) -> bool:
    """Embeddings of texts and of pictures, and a block."""
    return all(sign in checkpoint.tensors for sign in SIGNS)


def first_stage(path: Path) -> Path:
    """Where the VQGAN of this file lies: of the same name with "stage1" for "stage2"."""
    return path.with_name(path.name.replace(*STAGES))


def tokenizer_files(path: Path) -> tuple[Path, Path]:
    """Vocabulary and merges: in the folder of the file, or in `tokenizer` there."""
    folder = path.parent if (path.parent / VOCABULARY).is_file() else path.parent / TOKENIZER
    return folder / VOCABULARY, folder / MERGES


def files(path: Path) -> tuple[Path, ...]:
    """The file, its VQGAN, its tokenizer and a config.json, as far as they are there."""
    own = beside.files(path)
    others = (first_stage(path), *tokenizer_files(path))
    return (*own, *(each for each in others if each.is_file() and each not in own))


def load(checkpoint: Checkpoint, dtype_for: DtypeFor = full_precision) -> MinDallE:
    """The generator of a `stage2_last.ckpt`. A config.json beside it tells `n_head` where it is not the published one,
    and `norm_num_groups` and `sample_size` of the VQGAN, see `vqgan.load`. `dtype_for` is asked for the transformer.

    Raises:
        MissingFile: VQGAN or tokenizer are not there.
        BadCheckpoint: a part does not fit exactly, or the parts do not fit one another.
    """
    what = f"{checkpoint.name}, {NAME}"
    path = checkpoint.path
    if path is None or path.is_dir() or STAGES[0] not in path.name:
        raise BadCheckpoint(
            f"{what}: its VQGAN is found by the name of the file, such as stage2_last.ckpt with stage1_last.ckpt "
            "beside it; give it such a name."
        )
    needed = (first_stage(path), *tokenizer_files(path))
    missing = [str(each.relative_to(path.parent)) for each in needed if not each.is_file()]
    if missing:
        raise MissingFile(f"{what}: beside it lacks {', '.join(missing)}. {SOURCE}. The folder: {path.parent}.")
    told = beside.settings(checkpoint)
    found = checkpoints.read(needed[0])
    if not vqgan.detect(found):
        raise BadCheckpoint(f"{what}: {needed[0].name} is no VQGAN that the pack knows; download it again.")
    coder = vqgan.build(found.tensors, told, needed[0].name)
    prior = build(checkpoint.tensors, told, what)
    weights.fill(prior, checkpoint.tensors, what, dtype_for(sum(map(torch.numel, checkpoint.tensors.values()))))
    cells = told.get("sample_size", vq_model.SIDE) // coder.scale
    if prior.code.num_embeddings != len(coder.book) or prior.places != cells**2:
        raise BadCheckpoint(
            f"{what}: it draws {prior.places} of {prior.code.num_embeddings} codes, and {needed[0].name} makes "
            f"{cells**2} of {len(coder.book)} of a picture; they do not belong together."
        )
    words = read_tokenizer(*needed[1:], prior.tok_emb_txt.num_embeddings)
    descriptor = Descriptor(
        family="autoregressive",
        architecture=NAME,
        height=cells * coder.scale,
        width=cells * coder.scale,
        channels=coder.network.config.out_channels,
        parameters=sum(parameter.numel() for part in (coder, prior) for parameter in part.parameters()),
        conditions=("none", "prompt"),
        latent_shape=(coder.book.shape[1], cells, cells),
        options={**OPTIONS, "top_k": min(TOP_K, prior.code.num_embeddings)},
        abilities=ABILITIES,
    )
    named = {f"{vqgan.FIRST_STAGE}{name}": value for name, value in vqgan.bare(found.tensors).items()}
    return MinDallE(descriptor, coder, prior, weights.identity({**named, **checkpoint.tensors}), words)


def build(tensors: Tensors, told: Mapping[str, Any], what: str) -> TextGpt:
    """A transformer that a file's tensors fit, on the meta device. what: as messages begin."""
    codes, width = tensors[SIGNS[1]].shape
    sizes = {name: tensors[name].shape[0] for name in ("pos_emb_txt.weight", "pos_emb_img.weight") if name in tensors}
    layers = weights.count_layers(tensors, "blocks.{}.attn.key.weight")
    heads = told.get("n_head", PUBLISHED_HEADS.get((layers, width)))
    if heads is None:
        raise BadCheckpoint(
            f"{what}: its shapes do not tell n_head (attention heads). Write a config.json with "
            f'{{"n_head": ...}} beside it.'
        )
    with empty_weights():
        return TextGpt(
            tensors[SIGNS[0]].shape[0],
            sizes.get("pos_emb_txt.weight", 64),
            codes,
            sizes.get("pos_emb_img.weight", 256),
            width,
            layers,
            heads,
        )


def read_tokenizer(vocabulary: Path, merges: Path, rows: int) -> CharBPETokenizer:
    """Pieces of words in small letters. rows: that the network embeds.

    Raises:
        BadCheckpoint: it is none, lacks what stands for the unknown, or has more pieces than the network.
    """
    from tokenizers import CharBPETokenizer

    try:
        made = CharBPETokenizer.from_file(str(vocabulary), str(merges), unk_token=UNKNOWN, lowercase=True)
    except Exception as error:  # of any kind: the library is compiled, and raises Exception itself
        if is_out_of_memory(error):
            raise
        raise BadCheckpoint(f"{vocabulary.name}, {merges.name}: no tokenizer can be read of them: {error}") from error
    made.add_special_tokens([PADDING])
    if made.token_to_id(UNKNOWN) is None:
        raise BadCheckpoint(f"{vocabulary.name}: it has no {UNKNOWN} for what it does not know; download it again.")
    pieces = made.get_vocab_size()
    if pieces > rows:
        raise BadCheckpoint(
            f"{vocabulary.name}: it has {pieces} pieces of words, and the network embeds {rows}; they do not belong "
            "together."
        )
    return made


def write_tokenizer(folder: Path) -> int:
    """A tokenizer of single letters; gives the number of its pieces."""
    letters = [chr(code) for code in range(ord("a"), ord("z") + 1)]
    pieces = [UNKNOWN, PADDING, *letters, *(f"{letter}</w>" for letter in letters)]
    folder.mkdir()
    write_json(folder / VOCABULARY, {piece: number for number, piece in enumerate(pieces)})
    with replacing(folder / MERGES) as file:
        file.write(b"#version: 0.2\n")
    return len(pieces)


def tiny(folder: Path) -> Path:
    pieces = write_tokenizer(folder / TOKENIZER)
    coder = vqgan.original(random_weights(vq_model.of_widths((32, 32), 1, codes=16)), levels=2)
    write(folder / "tiny_stage1.safetensors", coder)
    write_json(folder / CONFIG, {"n_head": 2, "sample_size": 8})
    return write(folder / "tiny_stage2.safetensors", random_weights(TextGpt(pieces, 6, 16, 16, 8, 2, 2)))


def _typical() -> frozenset[str]:
    with empty_weights():
        return frozenset(TextGpt(16, 64, 16, 256, 8, 42, 2).state_dict())


FAMILY: Final = Family(NAME, detect, load, tiny, files, _typical)
