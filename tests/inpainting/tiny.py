"""Random Stable Diffusion models of a few thousand parameters, and folders of them as diffusers writes."""

import json
from pathlib import Path

import torch
from trilemma.models.inpainting.stable_diffusion import Inpainter

WIDTH = 32
POSITIONS = 12
WORDS = ("a", "red", "cat", "blue", "dog")


def tokenizer_files(folder: Path) -> Path:
    """CLIP tokenizer files with single letters and no merges."""
    letters = [chr(code) for code in range(ord("a"), ord("z") + 1)]
    tokens = [*letters, *(f"{letter}</w>" for letter in letters), "<|startoftext|>", "<|endoftext|>"]
    folder.mkdir(parents=True)
    (folder / "vocab.json").write_text(json.dumps({token: index for index, token in enumerate(tokens)}))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    names = {"bos_token": tokens[-2], "eos_token": tokens[-1], "pad_token": tokens[-1], "unk_token": tokens[-1]}
    (folder / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "CLIPTokenizer", **names}))
    return folder


def pipeline(folder: Path, channels: int = 9, vae: str = "tiny", prediction: str = "epsilon", seed: int = 0):
    """A StableDiffusionInpaintPipeline with random weights; its tokenizer lies in `folder`/words."""
    from diffusers import (
        AutoencoderKL,
        AutoencoderTiny,
        DDIMScheduler,
        StableDiffusionInpaintPipeline,
        UNet2DConditionModel,
    )
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

    tokenizer = CLIPTokenizer.from_pretrained(str(tokenizer_files(folder / "words")))
    torch.manual_seed(seed)
    if vae == "tiny":
        autoencoder = AutoencoderTiny(
            encoder_block_out_channels=(8, 8, 8),
            decoder_block_out_channels=(8, 8, 8),
            num_encoder_blocks=(1, 1, 1),
            num_decoder_blocks=(1, 1, 1),
            latent_channels=4,
            scaling_factor=0.7,
        )
    else:
        autoencoder = AutoencoderKL(
            block_out_channels=(8, 16),
            down_block_types=["DownEncoderBlock2D"] * 2,
            up_block_types=["UpDecoderBlock2D"] * 2,
            latent_channels=4,
            norm_num_groups=4,
        )
    unet = UNet2DConditionModel(
        sample_size=16,
        in_channels=channels,
        out_channels=4,
        block_out_channels=(16, 32),
        layers_per_block=1,
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
        cross_attention_dim=WIDTH,
        attention_head_dim=4,
        norm_num_groups=8,
    )
    text_encoder = CLIPTextModel(
        CLIPTextConfig(
            vocab_size=len(tokenizer),
            hidden_size=WIDTH,
            intermediate_size=WIDTH,
            num_hidden_layers=2,
            num_attention_heads=2,
            max_position_embeddings=POSITIONS,
            bos_token_id=len(tokenizer) - 2,
            eos_token_id=len(tokenizer) - 1,
            pad_token_id=len(tokenizer) - 1,
        )
    )
    scheduler = DDIMScheduler(
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        prediction_type=prediction,
        clip_sample=False,
        set_alpha_to_one=False,
        steps_offset=1,
    )
    made = StableDiffusionInpaintPipeline(
        autoencoder.eval(),
        text_encoder.eval(),
        tokenizer,
        unet.eval(),
        scheduler,
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    made.tokenizer.model_max_length = POSITIONS
    made.set_progress_bar_config(disable=True)
    return made


def inpainter_of(made) -> Inpainter:
    """The same networks as a value of the pack."""
    config = {**made.scheduler.config, "_class_name": type(made.scheduler).__name__}
    return Inpainter(made.unet, made.vae, made.text_encoder, made.tokenizer, config)
