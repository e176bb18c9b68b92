"""Names and shapes of the tensors in single files of Stable Diffusion, written down from the original networks:
openaimodel.UNetModel, the autoencoder's Encoder and Decoder, and the text transformers of CLIP and OpenCLIP."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

from . import open_clip

Shape = tuple[int, ...]


class Version(NamedTuple):
    """What tells the generations of Stable Diffusion apart.

    name: as messages and reports show it. clip, open_clip: where in a file its text encoders are, empty where it has
    none of that kind. linear: whether its transformers project by linear layers instead of 1 x 1 convolutions, and
    their heads are 64 wide instead of 8 in number.
    """

    name: str
    clip: str
    open_clip: str
    linear: bool


V1: Final = Version("Stable Diffusion 1.x", "cond_stage_model.transformer.", "", False)
V2: Final = Version("Stable Diffusion 2.x", "", "cond_stage_model.model.", True)
XL: Final = Version(
    "Stable Diffusion XL", "conditioner.embedders.0.transformer.", "conditioner.embedders.1.model.", True
)
VERSIONS: Final = (V1, V2, XL)


class Sizes(NamedTuple):
    """Hyper-parameters that tensor shapes tell.

    channels: that the U-Net takes, 9 for an inpainting model, 4 for a base model. widths, vae_widths: by level, from
    the finest. hidden, layers: of the text encoder, the first of two. depths: transformer blocks in a row, by level;
    middle: between the two ways. second_hidden, second_layers, projection, added: of XL, its second text encoder, the
    embedding that it pools, and what the U-Net is given of that and of sizes in pixels.
    """

    channels: int
    widths: tuple[int, ...] = (320, 640, 1280, 1280)
    vae_widths: tuple[int, int, int, int] = (128, 256, 512, 512)
    hidden: int = 768
    layers: int = 12
    version: Version = V1
    depths: tuple[int, ...] = (1, 1, 1, 0)
    middle: int = 1
    second_hidden: int = 0
    second_layers: int = 0
    projection: int = 0
    added: int = 0


BASE: Final = Sizes(4)
BASE_V2: Final = Sizes(4, hidden=1024, layers=24, version=V2)
BASE_XL: Final = Sizes(
    4,
    (320, 640, 1280),
    version=XL,
    depths=(0, 2, 10),
    middle=10,
    second_hidden=1280,
    second_layers=32,
    projection=1280,
    added=2816,
)
PUBLISHED: Final = {V1: BASE, V2: BASE_V2, XL: BASE_XL}
TINY: Final = Sizes(4, (32, 32, 32, 32), (32, 32, 32, 32), 64, 2)
"""The least that the norms' 32 groups and a head of 64 allow."""
TINY_V2: Final = Sizes(4, (64, 64, 64, 64), (32, 32, 32, 32), 64, 3, V2)
TINY_XL: Final = Sizes(
    4,
    (64, 64, 64),
    (32, 32, 32, 32),
    64,
    2,
    XL,
    depths=(0, 1, 2),
    middle=2,
    second_hidden=64,
    second_layers=2,
    projection=64,
    added=64 + 6 * 32,
)
SMALLEST: Final = {V1: TINY, V2: TINY_V2, XL: TINY_XL}
VOCABULARY: Final = open_clip.VOCABULARY
POSITIONS: Final = open_clip.POSITIONS


def weights(sizes: Sizes) -> dict[str, Shape]:
    """All tensors of a published file that pictures depend on; of SD 1.x these are 1,130.

    The last layer of an SD 2.x text encoder is among them, though no picture depends on it.
    """
    named = {f"model.diffusion_model.{name}": shape for name, shape in unet(sizes).items()}
    named |= {f"first_stage_model.{name}": shape for name, shape in _vae(sizes.vae_widths)}
    version = sizes.version
    if version.clip:
        text = _text_encoder(sizes.hidden, sizes.layers)
        named |= {f"{version.clip}text_model.{name}": shape for name, shape in text}
    if version is V2:
        text = open_clip.weights(sizes.hidden, sizes.layers)
        named |= {f"{version.open_clip}{name}": shape for name, shape in text.items()}
    if version is XL:
        text = open_clip.weights(sizes.second_hidden, sizes.second_layers, sizes.projection)
        named |= {f"{version.open_clip}{name}": shape for name, shape in text.items()}
    return named


def unet(sizes: Sizes) -> dict[str, Shape]:
    """Those of the U-Net alone."""
    return dict(_unet(sizes))


def joined(sizes: Sizes) -> list[int]:
    """Widths of what the U-Net's way down hands over to the way up, from the first on."""
    last = len(sizes.widths) - 1
    levels = ([width] * (2 if level == last else 3) for level, width in enumerate(sizes.widths))
    return [sizes.widths[0], *(width for level in levels for width in level)]


def _layer(name: str, *shape: int) -> Iterator[tuple[str, Shape]]:
    yield f"{name}.weight", shape
    yield f"{name}.bias", shape[:1]


