"""Names and shapes of the tensors in a Stable Diffusion 1.x single file, written down from the original networks:
openaimodel.UNetModel, the autoencoder's Encoder and Decoder, and CLIP's text transformer."""

import json
import math
from collections.abc import Iterator
from pathlib import Path

import torch

Shape = tuple[int, ...]

WIDTHS = (320, 640, 1280, 1280)
VAE_WIDTHS = (128, 256, 512, 512)
CONTEXT = 768
EMBEDDING = 1280


def weights(channels: int = 9) -> dict[str, Shape]:
    """1,130 tensors; `channels` is 9 for an inpainting model, 4 for a base model."""
    named = {f"model.diffusion_model.{name}": shape for name, shape in _unet(channels)}
    named |= {f"first_stage_model.{name}": shape for name, shape in _vae()}
    named |= {f"cond_stage_model.transformer.text_model.{name}": shape for name, shape in _text_encoder()}
    return named


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
    return {f"model_ema.{('diffusion_model.' + name).replace('.', '')}": shape for name, shape in _unet(channels)}


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


def _layer(name: str, *shape: int) -> Iterator[tuple[str, Shape]]:
    yield f"{name}.weight", shape
    yield f"{name}.bias", shape[:1]


def _unet(channels: int) -> Iterator[tuple[str, Shape]]:
    yield from _layer("time_embed.0", EMBEDDING, WIDTHS[0])
    yield from _layer("time_embed.2", EMBEDDING, EMBEDDING)
    yield from _layer("input_blocks.0.0", WIDTHS[0], channels, 3, 3)
    block, width, joined = 1, WIDTHS[0], [WIDTHS[0]]
    for level, out in enumerate(WIDTHS):
        for _ in range(2):
            yield from _resnet(f"input_blocks.{block}.0", width, out)
            if level < 3:
                yield from _transformer(f"input_blocks.{block}.1", out)
            block, width = block + 1, out
            joined.append(out)
        if level < 3:
            yield from _layer(f"input_blocks.{block}.0.op", out, out, 3, 3)
            block += 1
            joined.append(out)
    yield from _resnet("middle_block.0", width, width)
    yield from _transformer("middle_block.1", width)
    yield from _resnet("middle_block.2", width, width)
    block = 0
    for level, out in reversed(list(enumerate(WIDTHS))):
        for index in range(3):
            yield from _resnet(f"output_blocks.{block}.0", width + joined.pop(), out)
            if level < 3:
                yield from _transformer(f"output_blocks.{block}.1", out)
            if index == 2 and level > 0:
                yield from _layer(f"output_blocks.{block}.{2 if level < 3 else 1}.conv", out, out, 3, 3)
            block, width = block + 1, out
    yield from _layer("out.0", width)
    yield from _layer("out.2", 4, width, 3, 3)


def _resnet(name: str, width: int, out: int) -> Iterator[tuple[str, Shape]]:
    yield from _layer(f"{name}.in_layers.0", width)
    yield from _layer(f"{name}.in_layers.2", out, width, 3, 3)
    yield from _layer(f"{name}.emb_layers.1", out, EMBEDDING)
    yield from _layer(f"{name}.out_layers.0", out)
    yield from _layer(f"{name}.out_layers.3", out, out, 3, 3)
    if width != out:
        yield from _layer(f"{name}.skip_connection", out, width, 1, 1)


def _transformer(name: str, width: int) -> Iterator[tuple[str, Shape]]:
    block = f"{name}.transformer_blocks.0"
    yield from _layer(f"{name}.norm", width)
    yield from _layer(f"{name}.proj_in", width, width, 1, 1)
    for attention, context in (("attn1", width), ("attn2", CONTEXT)):
        yield f"{block}.{attention}.to_q.weight", (width, width)
        yield f"{block}.{attention}.to_k.weight", (width, context)
        yield f"{block}.{attention}.to_v.weight", (width, context)
        yield from _layer(f"{block}.{attention}.to_out.0", width, width)
    yield from _layer(f"{block}.ff.net.0.proj", 8 * width, width)
    yield from _layer(f"{block}.ff.net.2", width, 4 * width)
    for norm in ("norm1", "norm2", "norm3"):
        yield from _layer(f"{block}.{norm}", width)
    yield from _layer(f"{name}.proj_out", width, width, 1, 1)


def _vae() -> Iterator[tuple[str, Shape]]:
    yield from _layer("encoder.conv_in", VAE_WIDTHS[0], 3, 3, 3)
    width = VAE_WIDTHS[0]
    for level, out in enumerate(VAE_WIDTHS):
        for index in range(2):
            yield from _vae_resnet(f"encoder.down.{level}.block.{index}", width, out)
            width = out
        if level < 3:
            yield from _layer(f"encoder.down.{level}.downsample.conv", out, out, 3, 3)
    yield from _vae_ends("encoder", width, 8)
    yield from _layer("decoder.conv_in", width, 4, 3, 3)
    for level, out in reversed(list(enumerate(VAE_WIDTHS))):
        for index in range(3):
            yield from _vae_resnet(f"decoder.up.{level}.block.{index}", width, out)
            width = out
        if level > 0:
            yield from _layer(f"decoder.up.{level}.upsample.conv", out, out, 3, 3)
    yield from _vae_ends("decoder", VAE_WIDTHS[-1], 3, width)
    yield from _layer("quant_conv", 8, 8, 1, 1)
    yield from _layer("post_quant_conv", 4, 4, 1, 1)


def _vae_ends(side: str, middle: int, out: int, last: int | None = None) -> Iterator[tuple[str, Shape]]:
    yield from _vae_resnet(f"{side}.mid.block_1", middle, middle)
    yield from _layer(f"{side}.mid.attn_1.norm", middle)
    for name in ("q", "k", "v", "proj_out"):
        yield from _layer(f"{side}.mid.attn_1.{name}", middle, middle, 1, 1)
    yield from _vae_resnet(f"{side}.mid.block_2", middle, middle)
    yield from _layer(f"{side}.norm_out", last or middle)
    yield from _layer(f"{side}.conv_out", out, last or middle, 3, 3)


def _vae_resnet(name: str, width: int, out: int) -> Iterator[tuple[str, Shape]]:
    yield from _layer(f"{name}.norm1", width)
    yield from _layer(f"{name}.conv1", out, width, 3, 3)
    yield from _layer(f"{name}.norm2", out)
    yield from _layer(f"{name}.conv2", out, out, 3, 3)
    if width != out:
        yield from _layer(f"{name}.nin_shortcut", out, width, 1, 1)


def _text_encoder() -> Iterator[tuple[str, Shape]]:
    yield "embeddings.token_embedding.weight", (49408, CONTEXT)
    yield "embeddings.position_embedding.weight", (77, CONTEXT)
    for index in range(12):
        layer = f"encoder.layers.{index}"
        for name in ("q_proj", "k_proj", "v_proj", "out_proj"):
            yield from _layer(f"{layer}.self_attn.{name}", CONTEXT, CONTEXT)
        yield from _layer(f"{layer}.layer_norm1", CONTEXT)
        yield from _layer(f"{layer}.mlp.fc1", 4 * CONTEXT, CONTEXT)
        yield from _layer(f"{layer}.mlp.fc2", CONTEXT, 4 * CONTEXT)
        yield from _layer(f"{layer}.layer_norm2", CONTEXT)
    yield from _layer("final_layer_norm", CONTEXT)
