"""The tokenizer of CLIP's text encoders, from a model's folder, or the pack's."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from ..diffusion.single_file import TOKENIZER
from ..errors import BadCheckpoint, BadInput
from ..files.folders import read_json, understood

if TYPE_CHECKING:
    from transformers import CLIPTokenizerFast

FILES: Final = (("vocab.json", "merges.txt"), ("tokenizer.json",))
"""Either of which is a whole tokenizer."""


def read_tokenizer(folder: Path, rows: int) -> CLIPTokenizerFast:
    """A folder's own tokenizer where it has one, else the pack's, whose words are those of every published CLIP.

    rows: how many tokens the network embeds.

    Raises:
        BadCheckpoint: its files make no sense, or it has more words than the network embeds.
    """
    from transformers import CLIPTokenizerFast

    own = any(all((folder / name).is_file() for name in names) for names in FILES)
    source = folder if own else TOKENIZER
    told = ", ".join(sorted(file.name for file in source.iterdir() if file.name in {*FILES[0], *FILES[1]}))
    for name in ("vocab.json", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json"):
        if own and (folder / name).is_file():
            read_json(folder / name)
    with understood(f"{folder.name}: its tokenizer ({told})"):
        tokenizer = CLIPTokenizerFast.from_pretrained(str(source), local_files_only=True)
    if len(tokenizer) > rows:
        raise BadCheckpoint(
            f"{folder.name}: its tokenizer has {len(tokenizer)} tokens, but the network embeds {rows}; put the "
            "network's own vocab.json and merges.txt beside its weights."
        )
    return tokenizer


def token_ids(tokenizer: CLIPTokenizerFast, text: str, most: int, model: str) -> list[int]:
    """The ids of a text's tokens, with those of its start and its end.

    most: how many tokens `model` reads.

    Raises:
        BadInput: there are more.
    """
    ids = tokenizer(text)["input_ids"]
    if len(ids) > most:
        raise BadInput(
            f"prompt: {text!r} is {len(ids)} tokens with its start and its end, and {model} reads at most {most} of "
            "each phrase; shorten it."
        )
    return ids
