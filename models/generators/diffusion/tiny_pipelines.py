"""Random pipelines of diffusers of a few thousand parameters, as folders; for tests. Sizes as diffusers' own tests have
them; tokenizers are made in code."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from ...diffusion.tiny import POSITIONS, text_encoder, write_pipeline
from ...files.folders import INDEX, read_json, write_json

T5_WIDTH: Final = 32
LETTERS: Final = [chr(code) for code in range(ord("a"), ord("z") + 1)]
SPECIAL: Final = ("<pad>", "</s>", "<unk>")
"""Of T5, in its order."""
DDPM: Final[Mapping[str, Any]] = {
    "_class_name": "DDPMScheduler",
    "beta_schedule": "squaredcos_cap_v2",
    "variance_type": "learned_range",
    "thresholding": True,
    "sample_max_value": 1.0,
}
COSINE_DDIM: Final[Mapping[str, Any]] = {
    "_class_name": "CogVideoXDDIMScheduler",
    "beta_schedule": "scaled_linear",
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "prediction_type": "v_prediction",
    "rescale_betas_zero_snr": True,
    "timestep_spacing": "trailing",
}


def t5_encoder() -> Any:
    """A T5EncoderModel for the tokens of `write_t5_tokenizer`."""
    from transformers import T5Config, T5EncoderModel

    tokens = len(SPECIAL) + 1 + len(LETTERS)
    config = T5Config(
        vocab_size=tokens,
        d_model=T5_WIDTH,
        d_kv=8,
        d_ff=37,
        num_layers=2,
        num_heads=2,
        feed_forward_proj="gated-gelu",
    )
    return T5EncoderModel(config).train(False)


def write_t5_tokenizer(folder: Path) -> None:
    """T5's tokenizer of single letters, in the format that transformers writes."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors

    pieces = [
        (SPECIAL[0], 0.0),
        (SPECIAL[1], 0.0),
        (SPECIAL[2], -9.0),
        ("▁", -2.0),
        *((each, -3.0) for each in LETTERS),
    ]
    tokenizer = Tokenizer(models.Unigram(pieces, unk_id=2))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[(SPECIAL[1], 1)])
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    names = dict(zip(("pad_token", "eos_token", "unk_token"), SPECIAL, strict=True))
    write_json(folder / "tokenizer_config.json", {"tokenizer_class": "T5TokenizerFast", "extra_ids": 0, **names})


def autoencoder(channels: int = 4, **changes: Any) -> Any:
    """An AutoencoderKL, 2 pixels to a cell."""
    from diffusers import AutoencoderKL

    return AutoencoderKL(
        block_out_channels=(8, 16),
        down_block_types=("DownEncoderBlock2D", "DownEncoderBlock2D"),
        up_block_types=("UpDecoderBlock2D", "UpDecoderBlock2D"),
        latent_channels=channels,
        norm_num_groups=4,
        **changes,
    ).train(False)


def write(
    folder: Path, pipeline: str, scheduler: Mapping[str, Any], t5: str | None = "tokenizer", **networks: Any
) -> Path:
    """A folder `tiny` of a pipeline; the tokenizer named `t5` is T5's, others CLIP's."""
    made = write_pipeline(folder, pipeline, scheduler, **networks)
    for tokenizer in sorted(made.glob("tokenizer*")):
        if tokenizer.name == t5:
            replace_tokenizer(tokenizer, "T5Tokenizer")
            write_t5_tokenizer(tokenizer)
        else:
            told = tokenizer / "tokenizer_config.json"
            write_json(told, {**read_json(told), "model_max_length": POSITIONS})
    return made


def replace_tokenizer(folder: Path, named: str) -> None:
    """Empty the folder of a tokenizer for one of another class."""
    for file in folder.iterdir():
        file.unlink()
    index = folder.parent / INDEX
    write_json(index, {**read_json(index), folder.name: ["transformers", named]})


