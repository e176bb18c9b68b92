"""Nodes of the menu Trilemma/Inpaint."""

from __future__ import annotations

import math
from typing import Any

import torch

from .. import host
from ..models.diffusion import samplers
from ..models.errors import BadInput
from ..models.inpainting.base import InpaintRequest
from ..models.inpainting.loading import INPAINTERS
from ..models.pictures import dust, regions
from ..models.pictures.images import check_images
from ..models.values import Crops, Objects
from .common import inputs, kinds, menus
from .common.loading import WEIGHT_FILES, DiffusionLoader, Source
from .common.showing import show_note


class CropObjects:
    DISPLAY_NAME = "Crop Objects"
    CATEGORY = menus.INPAINT
    DESCRIPTION = (
        "Cuts a square picture around each object, at the size that an inpainting model likes, so that small objects "
        "are repainted in full detail. Stitch Objects puts the repainted pictures back."
    )
    SEARCH_ALIASES = ["crop and stitch", "inpaint crop", "crop by mask", "detailer", "only masked", "cut out"]
    RETURN_TYPES = ("IMAGE", "MASK", kinds.CROPS, "MASK")
    RETURN_NAMES = ("image", "mask", "crops", "object_mask")
    OUTPUT_TOOLTIPS = (
        "The pictures to repaint, all of one size. Without any object a single one, with an empty mask.",
        "For each picture, what will be pasted back.",
        "Where the pictures came from, for Stitch Objects.",
        "For each picture, the object's own mask, untouched: neither grown nor softened, nor its whole box.",
    )
    FUNCTION = "run"
    HAS_INTERMEDIATE_OUTPUT = True

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {
            "required": {"image": inputs.link("IMAGE", "One image or a batch.")},
            "optional": {
                "objects": inputs.link(kinds.OBJECTS, "Objects segmented in these images; or give a mask."),
                "mask": inputs.link("MASK", "One mask per image, or one for all; or give objects."),
                "inpainter": inputs.link(
                    kinds.INPAINTER,
                    "Pictures get the size that this model was made for; resolution is then not used.",
                ),
                "per": inputs.choice(
                    ["object", "image"],
                    "One picture for each object, or one for all objects of an image.",
                    default="object",
                ),
                "hole": inputs.choice(
                    ["object", "box"],
                    "Repaint the object's own pixels, or its whole box: room for a new shape. "
                    "A mask is always taken as it is.",
                    default="object",
                ),
                "context_factor": inputs.number(
                    1.6, 1.0, 10.0, 0.1, "Side of the picture as a multiple of the object's longer side."
                ),
                "resolution": inputs.integer(512, 16, 4096, "Side of the pictures in pixels.", step=8),
                "size_multiple": inputs.advanced(
                    inputs.integer(8, 1, 256, "The side is rounded up to a multiple of this.")
                ),
                "grow": inputs.integer(4, 0, 512, "Pixels repainted around the object."),
                "soften": inputs.integer(4, 0, 512, "Further pixels over which the repainted picture fades out."),
                "mask_threshold": inputs.mask_threshold(),
            },
        }

    def run(
        self,
        image: torch.Tensor,
        objects: Objects | None = None,
        mask: torch.Tensor | None = None,
        inpainter: host.Handle | None = None,
        per: regions.Per = "object",
        hole: regions.HoleShape = "object",
        context_factor: float = 1.6,
        resolution: int = 512,
        size_multiple: int = 8,
        grow: int = 4,
        soften: int = 4,
        mask_threshold: float = dust.MASK_THRESHOLD,
    ) -> dict[str, Any] | tuple[torch.Tensor, torch.Tensor, Crops, torch.Tensor]:
        image = check_images(image, finite=False)
        if objects is not None and mask is None:
            holes = regions.holes_of_objects(objects, image, per, hole)
        elif mask is not None and objects is None:
            holes = regions.holes_of_masks(mask, image, mask_threshold)
        else:
            found = "neither is" if objects is None else "both are"
            raise BadInput(f"objects, mask: {found} connected; connect one of them.")
        side = resolution if inpainter is None else inpainter.model.native_resolution
        side = math.ceil(side / size_multiple) * size_multiple
        note = "" if mask is None else dust.report_dust(mask, mask_threshold)
        return show_note(note, *regions.crop(image, holes, side, context_factor, grow, soften))


class StitchObjects:
    DISPLAY_NAME = "Stitch Objects"
    CATEGORY = menus.INPAINT
    DESCRIPTION = (
        "Pastes repainted pictures back where Crop Objects cut them, later ones on top. Everything outside of the "
        "masks, and an alpha channel, stays bit for bit as it was."
    )
    SEARCH_ALIASES = ["crop and stitch", "inpaint stitch", "paste back", "uncrop"]
    RETURN_TYPES = ("IMAGE", "FLOAT", "STRING", "MASK")
    RETURN_NAMES = ("image", "seam_score", "report", "mask")
    OUTPUT_TOOLTIPS = (
        "The images with the repainted pictures in them.",
        "How visible the edges of the pastes are: mean step in colour, 0 none, 1 black to white.",
        "The seam score of each picture, for Preview as Text.",
        "How much of each pixel is repainted; 0 where nothing has changed. For Score Edit.",
    )
    FUNCTION = "run"

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {
            "required": {
                "crops": inputs.link(kinds.CROPS, "From Crop Objects."),
                "image": inputs.link("IMAGE", "The repainted pictures, as many and in the same order."),
            },
        }

    def run(self, crops: Crops, image: torch.Tensor) -> tuple[torch.Tensor, float, str, torch.Tensor]:
        stitched = regions.stitch(crops, image)
        mean = sum(stitched.seams) / max(len(stitched.seams), 1)
        lines = [
            f"picture {index}, image {region.frame}: seam {seam:.4f}"
            for index, (region, seam) in enumerate(zip(crops.regions, stitched.seams, strict=True))
        ]
        report = "\n".join(lines) or "Nothing was cut, so nothing is pasted: the images pass through."
        return (host.intermediate(stitched.images), mean, report, host.intermediate(regions.pasted(crops)))