def _unet(sizes: Sizes) -> Iterator[tuple[str, Shape]]:
    widths, context, last = sizes.widths, sizes.hidden + sizes.second_hidden, len(sizes.widths) - 1
    embedding, linear = 4 * widths[0], sizes.version.linear
    yield from _layer("time_embed.0", embedding, widths[0])
    yield from _layer("time_embed.2", embedding, embedding)
    if sizes.added:
        yield from _layer("label_emb.0.0", embedding, sizes.added)
        yield from _layer("label_emb.0.2", embedding, embedding)
    yield from _layer("input_blocks.0.0", widths[0], sizes.channels, 3, 3)
    block, width, handed = 1, widths[0], joined(sizes)
    for level, (out, depth) in enumerate(zip(widths, sizes.depths, strict=True)):
        for _ in range(2):
            yield from _resnet(f"input_blocks.{block}.0", width, out, embedding)
            yield from _transformer(f"input_blocks.{block}.1", out, context, depth, linear)
            block, width = block + 1, out
        if level < last:
            yield from _layer(f"input_blocks.{block}.0.op", out, out, 3, 3)
            block += 1
    yield from _resnet("middle_block.0", width, width, embedding)
    yield from _transformer("middle_block.1", width, context, sizes.middle, linear)
    yield from _resnet("middle_block.2", width, width, embedding)
    block = 0
    for level, (out, depth) in reversed(list(enumerate(zip(widths, sizes.depths, strict=True)))):
        for index in range(3):
            yield from _resnet(f"output_blocks.{block}.0", width + handed.pop(), out, embedding)
            yield from _transformer(f"output_blocks.{block}.1", out, context, depth, linear)
            if index == 2 and level > 0:
                yield from _layer(f"output_blocks.{block}.{2 if depth else 1}.conv", out, out, 3, 3)
            block, width = block + 1, out
    yield from _layer("out.0", width)
    yield from _layer("out.2", 4, width, 3, 3)


def _resnet(name: str, width: int, out: int, embedding: int) -> Iterator[tuple[str, Shape]]:
    yield from _layer(f"{name}.in_layers.0", width)
    yield from _layer(f"{name}.in_layers.2", out, width, 3, 3)
    yield from _layer(f"{name}.emb_layers.1", out, embedding)
    yield from _layer(f"{name}.out_layers.0", out)
    yield from _layer(f"{name}.out_layers.3", out, out, 3, 3)
    if width != out:
        yield from _layer(f"{name}.skip_connection", out, width, 1, 1)


def _transformer(name: str, width: int, context: int, depth: int, linear: bool) -> Iterator[tuple[str, Shape]]:
    """depth: blocks in a row; none at all where it is 0."""
    if not depth:
        return
    kernel = () if linear else (1, 1)
    yield from _layer(f"{name}.norm", width)
    yield from _layer(f"{name}.proj_in", width, width, *kernel)
    for index in range(depth):
        block = f"{name}.transformer_blocks.{index}"
        for attention, given in (("attn1", width), ("attn2", context)):
            yield f"{block}.{attention}.to_q.weight", (width, width)
            yield f"{block}.{attention}.to_k.weight", (width, given)
            yield f"{block}.{attention}.to_v.weight", (width, given)
            yield from _layer(f"{block}.{attention}.to_out.0", width, width)
        yield from _layer(f"{block}.ff.net.0.proj", 8 * width, width)
        yield from _layer(f"{block}.ff.net.2", width, 4 * width)
        for norm in ("norm1", "norm2", "norm3"):
            yield from _layer(f"{block}.{norm}", width)
    yield from _layer(f"{name}.proj_out", width, width, *kernel)


def _vae(widths: tuple[int, ...]) -> Iterator[tuple[str, Shape]]:
    yield from _layer("encoder.conv_in", widths[0], 3, 3, 3)
    width = widths[0]
    for level, out in enumerate(widths):
        for index in range(2):
            yield from _vae_resnet(f"encoder.down.{level}.block.{index}", width, out)
            width = out
        if level < 3:
            yield from _layer(f"encoder.down.{level}.downsample.conv", out, out, 3, 3)
    yield from _vae_ends("encoder", width, 8)
    yield from _layer("decoder.conv_in", width, 4, 3, 3)
    for level, out in reversed(list(enumerate(widths))):
        for index in range(3):
            yield from _vae_resnet(f"decoder.up.{level}.block.{index}", width, out)
            width = out
        if level > 0:
            yield from _layer(f"decoder.up.{level}.upsample.conv", out, out, 3, 3)
    yield from _vae_ends("decoder", widths[-1], 3, width)
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


def _text_encoder(hidden: int, layers: int) -> Iterator[tuple[str, Shape]]:
    yield "embeddings.token_embedding.weight", (VOCABULARY, hidden)
    yield "embeddings.position_embedding.weight", (POSITIONS, hidden)
    for index in range(layers):
        layer = f"encoder.layers.{index}"
        for name in ("q_proj", "k_proj", "v_proj", "out_proj"):
            yield from _layer(f"{layer}.self_attn.{name}", hidden, hidden)
        yield from _layer(f"{layer}.layer_norm1", hidden)
        yield from _layer(f"{layer}.mlp.fc1", 4 * hidden, hidden)
        yield from _layer(f"{layer}.mlp.fc2", hidden, 4 * hidden)
        yield from _layer(f"{layer}.layer_norm2", hidden)
    yield from _layer("final_layer_norm", hidden)
