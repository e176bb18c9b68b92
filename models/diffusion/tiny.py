"""Random models of a few thousand parameters, and folders of them as diffusers writes; for tests."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import torch

from .. import random_weights
from ..files.atomic import replacing
from ..files.folders import INDEX, write_json
from . import original_layout
from .original_layout import V1, V2, Version
from .prediction import VELOCITIES_MARK

WIDTH: Final = 32
"""Of a text encoder's hidden states."""
SECOND_WIDTH: Final = 24
PROJECTION: Final = 20
POSITIONS: Final = 12
SCHEDULER: Final[Mapping[str, Any]] = {
    "_class_name": "DDIMScheduler",
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "clip_sample": False,
    "set_alpha_to_one": False,
    "steps_offset": 1,
}


def unet(channels: int = 4, width: int = WIDTH, **changes: Any) -> Any:
    """A UNet2DConditionModel of two levels that attends to states of a width."""
    from diffusers import UNet2DConditionModel

    return UNet2DConditionModel(
        sample_size=16,
        in_channels=channels,
        out_channels=4,
        block_out_channels=(16, 32),
        layers_per_block=1,
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
        cross_attention_dim=width,
        attention_head_dim=4,
        norm_num_groups=8,
        **changes,
    ).train(False)


def xl_unet(channels: int = 4) -> Any:
    """The U-Net of a Stable Diffusion XL model with `text_encoder` and `second_encoder`."""
    return unet(
        channels,
        width=WIDTH + SECOND_WIDTH,
        addition_embed_type="text_time",
        addition_time_embed_dim=8,
        projection_class_embeddings_input_dim=6 * 8 + PROJECTION,
    )


def control_network(xl: bool = False, width: int = WIDTH, layers: int = 1, hints: tuple[int, ...] = (8, 16)) -> Any:
    """A ControlNetModel for `unet`, or for `xl_unet`; none of its layers is zero. hints: channels of the layers that
    look at hints, each but the first of half the side."""
    from diffusers import ControlNetModel

    further = {
        "addition_embed_type": "text_time",
        "addition_time_embed_dim": 8,
        "projection_class_embeddings_input_dim": 6 * 8 + PROJECTION,
    }
    made = ControlNetModel(
        block_out_channels=(16, 32),
        layers_per_block=layers,
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
        cross_attention_dim=WIDTH + SECOND_WIDTH if xl else width,
        attention_head_dim=4,
        norm_num_groups=8,
        conditioning_embedding_out_channels=hints,
        **(further if xl else {}),
    ).train(False)
    made.load_state_dict(random_weights.random_weights(made))
    return made


def second_encoder() -> Any:
    """The second text encoder of Stable Diffusion XL."""
    return text_encoder(PROJECTION, SECOND_WIDTH)


def tiny_autoencoder() -> Any:
    """An AutoencoderTiny, 4 pixels to a cell."""
    from diffusers import AutoencoderTiny

    return AutoencoderTiny(
        encoder_block_out_channels=(8, 8, 8),
        decoder_block_out_channels=(8, 8, 8),
        num_encoder_blocks=(1, 1, 1),
        num_decoder_blocks=(1, 1, 1),
        latent_channels=4,
        scaling_factor=0.7,
    ).train(False)


def autoencoder() -> Any:
    """An AutoencoderKL, 2 pixels to a cell."""
    from diffusers import AutoencoderKL

    return AutoencoderKL(
        block_out_channels=(8, 16),
        down_block_types=("DownEncoderBlock2D", "DownEncoderBlock2D"),
        up_block_types=("UpDecoderBlock2D", "UpDecoderBlock2D"),
        latent_channels=4,
        norm_num_groups=4,
    ).train(False)


def quantising_autoencoder() -> Any:
    """A VQModel with latents of three channels, 2 pixels to a cell."""
    from diffusers import VQModel

    return VQModel(
        block_out_channels=(8, 16),
        down_block_types=("DownEncoderBlock2D", "DownEncoderBlock2D"),
        up_block_types=("UpDecoderBlock2D", "UpDecoderBlock2D"),
        num_vq_embeddings=16,
        norm_num_groups=4,
        scaling_factor=0.5,
    ).train(False)


def unconditional_unet(classes: int | None = None, channels: int = 3) -> Any:
    """A UNet2DModel of two levels with attention in the lower one."""
    from diffusers import UNet2DModel

    return UNet2DModel(
        sample_size=16,
        in_channels=channels,
        out_channels=channels,
        block_out_channels=(8, 16),
        layers_per_block=1,
        down_block_types=("DownBlock2D", "AttnDownBlock2D"),
        up_block_types=("AttnUpBlock2D", "UpBlock2D"),
        norm_num_groups=4,
        attention_head_dim=4,
        num_class_embeds=classes,
    ).train(False)


