"""The smallest files of a VQModel with a prior over its codes."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import nn
from trilemma.models.generators.autoregressive import feature_prior, pixelcnn_prior, row_lstm_prior, transformer_prior
from trilemma.models.generators.autoregressive.code_prior import CodePrior

CODES, GRID, CLASSES = 11, (4, 3), 2
CLASS_NAMES = ["cat", "dog"]
HEADS, GROUPS = 2, 4
FEATURES = 5
ARCHITECTURES = (pixelcnn_prior, row_lstm_prior, transformer_prior)
"""Those that draw by classes alone."""


def tiny_prior(architecture) -> CodePrior:
    """Every weight random and not small, so that codes differ and every path counts."""
    if architecture is transformer_prior:
        prior = transformer_prior.CodeTransformer(CODES, GRID, CLASSES, width=8, layers=2, heads=HEADS)
    elif architecture is row_lstm_prior:
        prior = row_lstm_prior.RowLSTM(CODES, GRID, CLASSES, width=6, hidden=5, layers=2, reach=1)
    elif architecture is feature_prior:
        prior = feature_prior.FeatureTransformer(CODES, GRID, FEATURES, CLASSES, width=8, layers=2, heads=HEADS)
        nn.init.normal_(prior.classes, generator=torch.Generator().manual_seed(2))
    else:
        prior = pixelcnn_prior.PixelCNN(CODES, GRID, CLASSES, width=6, layers=4)
    generator = torch.Generator().manual_seed(1)
    for name, parameter in prior.named_parameters():
        fan = parameter[0].numel() if parameter.ndim > 1 and "position" not in name else 4
        nn.init.normal_(parameter, std=(2 / fan) ** 0.5, generator=generator)
    return prior.eval().requires_grad_(False)


def tiny_file(architecture, folder: Path, **told) -> Path:
    """A file of both networks; `told` changes its metadata."""
    from diffusers import VQModel

    torch.manual_seed(0)
    coder = VQModel(
        block_out_channels=(8, 12),
        down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2,
        latent_channels=5,
        num_vq_embeddings=CODES,
        norm_num_groups=GROUPS,
    )
    nn.init.normal_(coder.quantize.embedding.weight)
    parts = {"vqvae.": coder, "prior.": tiny_prior(architecture)}
    tensors = {part + name: value for part in parts for name, value in parts[part].state_dict().items()}
    metadata = {"norm_num_groups": GROUPS, "heads": HEADS, "class_names": CLASS_NAMES, **told}
    path = folder / "tiny.safetensors"
    save_file(tensors, path, metadata={"trilemma": json.dumps(metadata)})
    return path