def pixart() -> Any:
    """A PixArtTransformer2DModel that foresees variances too."""
    from diffusers import PixArtTransformer2DModel

    return PixArtTransformer2DModel(
        sample_size=8,
        num_layers=2,
        num_attention_heads=3,
        attention_head_dim=8,
        cross_attention_dim=24,
        caption_channels=T5_WIDTH,
        in_channels=4,
        out_channels=8,
    ).train(False)


def _write_pixart(folder: Path, pipeline: str) -> Path:
    scheduler = {"_class_name": "DPMSolverMultistepScheduler"}
    return write(folder, pipeline, scheduler, text_encoder=t5_encoder(), transformer=pixart(), vae=autoencoder())


def write_pixart_alpha(folder: Path) -> Path:
    """A folder of PixArt-alpha; gives its path."""
    return _write_pixart(folder, "PixArtAlphaPipeline")


def write_pixart_sigma(folder: Path) -> Path:
    """A folder of PixArt-sigma; gives its path."""
    return _write_pixart(folder, "PixArtSigmaPipeline")


def write_deepfloyd_if(folder: Path) -> Path:
    """A folder of DeepFloyd IF's first stage; gives its path."""
    from diffusers import UNet2DConditionModel

    unet = UNet2DConditionModel(
        sample_size=16,
        layers_per_block=1,
        block_out_channels=(16, 32),
        down_block_types=("ResnetDownsampleBlock2D", "SimpleCrossAttnDownBlock2D"),
        mid_block_type="UNetMidBlock2DSimpleCrossAttn",
        up_block_types=("SimpleCrossAttnUpBlock2D", "ResnetUpsampleBlock2D"),
        in_channels=3,
        out_channels=6,
        cross_attention_dim=T5_WIDTH,
        encoder_hid_dim=T5_WIDTH,
        attention_head_dim=8,
        addition_embed_type="text",
        addition_embed_type_num_heads=2,
        cross_attention_norm="group_norm",
        resnet_time_scale_shift="scale_shift",
        act_fn="gelu",
        norm_num_groups=8,
    ).train(False)
    return write(folder, "IFPipeline", DDPM, text_encoder=t5_encoder(), unet=unet)


def write_cogview3_plus(folder: Path) -> Path:
    """A folder of CogView3-Plus; gives its path."""
    from diffusers import CogView3PlusTransformer2DModel

    transformer = CogView3PlusTransformer2DModel(
        patch_size=2,
        in_channels=4,
        out_channels=4,
        num_layers=1,
        attention_head_dim=8,
        num_attention_heads=2,
        text_embed_dim=T5_WIDTH,
        time_embed_dim=8,
        condition_dim=2,
        pos_embed_max_size=8,
        sample_size=8,
    ).train(False)
    networks = {"text_encoder": t5_encoder(), "transformer": transformer, "vae": autoencoder()}
    return write(folder, "CogView3PlusPipeline", COSINE_DDIM, **networks)


FLOW: Final[Mapping[str, Any]] = {"_class_name": "FlowMatchEulerDiscreteScheduler"}
SHIFTING: Final[Mapping[str, Any]] = {**FLOW, "use_dynamic_shifting": True}


def write_stable_diffusion_3(folder: Path) -> Path:
    """A folder of Stable Diffusion 3; gives its path."""
    from diffusers import SD3Transformer2DModel

    first, second = text_encoder(16, 16), text_encoder(20, 16)
    transformer = SD3Transformer2DModel(
        sample_size=8,
        patch_size=2,
        in_channels=4,
        out_channels=4,
        num_layers=2,
        attention_head_dim=8,
        num_attention_heads=2,
        joint_attention_dim=T5_WIDTH,
        caption_projection_dim=16,
        pooled_projection_dim=36,
        pos_embed_max_size=8,
    ).train(False)
    return write(
        folder,
        "StableDiffusion3Pipeline",
        FLOW,
        "tokenizer_3",
        text_encoder=first,
        text_encoder_2=second,
        text_encoder_3=t5_encoder(),
        transformer=transformer,
        vae=autoencoder(shift_factor=0.06, scaling_factor=1.5),
    )


