"""Random pipelines with a prior, unCLIP and Kandinsky 2.2, as folders; for tests. Sizes as diffusers' own tests have
them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import torch

from ...diffusion.tiny import POSITIONS, WIDTH, text_encoder, write_tokenizer
from ...files.folders import INDEX, read_json, write_json
from ...random_weights import random_weights

PRIOR_SCHEDULER: Final[Mapping[str, Any]] = {
    "_class_name": "UnCLIPScheduler",
    "variance_type": "fixed_small_log",
    "prediction_type": "sample",
    "clip_sample_range": 5.0,
}
DDIM: Final[Mapping[str, Any]] = {
    "_class_name": "DDIMScheduler",
    "beta_schedule": "linear",
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "clip_sample": False,
    "set_alpha_to_one": False,
    "steps_offset": 1,
}
LEVELS: Final[Mapping[str, Any]] = {
    "block_out_channels": (16, 32),
    "down_block_types": ("ResnetDownsampleBlock2D", "SimpleCrossAttnDownBlock2D"),
    "mid_block_type": "UNetMidBlock2DSimpleCrossAttn",
    "up_block_types": ("SimpleCrossAttnUpBlock2D", "ResnetUpsampleBlock2D"),
    "layers_per_block": 1,
    "norm_num_groups": 8,
    "resnet_time_scale_shift": "scale_shift",
}


def write_parts(folder: Path, pipeline: str, libraries: Mapping[str, str] | None = None, **parts: Any) -> Path:
    """A diffusers folder of networks with random weights and of schedulers' configurations; text encoders get a
    tokenizer each. libraries: of parts that are a pipeline's own."""
    index: dict[str, Any] = {"_class_name": pipeline}
    for part, made in parts.items():
        if isinstance(made, Mapping):
            (folder / part).mkdir(parents=True)
            write_json(folder / part / "scheduler_config.json", made)
            index[part] = ["diffusers", made["_class_name"]]
            continue
        made.load_state_dict(calm(random_weights(made)))
        made.save_pretrained(folder / part)
        library = (libraries or {}).get(part, type(made).__module__.partition(".")[0])
        index[part] = [library, type(made).__name__]
        if part.endswith("text_encoder"):
            tokenizer = part.replace("text_encoder", "tokenizer")
            told = write_tokenizer(folder / tokenizer) / "tokenizer_config.json"
            write_json(told, {**read_json(told), "model_max_length": POSITIONS})
            index[tokenizer] = ["transformers", "CLIPTokenizer"]
    write_json(folder / INDEX, index)
    return folder


LAST: Final = ("proj_to_clip_embeddings.weight", "conv_out.weight", "decoder.conv_out.weight")
"""The last layers of a prior, a U-Net and MoVQ."""


def calm(weights: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The same, with small answers: the first steps divide by what little signal they have, and MoVQ multiplies by its
    latents in every norm, which magnifies rounding some hundred times."""
    return weights | {name: weights[name] / 20 for name in LAST if name in weights}


def prior() -> Any:
    """A PriorTransformer over the vectors of CLIP."""
    from diffusers import PriorTransformer

    return PriorTransformer(
        num_attention_heads=2, attention_head_dim=12, embedding_dim=WIDTH, num_layers=1, num_embeddings=POSITIONS
    ).train(False)


def write_unclip(folder: Path) -> Path:
    """A folder of unCLIP; gives its path."""
    from diffusers import UNet2DConditionModel, UNet2DModel

    from .pipeline_parts import text_projection

    decoder = UNet2DConditionModel(
        **LEVELS,
        sample_size=8,
        in_channels=3,
        out_channels=6,
        cross_attention_dim=WIDTH,
        attention_head_dim=4,
        class_embed_type="identity",
    ).train(False)
    projection = text_projection()(
        # Where all tokens were as many as the cells of the lower level, diffusers would not fill up their mask.
        clip_extra_context_tokens=2,
        clip_embeddings_dim=WIDTH,
        time_embed_dim=64,
        cross_attention_dim=WIDTH,
    ).train(False)

    def enlarger() -> Any:
        return UNet2DModel(
            sample_size=16,
            in_channels=6,
            out_channels=3,
            layers_per_block=1,
            block_out_channels=(16, 32),
            down_block_types=("ResnetDownsampleBlock2D", "ResnetDownsampleBlock2D"),
            up_block_types=("ResnetUpsampleBlock2D", "ResnetUpsampleBlock2D"),
            norm_num_groups=8,
        ).train(False)

    return write_parts(
        folder / "tiny",
        "UnCLIPPipeline",
        {"text_proj": "unclip"},
        prior=prior(),
        decoder=decoder,
        text_encoder=text_encoder(WIDTH),
        text_proj=projection,
        super_res_first=enlarger(),
        super_res_last=enlarger(),
        prior_scheduler=PRIOR_SCHEDULER,
        decoder_scheduler={"_class_name": "UnCLIPScheduler", "variance_type": "learned_range"},
        super_res_scheduler={"_class_name": "UnCLIPScheduler", "variance_type": "fixed_small_log"},
    )


def _decoder_parts() -> dict[str, Any]:
    from diffusers import UNet2DConditionModel, VQModel

    unet = UNet2DConditionModel(
        **LEVELS,
        sample_size=8,
        in_channels=4,
        out_channels=8,
        addition_embed_type="image",
        encoder_hid_dim=WIDTH,
        encoder_hid_dim_type="image_proj",
        cross_attention_dim=16,
        attention_head_dim=4,
    ).train(False)
    movq = VQModel(
        block_out_channels=(32, 32),  # its norms have 32 groups
        down_block_types=("DownEncoderBlock2D", "AttnDownEncoderBlock2D"),
        up_block_types=("AttnUpDecoderBlock2D", "UpDecoderBlock2D"),
        latent_channels=4,
        vq_embed_dim=4,
        num_vq_embeddings=12,
        norm_num_groups=4,
        norm_type="spatial",
    ).train(False)
    return {"unet": unet, "movq": movq, "scheduler": DDIM}


def _prior_parts() -> dict[str, Any]:
    from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

    config = CLIPVisionConfig(
        hidden_size=16,
        intermediate_size=16,
        projection_dim=WIDTH,
        num_hidden_layers=1,
        num_attention_heads=2,
        image_size=16,
        patch_size=8,
    )
    encoder = CLIPVisionModelWithProjection(config).train(False)
    return {
        "prior": prior(),
        "image_encoder": encoder,
        "text_encoder": text_encoder(WIDTH),
        "scheduler": PRIOR_SCHEDULER,
    }


def write_kandinsky(folder: Path) -> Path:
    """A folder of Kandinsky 2.2's decoder, with the prior's beside it; gives the decoder's path."""
    write_parts(folder / "tiny-prior", "KandinskyV22PriorPipeline", **_prior_parts())
    return write_parts(folder / "tiny-decoder", "KandinskyV22Pipeline", **_decoder_parts())


def write_kandinsky_combined(folder: Path) -> Path:
    """The same as one folder."""
    parts = {f"prior_{name}": part for name, part in _prior_parts().items()}
    return write_parts(folder / "tiny", "KandinskyV22CombinedPipeline", **_decoder_parts(), **parts)
