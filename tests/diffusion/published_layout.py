"""Single files of Stable Diffusion 1.x as they were published, with random weights."""

import json
import math
from pathlib import Path

import torch
from trilemma.models.diffusion import original_layout
from trilemma.models.diffusion.original_layout import Shape, Sizes


def weights(channels: int = 9) -> dict[str, Shape]:
    """1,130 tensors; `channels` is 9 for an inpainting model, 4 for a base model."""
    return original_layout.weights(Sizes(channels))


def buffers() -> dict[str, Shape]:
    """What the training code saves besides: noise schedule, position numbers, state of the moving average."""
    schedule = (
        "betas", "alphas_cumprod", "alphas_cumprod_prev", "sqrt_alphas_cumprod", "sqrt_one_minus_alphas_cumprod",
        "log_one_minus_alphas_cumprod", "sqrt_recip_alphas_cumprod", "sqrt_recipm1_alphas_cumprod",
        "posterior_variance", "posterior_log_variance_clipped", "posterior_mean_coef1", "posterior_mean_coef2",
    )  # fmt: skip
    return {
        **dict.fromkeys(schedule, (1000,)),
        "model_ema.decay": (),
        "model_ema.num_updates": (),
        "cond_stage_model.transformer.text_model.embeddings.position_ids": (1, 77),
    }


def averages(channels: int = 9) -> dict[str, Shape]:
    """The U-Net's moving average, whose names have lost their dots."""
    unet = {name: shape for name, shape in weights(channels).items() if name.startswith("model.")}
    return {f"model_ema.{name.removeprefix('model.').replace('.', '')}": shape for name, shape in unet.items()}


def write_random_half(path: Path, shapes: dict[str, tuple[int, ...]]) -> None:
    """A safetensors file of float16 weights with the variance of a usual initialisation, repeated from one piece of
    noise and written piece by piece: two gigabytes need not lie in memory."""
    noise = torch.randn(2**20, generator=torch.Generator().manual_seed(0))
    header, end = {}, 0
    for name, shape in shapes.items():
        start, end = end, end + 2 * math.prod(shape)
        header[name] = {"dtype": "F16", "shape": shape, "data_offsets": (start, end)}
    text = json.dumps(header).encode()
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for name, shape in shapes.items():
            matrix = len(shape) > 1
            values = noise * math.prod(shape[1:]) ** -0.5 if matrix else noise * 0.02 + name.endswith("weight")
            piece = values.half().numpy().tobytes()
            for start in range(0, 2 * math.prod(shape), len(piece)):
                file.write(piece[: 2 * math.prod(shape) - start])
