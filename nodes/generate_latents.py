"""Nodes of the menu Trilemma/Generate that work in a generator's latent space."""

from __future__ import annotations

from typing import Any

import torch

from .. import host
from ..models.generators import noise, reconstruction, walking
from ..models.generators.base import Latents
from ..models.generators.latents import Resize, fitted
from ..models.generators.seeds import read_seeds
from .common.coding import RESIZE_INPUT, decoded, encoded

CATEGORY = "Trilemma/Generate"
GENERATOR = "TRILEMMA_GENERATOR"


class Interpolate:
    DISPLAY_NAME = "Interpolate"
    CATEGORY = CATEGORY
    DESCRIPTION = (
        "Walks through latent space from one seed or image to the next, and shows the way frame by frame: on a sphere "
        "where latents are Gaussian, on a line in W for StyleGAN."
    )
    SEARCH_ALIASES = ["latent walk", "latent interpolation", "slerp", "morph", "animation", "seed travel"]
    RETURN_TYPES = ("IMAGE",)
    RETURN_NAMES = ("images",)
    OUTPUT_TOOLTIPS = ("The frames in order, a batch.",)
    FUNCTION = "run"

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {
            "required": {
                "generator": (GENERATOR, {"tooltip": "A model that can interpolate; Load Generator's info tells."}),
                "frames": (
                    "INT",
                    {"default": 8, "min": 1, "max": 1000, "tooltip": "Steps from each seed or image to the next."},
                ),
            },
            "optional": {
                "seeds": (
                    "STRING",
                    {
                        "default": "1, 2, 3",
                        "tooltip": "Two or more, separated by commas. Not used when images are connected.",
                    },
                ),
                "images": (
                    "IMAGE",
                    {"tooltip": "Two or more to walk between instead of seeds; the model must be able to encode them."},
                ),
                "loop": (
                    "BOOLEAN",
                    {
                        "default": False,
                        "tooltip": "Walk from the last back to the first, and end one frame before it, so that the "
                        "frames can be repeated.",
                    },
                ),
                "resize": RESIZE_INPUT,
            },
        }

    def run(
        self,
        generator: host.Handle,
        frames: int,
        seeds: str = "1, 2, 3",
        images: torch.Tensor | None = None,
        loop: bool = False,
        resize: Resize = "crop",
    ) -> tuple[torch.Tensor]:
        bound = generator.model
        if images is None:
            requests = walking.requests_of(bound, read_seeds(seeds))
            with host.placed(generator, memory=bound.generator.memory_bytes(len(requests))):
                keys = walking.latents_of(bound, requests)
        else:
            requests = noise.requests(1, 0, bound.conditions)
            keys = encoded(generator, fitted(images, bound.generator.descriptor, resize))
        way = walking.walk(bound, keys, frames, loop)
        # One request for all: what differs from frame to frame is the latent alone.
        return (decoded(generator, way, requests[:1] * len(way.values)),)


class StyleMix:
    DISPLAY_NAME = "Style Mix"
    CATEGORY = CATEGORY
    DESCRIPTION = (
        "Draws every pair of a coarse and a fine seed: pose and shape come from the coarse one, colours and detail "
        "from the fine one. For StyleGAN models."
    )
    SEARCH_ALIASES = ["style mixing", "stylegan", "crossover", "coarse fine styles"]
    RETURN_TYPES = ("IMAGE",)
    RETURN_NAMES = ("images",)
    OUTPUT_TOOLTIPS = ("A batch, row by row: one row for each coarse seed, one column for each fine seed.",)
    FUNCTION = "run"

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {
            "required": {
                "generator": (GENERATOR, {"tooltip": "A StyleGAN, from Load Generator or GAN Options."}),
                "coarse_seeds": (
                    "STRING",
                    {"default": "1, 2, 3", "tooltip": "One row for each; they give the layers below the crossover."},
                ),
                "fine_seeds": (
                    "STRING",
                    {
                        "default": "4, 5, 6",
                        "tooltip": "One column for each; they give the layers from there on.",
                    },
                ),
            },
            "optional": {
                "crossover": (
                    "INT",
                    {
                        "default": 4,
                        "min": 1,
                        "max": 64,
                        "tooltip": "First layer that takes the fine seed's style, counted from 0 at 4 x 4 pixels.",
                    },
                ),
            },
        }

    def run(
        self, generator: host.Handle, coarse_seeds: str, fine_seeds: str, crossover: int = 4
    ) -> tuple[torch.Tensor]:
        bound = generator.model
        rows = walking.requests_of(bound, read_seeds(coarse_seeds, "coarse_seeds"))
        columns = walking.requests_of(bound, read_seeds(fine_seeds, "fine_seeds"))
        with host.placed(generator, memory=bound.generator.memory_bytes(max(len(rows), len(columns)))):
            coarse, fine = (walking.latents_of(bound, requests) for requests in (rows, columns))
            mixed = walking.mix(bound, coarse, fine, crossover)
        return (decoded(generator, mixed, [row for row in rows for _ in columns]),)


