"""Nodes of the menu Trilemma/Generate that make generators of what is there already: pictures, the host's models."""

from __future__ import annotations

from typing import Any

import torch

from .. import host
from ..models.errors import BadInput
from ..models.generators import images as image_source
from ..models.generators.base import Descriptor, Generator
from ..models.generators.binding import Bound
from ..models.generators.diffusion.host_model import HostModel
from .common import folders, inputs, kinds, menus
from .common.showing import show_note


class ImagesAsGenerator:
    DISPLAY_NAME = "Images as Generator"
    CATEGORY = menus.GENERATE
    DESCRIPTION = (
        "Makes a folder of pictures, or a batch of images, a generator: the real set to compare with, or what another "
        "tool has made. Files are read one at a time, sorted by name and turned as their EXIF says."
    )
    SEARCH_ALIASES = ["load images from folder", "image folder", "dataset", "real images", "image directory"]
    RETURN_TYPES = (kinds.GENERATOR, "INT")
    RETURN_NAMES = ("generator", "num_images")
    OUTPUT_TOOLTIPS = (
        "Seed s draws picture s, counted from 0.",
        "The number of pictures; after these they come again.",
    )
    FUNCTION = "run"
    HAS_INTERMEDIATE_OUTPUT = True

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {
            "required": {
                "location": folders.location("folder"),
                "folder": inputs.text(
                    "",
                    "Folder of pictures, relative to the location; a dot is the location itself. Leave "
                    "it empty where images are connected.",
                ),
                **folders.one_size(),
                "order": inputs.choice(
                    image_source.ORDERS, "sequential: seed s draws picture s. shuffled: after a fixed permutation."
                ),
            },
            "optional": {
                "images": inputs.link("IMAGE", "A batch instead of a folder; an alpha channel is ignored."),
                "subfolders": folders.subfolders(),
                "shuffle_seed": inputs.fixed_seed("Which permutation, when shuffled."),
            },
        }

    @classmethod
    def IS_CHANGED(cls, location: str, folder: str, **settings: Any) -> str:
        return folders.picture_state(location, folder)

    def run(
        self,
        location: str,
        folder: str,
        resize: image_source.Resize,
        width: int,
        height: int,
        order: image_source.Order,
        images: torch.Tensor | None = None,
        subfolders: bool = False,
        shuffle_seed: int = 0,
    ) -> dict[str, Any] | tuple[host.Handle, int]:
        if (images is None) != bool(folder):
            found = "neither is there" if images is None else f"{folder!r} and {len(images)} images are there"
            raise BadInput(f"folder: give the name of a folder or connect images, one of them; {found}.")
        if images is None:
            pictures = image_source.from_folder(folders.picture_folder(location, folder), subfolders)
        else:
            pictures = image_source.from_batch(images)
        generator = image_source.Images(pictures, resize, height, width, order, shuffle_seed)
        return show_note("\n".join(pictures.left_out), _held(generator), len(pictures.names))


class GeneratorFromCheckpoint:
    DISPLAY_NAME = "Generator from Checkpoint"
    CATEGORY = menus.GENERATE
    DESCRIPTION = (
        "Makes a model that ComfyUI has loaded (Stable Diffusion 1.x, SDXL, Flux, ...) a generator, so that it is "
        "sampled, saved and scored like any other. Sample i is what KSampler makes of seed + i in a batch of one."
    )
    SEARCH_ALIASES = ["ksampler", "checkpoint to generator", "stable diffusion", "sdxl", "flux", "model to generator"]
    RETURN_TYPES = (kinds.GENERATOR,)
    RETURN_NAMES = ("generator",)
    OUTPUT_TOOLTIPS = ("For Sample Images and whatever else takes a generator; Diffusion Options fit on it.",)
    FUNCTION = "run"

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {
            "required": {
                "model": inputs.link("MODEL", "From Load Checkpoint or Load Diffusion Model, LoRAs included."),
                "positive": inputs.link("CONDITIONING", "What to include in every image."),
                "negative": inputs.link("CONDITIONING", "What to keep out of every image."),
                "vae": inputs.link("VAE", "The VAE that belongs to the model."),
                "width": inputs.pixels(512, 16, "Of the images, in pixels.", step=8),
                "height": inputs.pixels(512, 16, "Of the images, in pixels.", step=8),
                "sampler_name": inputs.choice(
                    host.sampler_names(),
                    "ComfyUI's own samplers. Those that draw noise at every step, such as ancestral "
                    "and SDE samplers, run one sample at a time.",
                    default="euler",
                ),
                "scheduler": inputs.choice(host.scheduler_names(), "ComfyUI's own schedules.", default="normal"),
                "steps": inputs.integer(20, 1, 1000, "Steps of the sampler."),
                "cfg": inputs.number(
                    8.0,
                    0.0,
                    100.0,
                    0.1,
                    "Classifier-free guidance; 1 leaves the negative conditioning out.",
                    rounded=0.01,
                ),
            },
        }

    def run(
        self,
        model: Any,
        positive: Any,
        negative: Any,
        vae: Any,
        width: int,
        height: int,
        sampler_name: str,
        scheduler: str,
        steps: int,
        cfg: float,
    ) -> tuple[host.Handle]:
        sampler = host.checkpoint_sampler(model, positive, negative, vae, width, height, sampler_name, scheduler)
        if (sampler.height, sampler.width) != (height, width):
            raise BadInput(
                f"width, height: {width} x {height} are no multiples of what this VAE makes of one latent; take "
                f"{sampler.width} x {sampler.height}."
            )
        descriptor = Descriptor(
            family="diffusion",
            architecture=sampler.architecture,
            height=height,
            width=width,
            channels=3,
            parameters=sampler.parameters,
            latent_shape=sampler.latent_shape,
            options={"steps": steps, "guidance_scale": cfg},
            abilities=("sample", "decode", "interpolate"),
        )
        return (_held(HostModel(descriptor, sampler.denoise, sampler.decode, sampler.memory_bytes, sampler.identity)),)


def _held(generator: Generator) -> host.Handle:
    """For `host.placed`, with nothing to place: pictures have no networks, and the host places its own models."""
    return host.Handle(Bound(generator), ())


NODES = {
    "TrilemmaImagesAsGenerator": ImagesAsGenerator,
    "TrilemmaGeneratorFromCheckpoint": GeneratorFromCheckpoint,
}
