"""Segment Anything 2 (Ravi et al. 2024) for images, as its authors' image predictor runs it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import torch
import torch.nn.functional as F

from ..base import Embedding, Segmenter
from ..prompts import Prompt, coordinates
from .architecture import Parts, Sam2Config
from .hiera import STRIDE

# Colour statistics in 0..1 that every SAM 2 was trained with (ImageNet's); cannot be detected.
PIXEL_MEAN: Final = (0.485, 0.456, 0.406)
PIXEL_STD: Final = (0.229, 0.224, 0.225)


class Sam2Segmenter(Segmenter):
    """The image encoder is in the compute dtype; prompt encoder and mask decoder are float32."""

    architecture = "SAM 2"
    logits_within = 32.0

    def __init__(self, parts: Parts, config: Sam2Config, identity: str) -> None:
        self.image_encoder, self.prompt_encoder, self.mask_decoder = self.modules = parts
        self.config = config
        self.identity = identity

    def preprocess(self, images: torch.Tensor) -> torch.Tensor:
        """Encoder input [B, 3, S, S], float32, of images [B, H, W, 3] with values 0..1.

        As the authors' predictor: stretched to a square, whatever the aspect ratio, bilinear with antialiasing, on
        float values; normalised colours.
        """
        side = self.config.image_size
        pixels = F.interpolate(images.permute(0, 3, 1, 2), (side, side), mode="bilinear", antialias=True)
        mean = torch.tensor(PIXEL_MEAN, device=pixels.device).view(-1, 1, 1)
        std = torch.tensor(PIXEL_STD, device=pixels.device).view(-1, 1, 1)
        return (pixels - mean) / std

    def look(self, images: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Three maps: [B, C, g, g], [B, C / 8, 4g, 4g], [B, C / 4, 2g, 2g]."""
        parameter = next(self.image_encoder.parameters())
        pixels = self.preprocess(images.to(parameter.device)).to(parameter.dtype)
        return self.mask_decoder.project(*(maps.float() for maps in self.image_encoder(pixels)))

    def decode(
        self,
        embedding: Embedding,
        frame: int,
        prompts: Sequence[Prompt],
        three: bool,
        previous: torch.Tensor | None = None,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Logits are [N, M, 4g, 4g]; where the one mask is unstable, the best of the others takes its place."""
        device = next(self.mask_decoder.parameters()).device
        side = self.config.image_size
        asked = coordinates(prompts, embedding.height, embedding.width, (side, side), device)
        # Points, or none, and one that is not a point; SAM's own encoder leaves that out beside boxes.
        sparse, dense = self.prompt_encoder(
            points=(asked.points, asked.labels), boxes=None, masks=previous if previous is None else previous.to(device)
        )
        if asked.boxes is not None:
            corners, _ = self.prompt_encoder(points=None, boxes=asked.boxes, masks=None)
            sparse = torch.cat([corners, sparse], dim=1)
        features = tuple(maps[frame].to(device) for maps in embedding.features)
        return self.mask_decoder(features, self.prompt_encoder.get_dense_pe(), sparse, dense, three)

    def upscale(self, logits: torch.Tensor, height: int, width: int) -> torch.Tensor:
        """Bilinear, straight to the image's size."""
        return F.interpolate(logits[None, None], (height, width), mode="bilinear")[0, 0]

    def extent(self, logits: torch.Tensor, height: int, width: int) -> tuple[int, int]:
        """All: there is no padding."""
        return logits.shape[-2], logits.shape[-1]

    def encode_bytes(self, batch_size: int) -> int:
        """The peak is reached in the MLP of the first stage, which holds 12 values for each channel and place of its
        map, beside the pixels; attention is fused, and keeps no map of all places by all places."""
        size = next(self.image_encoder.parameters()).element_size()
        cells = (self.config.image_size // STRIDE) ** 2
        return batch_size * size * cells * (12 * self.config.widths[0] + 3 * STRIDE**2)

    def prompt_bytes(self) -> int:
        # Measured: 6.1 (many prompts) to 7.9 (one) float32 values per cell and channel, at all sizes.
        return 28 * self.config.grid**2 * self.config.dim

    def decode_bytes(self, prompts: int, height: int, width: int) -> int:
        """The peak is reached in the decoder's upscaling of a chunk, or when one mask stands at the image's size."""
        logits = prompts * (self.config.num_multimasks + 1) * 16 * self.config.grid**2 * 4
        return max(prompts * self.prompt_bytes(), logits + 6 * height * width)
