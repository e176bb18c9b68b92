"""Random Stable Diffusion models of a few thousand parameters, as a pipeline of diffusers and as the pack's own."""

from pathlib import Path
from typing import Any

import torch
from trilemma.models.diffusion import tiny
from trilemma.models.diffusion.stable_diffusion import SecondEncoder, StableDiffusion
from trilemma.models.inpainting.base import Inpainter, InpaintRequest
from trilemma.models.inpainting.stable_diffusion import StableDiffusionInpainter
from trilemma.models.steps import OnStep, quiet


def pipeline(folder: Path, channels: int = 9, vae: str = "tiny", prediction: str = "epsilon", seed: int = 0) -> Any:
    """A StableDiffusionInpaintPipeline with random weights; its tokenizer lies in `folder`/words."""
    from diffusers import DDIMScheduler, StableDiffusionInpaintPipeline
    from transformers import CLIPTokenizer

    tokenizer = CLIPTokenizer.from_pretrained(str(tiny.write_tokenizer(folder / "words")))
    torch.manual_seed(seed)
    settings = {name: value for name, value in tiny.SCHEDULER.items() if name != "_class_name"}
    made = StableDiffusionInpaintPipeline(
        tiny.tiny_autoencoder() if vae == "tiny" else tiny.autoencoder(),
        tiny.text_encoder(),
        tokenizer,
        tiny.unet(channels),
        DDIMScheduler(**settings, prediction_type=prediction),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    made.tokenizer.model_max_length = tiny.POSITIONS
    made.set_progress_bar_config(disable=True)
    return made


def networks_of(made: Any) -> StableDiffusion:
    """The same networks as a value of the pack."""
    config = {**made.scheduler.config, "_class_name": type(made.scheduler).__name__}
    return StableDiffusion(made.unet, made.vae, made.text_encoder, made.tokenizer, config)


def networks_of_xl(made: Any) -> StableDiffusion:
    """The same of a pipeline of Stable Diffusion XL."""
    second = SecondEncoder(made.text_encoder_2, made.tokenizer_2, made.config.force_zeros_for_empty_prompt)
    return networks_of(made)._replace(second=second)


def inpainter_of(made: Any, **scheduler: Any) -> StableDiffusionInpainter:
    """The same networks as an inpainter; `scheduler` changes its scheduler's settings."""
    networks = networks_of(made)
    return StableDiffusionInpainter(networks._replace(scheduler_config={**networks.scheduler_config, **scheduler}))


def inpaint(
    inpainter: Inpainter,
    images: torch.Tensor,
    masks: torch.Tensor,
    prompt: str,
    negative_prompt: str = "",
    batch_size: int = 1,
    on_step: OnStep = quiet,
    **settings: Any,
) -> torch.Tensor:
    request = InpaintRequest(images, masks, prompt, negative_prompt, **settings)
    return inpainter.inpaint(request, batch_size, on_step)
