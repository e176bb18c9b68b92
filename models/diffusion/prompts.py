"""Prompts to the conditioning of the denoiser."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch

from ..texts import check_characters
from .stable_diffusion import StableDiffusion


class Encoded(NamedTuple):
    """A prompt. states: [T, D], what the U-Net attends to. pooled: [P], for models that take one."""

    states: torch.Tensor
    pooled: torch.Tensor | None = None


def encoded(parts: StableDiffusion, text: str, negative: bool = False) -> Encoded:
    """One prompt, on its own, in pieces as in `encode`. negative: whether it is what shall not be seen."""
    if parts.second is None:
        return Encoded(encode_one(parts.text_encoder, parts.tokenizer, text))
    first, _ = penultimate(parts.text_encoder, parts.tokenizer, text)
    second, pooled = penultimate(parts.second.encoder, parts.second.tokenizer, text)
    # Both tokenizers have the same merges, so that a prompt has as many pieces for either.
    found = Encoded(torch.cat([first, second], dim=-1), pooled)
    if negative and not text and parts.second.zero_negative:
        return Encoded(torch.zeros_like(found.states), torch.zeros_like(pooled))
    return found


def both(parts: StableDiffusion, prompt: str, negative_prompt: str) -> tuple[Encoded, Encoded]:
    """The prompt and the negative prompt, the shorter of them filled up as in `encode`."""
    check_characters("negative_prompt", negative_prompt)
    if parts.second is None:
        positive, negative = encode(parts.text_encoder, parts.tokenizer, prompt, negative_prompt)
        return Encoded(positive[0]), Encoded(negative[0])
    found = encoded(parts, prompt), encoded(parts, negative_prompt, negative=True)
    longest = max(len(each.states) for each in found)
    zeros = bool((found[1].states == 0).all())
    positive, negative = (
        each._replace(states=_filled(parts, each.states, longest, zeros and each is found[1])) for each in found
    )
    return positive, negative


def _filled(parts: StableDiffusion, states: torch.Tensor, length: int, zeros: bool) -> torch.Tensor:
    """States [T, D], T at least `length`: with empty pieces, or with zeros."""
    if len(states) == length:
        return states
    empty = encoded(parts, "").states
    empty = torch.zeros_like(empty) if zeros else empty
    return torch.cat([states, *[empty] * ((length - len(states)) // len(empty))])


def unet_inputs(parts: StableDiffusion, given: Sequence[Encoded], height: int, width: int) -> dict[str, Any]:
    """What the U-Net takes beside latents and time, for a batch of prompts of pictures of this size in pixels.

    Shorter prompts are filled up, and what fills them is masked.
    """
    unet = parts.unet
    lengths = torch.tensor([len(each.states) for each in given], device=given[0].states.device)
    states = torch.nn.utils.rnn.pad_sequence([each.states for each in given], batch_first=True).to(unet.dtype)
    found: dict[str, Any] = {"encoder_hidden_states": states}
    if not bool((lengths == lengths[0]).all()):
        found["encoder_attention_mask"] = torch.arange(states.shape[1], device=states.device) < lengths[:, None]
    pooled = [each.pooled for each in given if each.pooled is not None]
    if pooled:
        # Original size, corner of the crop, and size that is asked for.
        sizes = torch.tensor([[height, width, 0, 0, height, width]], device=unet.device, dtype=unet.dtype)
        added = {"text_embeds": torch.stack(pooled).to(unet.dtype), "time_ids": sizes.expand(len(given), -1)}
        found["added_cond_kwargs"] = added
    return found


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
    """Rows of `positions` token ids: start, up to `positions` - 2 tokens of the text, end, padding.

    Raises:
        BadInput: the text holds half a character, which no tokenizer reads.
    """
    check_characters("prompt", text)
    tokens = tokenizer(text, add_special_tokens=False, verbose=False).input_ids
    room = positions - 2
    rows = []
    for first in range(0, max(len(tokens), 1), room):
        row = [tokenizer.bos_token_id, *tokens[first : first + room], tokenizer.eos_token_id]
        rows.append(row + [tokenizer.pad_token_id] * (positions - len(row)))
    return rows