class LoadInpainter(DiffusionLoader):
    REGISTRY = INPAINTERS
    KIND = "inpainter"
    SOURCES = (
        Source("checkpoints", WEIGHT_FILES),
        Source("diffusers", (), folders=True),
        Source("inpaint", WEIGHT_FILES),
        Source("upscale_models", WEIGHT_FILES),
    )
    DISPLAY_NAME = "Load Inpainter (Stable Diffusion)"
    CATEGORY = menus.INPAINT
    DESCRIPTION = (
        "Loads a Stable Diffusion model (1.x, 2.x or XL) for repainting: the starter that comes with the pack, a "
        "single file from models/checkpoints, or a folder from models/diffusers. Inpainting models see what surrounds "
        "the mask; base models work too. LaMa and MAT, from models/inpaint, remove objects without words."
    )
    SEARCH_ALIASES = [
        "stable diffusion inpainting",
        "inpaint model",
        "sd-v1-5-inpainting",
        "sdxl inpaint",
        "sdxl inpainting",
        "diffusers loader",
        "lama",
        "big-lama",
        "mat",
        "remove object",
        "eraser",
    ]
    RETURN_TYPES = (kinds.INPAINTER,)
    RETURN_NAMES = ("inpainter",)
    OUTPUT_TOOLTIPS = ("For Inpaint by Text and Crop Objects.",)


class InpaintByText:
    DISPLAY_NAME = "Inpaint by Text"
    CATEGORY = menus.INPAINT
    DESCRIPTION = (
        "Repaints what lies under the mask, guided by a text. The picture outside of the mask is given back exactly, "
        "and an image with an empty mask is not touched."
    )
    SEARCH_ALIASES = [
        "stable diffusion inpaint",
        "sdxl inpaint",
        "inpainting",
        "replace object",
        "remove object",
        "object removal",
        "generative fill",
        "sampler",
    ]
    RETURN_TYPES = ("IMAGE",)
    RETURN_NAMES = ("image",)
    OUTPUT_TOOLTIPS = ("The repainted images, for Stitch Objects or to look at.",)
    FUNCTION = "run"
    HAS_INTERMEDIATE_OUTPUT = True

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {
            "required": {
                "inpainter": inputs.link(kinds.INPAINTER, "From Load Inpainter (Stable Diffusion)."),
                "image": inputs.link("IMAGE", "One image or a batch, best of the size that the model was made for."),
                "mask": inputs.link("MASK", "What to repaint: one mask per image, or one for all."),
                "prompt": inputs.multiline("", "What shall be seen under the mask. Long prompts are read in pieces."),
            },
            "optional": {
                "negative_prompt": inputs.multiline("", "What shall not be seen."),
                "seed": inputs.seed("Image i of the batch is drawn with seed + i, whatever the batch size."),
                "steps": inputs.integer(20, 1, 1000, "More steps take longer."),
                "guidance_scale": inputs.number(
                    7.5, 0.0, 30.0, 0.5, "How closely to follow the prompt. 1 or less: once, without negative prompt."
                ),
                "strength": inputs.number(
                    1.0,
                    0.01,
                    1.0,
                    0.01,
                    "Below 1 the new picture keeps something of what was there, and takes fewer steps.",
                ),
                "scheduler": inputs.choice(
                    samplers.NAMES, "The sampler; each model brings one of its own.", default=samplers.OWN
                ),
                "batch_size": inputs.batch_size(
                    1, 64, "Images repainted at once; halved by itself when memory runs out."
                ),
                "mask_threshold": inputs.mask_threshold(),
            },
        }

    def run(
        self,
        inpainter: host.Handle,
        image: torch.Tensor,
        mask: torch.Tensor,
        prompt: str,
        negative_prompt: str = "",
        seed: int = 0,
        steps: int = 20,
        guidance_scale: float = 7.5,
        strength: float = 1.0,
        scheduler: str = samplers.OWN,
        batch_size: int = 1,
        mask_threshold: float = dust.MASK_THRESHOLD,
    ) -> dict[str, Any] | tuple[torch.Tensor]:
        model, image = inpainter.model, check_images(image)
        request = InpaintRequest(
            image,
            mask,
            prompt,
            negative_prompt,
            steps,
            guidance_scale,
            strength,
            sampler=scheduler,
            seed=seed,
            mask_threshold=mask_threshold,
        )
        total = len(image) * model.steps(request)
        batch_size = min(batch_size, len(image))
        memory = model.memory_bytes(batch_size, *image.shape[1:3], guided=guidance_scale > 1)
        with host.placed(inpainter, memory=memory), host.progress(total) as on_step:
            painted = host.halving(lambda size: model.inpaint(request, size, on_step), batch_size)
        notes = (dust.report_dust(mask, mask_threshold), model.remark(prompt))
        return show_note("\n".join(filter(None, notes)), host.intermediate(painted))


NODES = {
    "TrilemmaCropObjects": CropObjects,
    "TrilemmaStitchObjects": StitchObjects,
    "TrilemmaLoadInpainter": LoadInpainter,
    "TrilemmaInpaintByText": InpaintByText,
}