def write_flux(folder: Path, guidance: bool = True) -> Path:
    """A folder of Flux, trained with its guidance or without; gives its path."""
    from diffusers import FluxTransformer2DModel

    transformer = FluxTransformer2DModel(
        patch_size=1,
        in_channels=16,
        num_layers=1,
        num_single_layers=1,
        attention_head_dim=16,
        num_attention_heads=2,
        joint_attention_dim=T5_WIDTH,
        pooled_projection_dim=32,
        axes_dims_rope=(4, 4, 8),
        guidance_embeds=guidance,
    ).train(False)
    return write(
        folder,
        "FluxPipeline",
        SHIFTING,
        "tokenizer_2",
        text_encoder=text_encoder(),
        text_encoder_2=t5_encoder(),
        transformer=transformer,
        vae=autoencoder(shift_factor=0.1, scaling_factor=0.36),
    )


def write_amused(folder: Path) -> Path:
    """A folder of aMUSEd; gives its path."""
    from diffusers import UVit2DModel, VQModel

    vqvae = VQModel(
        block_out_channels=(8, 16),
        down_block_types=("DownEncoderBlock2D", "DownEncoderBlock2D"),
        up_block_types=("UpDecoderBlock2D", "UpDecoderBlock2D"),
        layers_per_block=1,
        latent_channels=8,
        num_vq_embeddings=16,
        norm_num_groups=4,
        lookup_from_codebook=True,
    ).train(False)
    transformer = UVit2DModel(
        hidden_size=16,
        cond_embed_dim=20,
        micro_cond_encode_dim=2,
        micro_cond_embed_dim=10,
        encoder_hidden_size=16,
        vocab_size=18,
        codebook_size=16,
        in_channels=8,
        block_out_channels=8,
        num_res_blocks=1,
        block_num_heads=1,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        sample_size=8,
    ).train(False)
    scheduler = {"_class_name": "AmusedScheduler", "mask_token_id": 17}
    networks = {"text_encoder": text_encoder(20, 16), "transformer": transformer, "vqvae": vqvae}
    return write(folder, "AmusedPipeline", scheduler, None, **networks)


def write_glm_tokenizer(folder: Path) -> None:
    """GLM's kind of tokenizer, of single letters: two tokens stand before every prompt, an empty one too."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors

    special = ("<|endoftext|>", "[gMASK]", "<sop>")
    places = {token: place for place, token in enumerate((*special, " ", *LETTERS))}
    tokenizer = Tokenizer(models.WordLevel(places, unk_token=special[0]))
    tokenizer.pre_tokenizer = pre_tokenizers.Split("", "isolated")
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[gMASK] <sop> $A", special_tokens=[("[gMASK]", 1), ("<sop>", 2)]
    )
    tokenizer.save(str(folder / "tokenizer.json"))
    told = {"tokenizer_class": "PreTrainedTokenizerFast", "pad_token": special[0], "padding_side": "left"}
    write_json(folder / "tokenizer_config.json", {**told, "model_max_length": 1024})


def write_cogview4(folder: Path) -> Path:
    """A folder of CogView4; gives its path."""
    from diffusers import CogView4Transformer2DModel
    from transformers import GlmConfig, GlmModel

    config = GlmConfig(
        vocab_size=32,
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=8,
        pad_token_id=0,
    )
    transformer = CogView4Transformer2DModel(
        patch_size=2,
        in_channels=4,
        out_channels=4,
        num_layers=2,
        attention_head_dim=8,
        num_attention_heads=2,
        text_embed_dim=32,
        time_embed_dim=8,
        condition_dim=4,
        sample_size=8,
        rope_axes_dim=(8, 8),
    ).train(False)
    networks = {"text_encoder": GlmModel(config).train(False), "transformer": transformer, "vae": autoencoder()}
    made = write_pipeline(folder, "CogView4Pipeline", SHIFTING, **networks)
    replace_tokenizer(made / "tokenizer", "PreTrainedTokenizerFast")
    write_glm_tokenizer(made / "tokenizer")
    return made