class EncodeLatent:
    DISPLAY_NAME = "Encode Latent"
    CATEGORY = CATEGORY
    DESCRIPTION = "Finds the latents of images, with the encoder of a VAE or another model that has one."
    SEARCH_ALIASES = ["vae encode", "image to latent", "inversion", "embed image"]
    RETURN_TYPES = ("TRILEMMA_LATENT",)
    RETURN_NAMES = ("latent",)
    OUTPUT_TOOLTIPS = ("One latent for each image, for Decode Latent with the same generator.",)
    FUNCTION = "run"

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {
            "required": {
                "generator": (GENERATOR, {"tooltip": "A model that can encode; Load Generator's info tells."}),
                "image": ("IMAGE", {"tooltip": "One image or a batch; an alpha channel is ignored."}),
            },
            "optional": {"resize": RESIZE_INPUT},
        }

    def run(self, generator: host.Handle, image: torch.Tensor, resize: Resize = "crop") -> tuple[Latents]:
        return (encoded(generator, fitted(image, generator.model.generator.descriptor, resize)),)


class DecodeLatent:
    DISPLAY_NAME = "Decode Latent"
    CATEGORY = CATEGORY
    DESCRIPTION = "Draws the images of latents."
    SEARCH_ALIASES = ["vae decode", "latent to image"]
    RETURN_TYPES = ("IMAGE",)
    RETURN_NAMES = ("image",)
    OUTPUT_TOOLTIPS = ("One image for each latent.",)
    FUNCTION = "run"

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {
            "required": {
                "generator": (GENERATOR, {"tooltip": "The model that encoded the latents."}),
                "latent": ("TRILEMMA_LATENT", {"tooltip": "From Encode Latent."}),
            },
            "optional": {
                "seed": (
                    "INT",
                    {
                        "default": 0,
                        "min": 0,
                        "max": noise.SEEDS - 1,
                        "control_after_generate": True,
                        "tooltip": "For models that draw more than the latent: image i takes seed + i.",
                        "advanced": True,
                    },
                ),
            },
        }

    def run(self, generator: host.Handle, latent: Latents, seed: int = 0) -> tuple[torch.Tensor]:
        requests = noise.requests(len(latent.values), seed, generator.model.conditions)
        return (decoded(generator, latent, requests),)


class Reconstruct:
    DISPLAY_NAME = "Reconstruct"
    CATEGORY = CATEGORY
    DESCRIPTION = (
        "Encodes images and decodes them again: what a model's latents keep of a picture, and what is blurred away."
    )
    SEARCH_ALIASES = ["autoencoder", "vae roundtrip", "reconstruction", "psnr", "blur"]
    RETURN_TYPES = ("IMAGE", "IMAGE", "STRING")
    RETURN_NAMES = ("image", "original", "report")
    OUTPUT_TOOLTIPS = (
        "The reconstructions.",
        "What they are compared with: the images at the model's size, and grey for a model of grey pictures.",
        "PSNR of each reconstruction against its original; higher is closer.",
    )
    FUNCTION = "run"

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {
            "required": {
                "generator": (GENERATOR, {"tooltip": "A model that can encode and decode."}),
                "image": ("IMAGE", {"tooltip": "One image or a batch; an alpha channel is ignored."}),
            },
            "optional": {"resize": RESIZE_INPUT},
        }

    def run(self, generator: host.Handle, image: torch.Tensor, resize: Resize = "crop") -> dict[str, Any]:
        descriptor = generator.model.generator.descriptor
        original = reconstruction.in_colours_of(descriptor, fitted(image, descriptor, resize))
        requests = noise.requests(len(original), 0, generator.model.conditions)
        images = decoded(generator, encoded(generator, original), requests)
        text = reconstruction.report(reconstruction.psnr(original, images))
        return {"ui": {"text": [text]}, "result": (images, host.intermediate(original), text)}


NODES = {
    "TrilemmaInterpolate": Interpolate,
    "TrilemmaStyleMix": StyleMix,
    "TrilemmaEncodeLatent": EncodeLatent,
    "TrilemmaDecodeLatent": DecodeLatent,
    "TrilemmaReconstruct": Reconstruct,
}
