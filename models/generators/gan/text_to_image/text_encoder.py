"""The text encoder of DAMSM (Xu et al. 2018), which AttnGAN trained and DM-GAN, DF-GAN and SSA-GAN use."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ....weights import Tensors


class TextEncoder(nn.Module):
    """Words by number to vectors, by a bidirectional LSTM. words: how many it knows. hidden: of one direction."""

    def __init__(self, words: int, embedding: int, hidden: int) -> None:
        super().__init__()
        self.encoder = nn.Embedding(words, embedding)
        self.rnn = nn.LSTM(embedding, hidden, batch_first=True, bidirectional=True)

    def forward(self, captions: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Vectors of words, [N, 2 hidden, L], 0 behind the last one, and of sentences, [N, 2 hidden].

        captions: int64 [N, L]. lengths: int64 [N], on the CPU.
        """
        embedded = nn.utils.rnn.pack_padded_sequence(
            self.encoder(captions), lengths, batch_first=True, enforce_sorted=False
        )
        answers, (last, _) = self.rnn(embedded)
        words = nn.utils.rnn.pad_packed_sequence(answers, batch_first=True, total_length=captions.shape[1])[0]
        return words.transpose(1, 2), torch.cat([last[0], last[1]], dim=1)


def encoder_of(tensors: Tensors) -> TextEncoder:
    """One of the size that the shapes of a file tell, not filled."""
    words, embedding = tensors["encoder.weight"].shape
    return TextEncoder(words, embedding, tensors["rnn.weight_hh_l0"].shape[1])
