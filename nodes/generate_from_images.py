"""Nodes of the menu Trilemma/Generate that begin with pictures."""

from __future__ import annotations

from typing import Any

import torch

from .. import host
from ..models.diffusion import samplers
from ..models.errors import BadInput
from ..models.generators import noise, upsampling
from ..models.generators.base import Condition
from ..models.generators.binding import total_steps
from ..models.generators.diffusion.latent_diffusion import TextToImage
from ..models.generators.latents import Resize
from ..models.generators.sampling import fitting_batch
from ..models.inpainting.image_to_image import STRENGTH, image_to_image
from ..models.inpainting.stable_diffusion import StableDiffusionInpainter
from ..models.pictures.images import check_images
from .common import inputs, kinds, menus
from .common.encoding import RESIZE_INPUT
from .common.showing import captions_of, show_samples


class ImageToImage:
    DISPLAY_NAME = "Image to Image"
    CATEGORY = menus.GENERATE
    DESCRIPTION = (
        "Redraws whole pictures by a prompt, with a Stable Diffusion model: the less strength, the more of the picture "
        "stays. LoRAs and ControlNets of the model count."
    )
    SEARCH_ALIASES = ["img2img", "image2image", "redraw", "sdedit", "denoise"]
    RETURN_TYPES = ("IMAGE",)
    RETURN_NAMES = ("image",)
    OUTPUT_TOOLTIPS = ("The redrawn images, of the same size; an alpha channel stays as it is.",)
    FUNCTION = "run"
    HAS_INTERMEDIATE_OUTPUT = True

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {
            "required": {
                "image": inputs.link("IMAGE", "One image or a batch, best of the size that the model was made for."),
                "prompt": inputs.multiline("", "What shall be seen. Long prompts are read in pieces."),
            },
            "optional": {
                "generator": inputs.link(
                    kinds.GENERATOR, "A Stable Diffusion model from Load Generator, or connect an inpainter."
                ),
                "inpainter": inputs.link(
                    kinds.INPAINTER, "A Stable Diffusion model from Load Inpainter, or connect a generator."
                ),
                "negative_prompt": inputs.multiline("", "What shall not be seen."),
                "seed": inputs.seed("Image i of the batch is drawn with seed + i, whatever the batch size."),
                "steps": inputs.integer(20, 1, 1000, "Of these, the share that strength says is run."),
                "guidance_scale": inputs.number(
                    7.5, 0.0, 30.0, 0.5, "How closely to follow the prompt. 1 or less: once, without negative prompt."
                ),
                "strength": inputs.number(
                    STRENGTH, 0.01, 1.0, 0.01, "How much of the way from noise is gone anew; 1 keeps next to nothing."
                ),
                "scheduler": inputs.choice(
                    samplers.NAMES, "The sampler; each model brings one of its own.", default=samplers.OWN
                ),
                "batch_size": inputs.batch_size(
                    1, 64, "Images redrawn at once; halved by itself when memory runs out."
                ),
            },
        }

    def run(
        self,
        image: torch.Tensor,
        prompt: str,
        generator: host.Handle | None = None,
        inpainter: host.Handle | None = None,
        negative_prompt: str = "",
        seed: int = 0,
        steps: int = 20,
        guidance_scale: float = 7.5,
        strength: float = STRENGTH,
        scheduler: str = samplers.OWN,
        batch_size: int = 1,
    ) -> dict[str, Any]:
        image = check_images(image)
        handle, networks = _model(generator, inpainter)
        model, whole = image_to_image(networks, image)
        request = whole._replace(
            prompt=prompt,
            negative_prompt=negative_prompt,
            steps=steps,
            guidance_scale=guidance_scale,
            strength=strength,
            sampler=scheduler,
            seed=seed,
        )
        total = len(image) * model.steps(request)
        batch_size = min(batch_size, len(image))
        memory = model.memory_bytes(batch_size, *image.shape[1:3], guided=guidance_scale > 1)
        with host.placed(handle, memory=memory), host.progress(total) as on_step:
            drawn = host.halving(lambda size: model.inpaint(request, size, on_step), batch_size)
        requests = noise.requests(len(image), seed, [Condition(text=prompt)])
        return show_samples(captions_of(requests), host.intermediate(drawn))


def _model(generator: host.Handle | None, inpainter: host.Handle | None) -> tuple[host.Handle, Any]:
    """The one that is connected, and its networks."""
    if generator is not None and inpainter is None:
        drawing = generator.model.generator
        if isinstance(drawing, TextToImage):
            return generator, drawing.networks
        raise BadInput(
            f"generator: {drawing.descriptor.architecture} is no Stable Diffusion model from Load Generator; of a "
            "model with latents take Reconstruct."
        )
    if inpainter is not None and generator is None:
        if isinstance(inpainter.model, StableDiffusionInpainter):
            return inpainter, inpainter.model.networks
        raise BadInput(
            f"inpainter: {inpainter.model.architecture} is no Stable Diffusion model, which draws by prompts."
        )
    found = "neither is" if generator is None else "both are"
    raise BadInput(f"generator, inpainter: {found} connected; connect one of them.")


class UpsampleImage:
    DISPLAY_NAME = "Upsample Image"
    CATEGORY = menus.GENERATE
    DESCRIPTION = (
        "Draws small pictures anew at a larger size with a diffusion model that was trained for it, such as guided "
        "diffusion's 64_256_upsampler. What a picture shows is told by Condition."
    )
    SEARCH_ALIASES = ["super resolution", "upscale", "guided diffusion", "cascade", "sr3", "enlarge"]
    RETURN_TYPES = ("IMAGE", "IMAGE")
    RETURN_NAMES = ("images", "original")
    OUTPUT_TOOLTIPS = ("The enlarged images.", "The images at the size that the model enlarges.")
    FUNCTION = "run"
    HAS_INTERMEDIATE_OUTPUT = True

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {
            "required": {
                "generator": inputs.link(
                    kinds.GENERATOR,
                    "A model that enlarges, from Load Generator; Diffusion Options and Condition count.",
                ),
                "image": inputs.images(),
            },
            "optional": {
                "seed": inputs.seed("Image i of the batch is drawn with seed + i, and takes condition i."),
                "resize": RESIZE_INPUT,
                "batch_size": inputs.fitting_batch_size("drawn"),
            },
        }

    def run(
        self,
        generator: host.Handle,
        image: torch.Tensor,
        seed: int = 0,
        resize: Resize = "crop",
        batch_size: int = 0,
    ) -> dict[str, Any]:
        bound = generator.model
        with host.progress(len(image)) as on_step:
            original = upsampling.small(bound, image, resize, on_step)
        count = len(original)
        batch_size = min(batch_size, count) or fitting_batch(bound.generator, count)
        memory = bound.generator.memory_bytes(batch_size)
        with host.placed(generator, memory=memory), host.progress(total_steps(bound, count)) as on_step:
            drawn = host.halving(lambda size: upsampling.upsample(bound, original, seed, size, on_step), batch_size)
        captions = captions_of(noise.requests(count, seed, bound.conditions))
        return show_samples(captions, host.intermediate(drawn), host.intermediate(original))


NODES = {"TrilemmaImageToImage": ImageToImage, "TrilemmaUpsampleImage": UpsampleImage}
