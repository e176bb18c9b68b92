"""Segment Anything (Kirillov et al. 2023): an image encoder of its own kind, with SAM's prompt encoder and decoder."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image

from ..base import Embedding, Segmenter
from ..prompts import Prompt, coordinates
from ..two_way import prompts_at_once
from .architecture import DecoderConfig, Parts

# Colour statistics in 0..255 that every SAM was trained with; cannot be detected.
PIXEL_MEAN: Final = (123.675, 116.28, 103.53)
PIXEL_STD: Final = (58.395, 57.12, 57.375)


class SamSegmenter(Segmenter):
    """The image encoder is in the compute dtype; prompt encoder and mask decoder are float32: they are small, and their
    positional encoding needs the precision."""

    architecture = "SAM"

    def __init__(self, parts: Parts, config: DecoderConfig, identity: str) -> None:
        self.image_encoder, self.prompt_encoder, self.mask_decoder = self.modules = parts
        self.config = config
        self.identity = identity

    def input_size(self, height: int, width: int) -> tuple[int, int]:
        """Height and width of an image once its longest side has the encoder's size."""
        scale = self.config.image_size / max(height, width)
        return max(1, int(height * scale + 0.5)), max(1, int(width * scale + 0.5))

    def preprocess(self, images: torch.Tensor) -> torch.Tensor:
        """Encoder input [B, 3, S, S], float32, of images [B, H, W, 3] with values 0..1.

        As SAM was trained: 8 bit per channel, Pillow's bilinear resize (which antialiases) of the longest side to S,
        normalised colours, zeros to the right and below.
        """
        side = self.config.image_size
        height, width = self.input_size(images.shape[1], images.shape[2])
        eight_bit = (images * 255).round().clamp(0, 255).to("cpu", torch.uint8).numpy()
        resized = [
            np.asarray(Image.fromarray(image).resize((width, height), Image.Resampling.BILINEAR)) for image in eight_bit
        ]
        pixels = torch.from_numpy(np.stack(resized)).permute(0, 3, 1, 2).float()
        mean = torch.tensor(PIXEL_MEAN).view(-1, 1, 1)
        std = torch.tensor(PIXEL_STD).view(-1, 1, 1)
        return F.pad(pixels.sub_(mean).div_(std), (0, side - width, 0, side - height))

    def look(self, images: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """One map, [B, C, grid, grid]."""
        parameter = next(self.image_encoder.parameters())
        pixels = self.preprocess(images).to(parameter.device, parameter.dtype)
        return (self.image_encoder(pixels).float(),)

    def decode(
        self,
        embedding: Embedding,
        frame: int,
        prompts: Sequence[Prompt],
        three: bool,
        previous: torch.Tensor | None = None,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Logits are [N, M, 4 * grid, 4 * grid], with padding (see `extent`); see `Segmenter.decode`."""
        return self.mask_decoder(*self.asked(embedding, frame, prompts, previous), three)

    def asked(
        self, embedding: Embedding, frame: int, prompts: Sequence[Prompt], previous: torch.Tensor | None
    ) -> tuple[tuple[torch.Tensor, ...], torch.Tensor, torch.Tensor, torch.Tensor]:
        """What the mask decoder takes: features, positions, sparse and dense embeddings of prompts."""
        device = next(self.mask_decoder.parameters()).device
        size = (embedding.height, embedding.width)
        asked = coordinates(prompts, *size, self.input_size(*size), device)
        sparse, dense = self.prompt_encoder(
            points=(asked.points, asked.labels) if asked.points.shape[1] else None,
            boxes=asked.boxes,
            masks=previous if previous is None else previous.to(device),
        )
        features = tuple(maps[frame].to(device) for maps in embedding.features)
        # Without masks that all prompts have the same; the decoder then looks at one image for all.
        dense = dense[:1] if previous is None else dense
        return features, self.prompt_encoder.get_dense_pe(), sparse, dense

    def upscale(self, logits: torch.Tensor, height: int, width: int) -> torch.Tensor:
        """As SAM does it: by way of the encoder's input size, bilinear."""
        rows, columns = self.input_size(height, width)
        # One more than the picture has: the last places lie between it and the padding.
        high, wide = (covered + 1 for covered in self.extent(logits, height, width))
        scale = self.config.image_size / logits.shape[-1]
        square = F.interpolate(logits[None, None, :high, :wide], scale_factor=scale, mode="bilinear")
        return F.interpolate(square[..., :rows, :columns], (height, width), mode="bilinear")[0, 0]

    def extent(self, logits: torch.Tensor, height: int, width: int) -> tuple[int, int]:
        scale = logits.shape[-1] / self.config.image_size
        rows, columns = (math.ceil(side * scale) for side in self.input_size(height, width))
        return rows, columns

    def encode_bytes(self, batch_size: int) -> int:
        """The image encoder's."""
        return self.image_encoder.peak_bytes(batch_size)

    def prompt_bytes(self) -> int:
        # Measured: 5 float32 values per cell and channel, at all sizes.
        return 20 * self.config.grid**2 * self.config.prompt_dim

    def decode_bytes(self, prompts: int, height: int, width: int) -> int:
        """The peak is reached while the decoder answers a few prompts, beside what they share and the logits of half of
        its masks, or when one mask stands at the image's size."""
        cells, channels = self.config.grid**2, self.config.prompt_dim
        device = next(self.mask_decoder.parameters()).device
        logits = prompts * (self.config.num_multimasks + 1) * 16 * cells * 4
        shared = cells * channels * (8 + 12 // self.config.decoder_downsample)
        turn = min(prompts, prompts_at_once(cells, channels, device)) * self.prompt_bytes()
        mask = 4 * self.config.image_size**2 + 5 * height * width
        return max(shared + turn + logits // 2, logits + mask)
