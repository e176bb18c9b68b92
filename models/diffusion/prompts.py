"""Prompts to the conditioning of the denoiser."""

from __future__ import annotations

from typing import Any

import torch


def encode(text_encoder: Any, tokenizer: Any, prompt: str, negative_prompt: str) -> tuple[torch.Tensor, torch.Tensor]:
    """Hidden states [1, N * T, D] of the prompt and of the negative prompt, T the text encoder's positions.

    A prompt longer than T tokens is not cut: it is encoded in N pieces of T, each with its own start and end, and
    the pieces follow one another. The shorter of the two prompts is filled up with empty pieces.
    """
    rows = [pieces(text, tokenizer, text_encoder.config.max_position_embeddings) for text in (prompt, negative_prompt)]
    longest = max(map(len, rows))
    empty = pieces("", tokenizer, text_encoder.config.max_position_embeddings)
    ids = [own + empty * (longest - len(own)) for own in rows]
    device = next(text_encoder.parameters()).device
    positive, negative = (text_encoder(torch.tensor(rows, device=device))[0].flatten(0, 1)[None] for rows in ids)
    return positive, negative


def encode_one(text_encoder: Any, tokenizer: Any, prompt: str) -> torch.Tensor:
    """Hidden states [N * T, D] of one prompt in N pieces, as in `encode`."""
    return text_encoder(_rows(text_encoder, tokenizer, prompt))[0].flatten(0, 1)


def penultimate(text_encoder: Any, tokenizer: Any, prompt: str) -> tuple[torch.Tensor, torch.Tensor]:
    """The last hidden states but one [N * T, D] of a prompt in N pieces as in `encode`, and the encoder's first output
    for the first piece: of an encoder with projection, the pooled embedding [P]."""
    output = text_encoder(_rows(text_encoder, tokenizer, prompt), output_hidden_states=True)
    return output.hidden_states[-2].flatten(0, 1), output[0][0]


def _rows(text_encoder: Any, tokenizer: Any, prompt: str) -> torch.Tensor:
    device = next(text_encoder.parameters()).device
    return torch.tensor(pieces(prompt, tokenizer, text_encoder.config.max_position_embeddings), device=device)


def pieces(text: str, tokenizer: Any, positions: int) -> list[list[int]]:
    """Rows of `positions` token ids: start, up to `positions` - 2 tokens of the text, end, padding."""
    tokens = tokenizer(text, add_special_tokens=False, verbose=False).input_ids
    room = positions - 2
    rows = []
    for first in range(0, max(len(tokens), 1), room):
        row = [tokenizer.bos_token_id, *tokens[first : first + room], tokenizer.eos_token_id]
        rows.append(row + [tokenizer.pad_token_id] * (positions - len(row)))
    return rows