def text_encoder(projection: int | None = None, width: int = WIDTH) -> Any:
    """A CLIPTextModel for the tokens of `write_tokenizer`, or one with projection."""
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

    tokens = len(_tokens())
    config = CLIPTextConfig(
        vocab_size=tokens,
        hidden_size=width,
        intermediate_size=width,
        num_hidden_layers=2,
        num_attention_heads=2,
        projection_dim=projection or width,
        max_position_embeddings=POSITIONS,
        bos_token_id=tokens - 2,
        eos_token_id=tokens - 1,
        pad_token_id=tokens - 1,
    )
    return (CLIPTextModel if projection is None else CLIPTextModelWithProjection)(config).train(False)


def _tokens() -> list[str]:
    letters = [chr(code) for code in range(ord("a"), ord("z") + 1)]
    return [*letters, *(f"{letter}</w>" for letter in letters), "<|startoftext|>", "<|endoftext|>"]


def write_tokenizer(folder: Path) -> Path:
    """CLIP's tokenizer files with single letters and no merges; gives the folder."""
    tokens = _tokens()
    folder.mkdir(parents=True)
    write_json(folder / "vocab.json", {token: index for index, token in enumerate(tokens)})
    with replacing(folder / "merges.txt") as file:
        file.write(b"#version: 0.2\n")
    names = {"bos_token": tokens[-2], "eos_token": tokens[-1], "pad_token": tokens[-1], "unk_token": tokens[-1]}
    write_json(folder / "tokenizer_config.json", {"tokenizer_class": "CLIPTokenizer", **names})
    return folder


def write_pipeline(folder: Path, pipeline: str, scheduler: Mapping[str, Any], **networks: Any) -> Path:
    """A diffusers folder `tiny` of these parts with random weights; every text encoder gets a tokenizer."""
    folder = folder / "tiny"
    index: dict[str, Any] = {"_class_name": pipeline, "scheduler": ["diffusers", scheduler["_class_name"]]}
    for part, network in networks.items():
        network.load_state_dict(random_weights.random_weights(network))
        network.save_pretrained(folder / part)
        index[part] = [type(network).__module__.partition(".")[0], type(network).__name__]
        if part.startswith("text_encoder"):
            tokenizer = part.replace("text_encoder", "tokenizer")
            write_tokenizer(folder / tokenizer)
            index[tokenizer] = ["transformers", "CLIPTokenizer"]
    (folder / "scheduler").mkdir()
    write_json(folder / "scheduler" / "scheduler_config.json", scheduler)
    write_json(folder / INDEX, index)
    return folder


def write_single_file(folder: Path, channels: int, version: Version = V1) -> Path:
    """A single file of a version of Stable Diffusion, of the least size; gives its path."""
    shapes = original_layout.weights(original_layout.SMALLEST[version]._replace(channels=channels))
    tensors = random_weights.random_tensors(shapes)
    if version is V2 and channels == 4:
        tensors[VELOCITIES_MARK] = torch.zeros(0)  # of base models nothing else tells
    return random_weights.write(folder / "tiny.safetensors", tensors)


def write_stable_diffusion(folder: Path, pipeline: str, channels: int) -> Path:
    """A diffusers folder of a Stable Diffusion model; gives its path."""
    networks = {"unet": unet(channels), "vae": autoencoder(), "text_encoder": text_encoder()}
    return write_pipeline(folder, pipeline, SCHEDULER, **networks)


def write_xl(folder: Path, pipeline: str = "StableDiffusionXLPipeline", channels: int = 4) -> Path:
    """A diffusers folder of a Stable Diffusion XL model; gives its path."""
    networks = {
        "unet": xl_unet(channels),
        "vae": autoencoder(),
        "text_encoder": text_encoder(),
        "text_encoder_2": second_encoder(),
    }
    scheduler = {**SCHEDULER, "_class_name": "EulerDiscreteScheduler"}
    return write_pipeline(folder, pipeline, scheduler, **networks)


def write_unconditional(folder: Path, pipeline: str) -> Path:
    """A diffusers folder of a model that draws pixels; gives its path."""
    scheduler = {"_class_name": pipeline.replace("Pipeline", "Scheduler"), "num_train_timesteps": 100}
    return write_pipeline(folder, pipeline, scheduler, unet=unconditional_unet())


def write_latent(folder: Path) -> Path:
    """A diffusers folder of a model that draws latents of a VQModel; gives its path."""
    scheduler = {"_class_name": "DDIMScheduler", "num_train_timesteps": 100}
    return write_pipeline(folder, "LDMPipeline", scheduler, unet=unconditional_unet(), vqvae=quantising_autoencoder())


def write_transformer(folder: Path) -> Path:
    """A diffusers folder of a DiT; gives its path."""
    from diffusers import DiTTransformer2DModel

    transformer = DiTTransformer2DModel(
        num_attention_heads=2,
        attention_head_dim=8,
        out_channels=8,
        num_layers=2,
        sample_size=8,
        num_embeds_ada_norm=3,
    ).train(False)
    scheduler = {"_class_name": "DDIMScheduler", "num_train_timesteps": 100, "clip_sample": False}
    return write_pipeline(folder, "DiTPipeline", scheduler, transformer=transformer, vae=autoencoder())
