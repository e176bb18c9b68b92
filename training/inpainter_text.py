"""The inpainter's words: prompts that name one object, and a byte-pair vocabulary for CLIP's tokenizer."""

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from transformers import CLIPTokenizer

POSITIONS = 24
START, END = "<|startoftext|>", "<|endoftext|>"
WORD_END = "</w>"
TEMPLATES = (
    "{name}",
    "{article} {name}",
    "{article} {name}",
    "the {name}",
    "one {name}",
    "{article} {name} emoji",
    "an emoji of {article} {name}",
    "a photo of {article} {name}",
    "a picture of {article} {name}",
)
_EMPTY_SHARE = 0.1
_UNKNOWN_WORDS_SHARE = 0.1
_LETTERS = np.array(list("abcdefghijklmnopqrstuvwxyz"))


def write_prompt(rng: np.random.Generator, name: str) -> str:
    """A random wording; sometimes followed by words that mean nothing, to be ignored, and sometimes empty."""
    if rng.random() < _EMPTY_SHARE:
        return ""
    prompt = fill_template(str(rng.choice(TEMPLATES)), name)
    if rng.random() < _UNKNOWN_WORDS_SHARE:
        words = ["".join(rng.choice(_LETTERS, rng.integers(2, 6))) for _ in range(rng.integers(1, 4))]
        prompt = " ".join([prompt, *words])
    return prompt


def fill_template(template: str, name: str) -> str:
    return template.format(name=name, article="an" if name[0] in "aeiou" else "a")


def build_tokenizer(folder: Path, names: Sequence[str]) -> "CLIPTokenizer":
    """Write CLIP tokenizer files in which every word of the templates and of `names` is one token, and load them.

    All 256 bytes are tokens too, so that any text can be encoded.
    """
    from transformers import CLIPTokenizer

    corpus = [fill_template(template, name) for template in TEMPLATES for name in names]
    merges = learn_merges(word for line in corpus for word in line.split())
    letters = list(_byte_letters())
    tokens = [*letters, *(letter + WORD_END for letter in letters), *map("".join, merges), START, END]
    folder.mkdir(parents=True, exist_ok=True)
    vocabulary = {token: index for index, token in enumerate(tokens)}
    (folder / "vocab.json").write_text(json.dumps(vocabulary, ensure_ascii=False), encoding="utf-8")
    lines = ["#version: 0.2", *(" ".join(pair) for pair in merges)]
    (folder / "merges.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    settings = {
        "tokenizer_class": "CLIPTokenizer",
        "model_max_length": POSITIONS,
        "do_lower_case": True,
        "bos_token": START,
        "eos_token": END,
        "pad_token": END,
        "unk_token": END,
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8")
    return CLIPTokenizer.from_pretrained(folder)


def learn_merges(words: Iterable[str]) -> list[tuple[str, str]]:
    """Byte-pair merges, the most frequent pair first, until every word is one token (Sennrich et al., 2016)."""
    pieces = {(*word[:-1], word[-1] + WORD_END): count for word, count in Counter(words).items()}
    merges = []
    while True:
        pairs: Counter[tuple[str, str]] = Counter()
        for word, count in pieces.items():
            for pair in pairwise(word):
                pairs[pair] += count
        if not pairs:
            return merges
        best = min(pairs, key=lambda pair: (-pairs[pair], pair))
        merges.append(best)
        pieces = {_merge(word, best): count for word, count in pieces.items()}


def _merge(word: tuple[str, ...], pair: tuple[str, str]) -> tuple[str, ...]:
    merged: list[str] = []
    for piece in word:
        if merged and (merged[-1], piece) == pair:
            merged[-1] += piece
        else:
            merged.append(piece)
    return tuple(merged)


def _byte_letters() -> list[str]:
    """GPT-2's printable stand-ins of the 256 bytes, in CLIP's order: printable bytes first, then the shifted rest."""
    printable = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    return [chr(byte) for byte in printable] + [chr(256 + index) for index in range(256 - len(printable))]
