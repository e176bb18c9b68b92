"""Nodes of the menu Trilemma/Generate that work in a generator's latent space."""

from __future__ import annotations

from typing import Any, Final

import torch

from .. import host
from ..models.errors import BadInput
from ..models.generators import completion, noise, reconstruction, walking
from ..models.generators.base import Latents
from ..models.generators.binding import total_steps
from ..models.generators.latents import Resize
from ..models.generators.sampling import fitting_batch
from ..models.generators.seeds import read_seeds
from .common import inputs, kinds, menus
from .common.encoding import RESIZE_INPUT, at_its_size, decoded, encoded
from .common.showing import EXPLORER, captions_of, show_samples

ANCHORS: Final = 3
"""Samples between which the page shows a plane."""


class Interpolate:
    DISPLAY_NAME = "Interpolate"
    CATEGORY = menus.GENERATE
    DESCRIPTION = (
        "Walks through latent space from one seed or image to the next, and shows the way frame by frame, or one "
        "point between them: on a sphere where latents are Gaussian, on a line in W for StyleGAN."
    )
    SEARCH_ALIASES = ["latent walk", "latent interpolation", "slerp", "morph", "animation", "seed travel", "blend"]
    RETURN_TYPES = ("IMAGE",)
    RETURN_NAMES = ("images",)
    OUTPUT_TOOLTIPS = ("The frames in order, a batch; one picture where position is given.",)
    FUNCTION = "run"
    OUTPUT_NODE = True  # what the page can run by itself

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {
            "required": {
                "generator": inputs.link(kinds.GENERATOR, "A model that can interpolate; Load Generator's info tells."),
                "frames": inputs.integer(8, 1, 1000, "Steps from each seed or image to the next."),
            },
            "optional": {
                "seeds": inputs.text(
                    "1, 2, 3", "Two or more, separated by commas. Not used when images or latents are connected."
                ),
                "images": inputs.link(
                    "IMAGE", "Two or more to walk between instead of seeds; the model must be able to encode them."
                ),
                "loop": inputs.boolean(
                    False,
                    "Walk from the last back to the first, and end one frame before it, so that the "
                    "frames can be repeated.",
                ),
                "resize": RESIZE_INPUT,
                "latent": inputs.link(
                    kinds.LATENT, "Two or more to walk between instead, such as those of Project Image or Edit Latent."
                ),
                "position": inputs.text(
                    "",
                    "Draw one point between the first two or three instead of the way: the share of each, such as "
                    "0.2, 0.5, 0.3. Empty: the way.",
                ),
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
        latent: Latents | None = None,
        position: str = "",
    ) -> dict[str, Any]:
        bound = generator.model
        shares = walking.read_position(position) if position.strip() else []
        if latent is not None:
            if images is not None:
                raise BadInput("images, latent: both are connected; connect one of them, or none for seeds.")
            bound.generator.space_of(latent)
            requests, keys = noise.requests(1, 0, bound.conditions), latent
        elif images is None:
            requests = walking.requests_of(bound, read_seeds(seeds))
            with host.placed(generator, memory=bound.generator.memory_bytes(len(requests))):
                keys = walking.latents_of(bound, requests)
        else:
            requests = noise.requests(1, 0, bound.conditions)
            keys = encoded(generator, at_its_size(generator, images, resize))
        walked = walking.point(bound, keys, shares) if shares else walking.walk(bound, keys, frames, loop)
        # One request for all: what differs from frame to frame is the latent alone.
        shown = show_samples([], decoded(generator, walked, requests[:1] * len(walked.values)))
        shown["ui"][EXPLORER] = [{"anchors": min(ANCHORS, len(keys.values)), "position": position}]
        return shown


class StyleMix:
    DISPLAY_NAME = "Style Mix"
    CATEGORY = menus.GENERATE
    DESCRIPTION = (
        "Draws every pair of a coarse and a fine seed: pose and shape come from the coarse one, colours and detail "
        "from the fine one. For StyleGAN models."
    )
    SEARCH_ALIASES = ["style mixing", "stylegan", "crossover", "coarse fine styles"]
    RETURN_TYPES = ("IMAGE",)
    RETURN_NAMES = ("images",)
    OUTPUT_TOOLTIPS = ("A batch, row by row: one row for each coarse seed, one column for each fine seed.",)
    FUNCTION = "run"
    HAS_INTERMEDIATE_OUTPUT = True

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {
            "required": {
                "generator": inputs.link(kinds.GENERATOR, "A StyleGAN, from Load Generator or GAN Options."),
                "coarse_seeds": inputs.text("1, 2, 3", "One row for each; they give the layers below the crossover."),
                "fine_seeds": inputs.text("4, 5, 6", "One column for each; they give the layers from there on."),
            },
            "optional": {
                "crossover": inputs.integer(
                    4, 1, 64, "First layer that takes the fine seed's style, counted from 0 at 4 x 4 pixels."
                ),
            },
        }

    def run(self, generator: host.Handle, coarse_seeds: str, fine_seeds: str, crossover: int = 4) -> dict[str, Any]:
        bound = generator.model
        rows = walking.requests_of(bound, read_seeds(coarse_seeds, "coarse_seeds"))
        columns = walking.requests_of(bound, read_seeds(fine_seeds, "fine_seeds"))
        with host.placed(generator, memory=bound.generator.memory_bytes(max(len(rows), len(columns)))):
            coarse, fine = (walking.latents_of(bound, requests) for requests in (rows, columns))
            mixed = walking.mix(bound, coarse, fine, crossover)
        captions = [{"condition": f"coarse {row.seed}, fine {column.seed}"} for row in rows for column in columns]
        return show_samples(captions, decoded(generator, mixed, [row for row in rows for _ in columns]))


class EncodeLatent:
    DISPLAY_NAME = "Encode Latent"
    CATEGORY = menus.GENERATE
    DESCRIPTION = "Finds the latents of images, with the encoder of a VAE or another model that has one."
    SEARCH_ALIASES = ["vae encode", "image to latent", "inversion", "embed image"]
    RETURN_TYPES = (kinds.LATENT,)
    RETURN_NAMES = ("latent",)
    OUTPUT_TOOLTIPS = ("One latent for each image, for Decode Latent with the same generator.",)
    FUNCTION = "run"

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {
            "required": {
                "generator": inputs.link(kinds.GENERATOR, "A model that can encode; Load Generator's info tells."),
                "image": inputs.images(),
            },
            "optional": {"resize": RESIZE_INPUT},
        }

    def run(self, generator: host.Handle, image: torch.Tensor, resize: Resize = "crop") -> tuple[Latents]:
        return (encoded(generator, at_its_size(generator, image, resize)),)


class DecodeLatent:
    DISPLAY_NAME = "Decode Latent"
    CATEGORY = menus.GENERATE
    DESCRIPTION = "Draws the images of latents."
    SEARCH_ALIASES = ["vae decode", "latent to image"]
    RETURN_TYPES = ("IMAGE",)
    RETURN_NAMES = ("image",)
    OUTPUT_TOOLTIPS = ("One image for each latent.",)
    FUNCTION = "run"
    HAS_INTERMEDIATE_OUTPUT = True

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {
            "required": {
                "generator": inputs.link(kinds.GENERATOR, "The model that encoded or drew the latents."),
                "latent": inputs.link(kinds.LATENT, "From Encode Latent, Draw Latents or Edit Latent."),
            },
            "optional": {
                "seed": inputs.advanced(
                    inputs.seed("For models that draw more than the latent: image i takes seed + i.")
                ),
            },
        }

    def run(self, generator: host.Handle, latent: Latents, seed: int = 0) -> dict[str, Any]:
        requests = noise.requests(len(latent.values), seed, generator.model.conditions)
        return show_samples(captions_of(requests), decoded(generator, latent, requests))


class Reconstruct:
    DISPLAY_NAME = "Reconstruct"
    CATEGORY = menus.GENERATE
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
    HAS_INTERMEDIATE_OUTPUT = True

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {
            "required": {
                "generator": inputs.link(kinds.GENERATOR, "A model that can encode and decode."),
                "image": inputs.images(),
            },
            "optional": {"resize": RESIZE_INPUT},
        }

    def run(self, generator: host.Handle, image: torch.Tensor, resize: Resize = "crop") -> dict[str, Any]:
        descriptor = generator.model.generator.descriptor
        original = reconstruction.in_colours_of(descriptor, at_its_size(generator, image, resize))
        requests = noise.requests(len(original), 0, generator.model.conditions)
        images = decoded(generator, encoded(generator, original), requests)
        text = reconstruction.report(reconstruction.psnr(original, images))
        return show_samples([], images, host.intermediate(original), text, text=text)


class CompleteImage:
    DISPLAY_NAME = "Complete Image"
    CATEGORY = menus.GENERATE
    DESCRIPTION = (
        "Keeps the upper part of a picture and draws the rest, in as many ways as you like, with an autoregressive "
        "model, which goes on from any beginning."
    )
    SEARCH_ALIASES = ["image completion", "half picture", "autoregressive", "igpt", "outpaint below", "continue image"]
    RETURN_TYPES = ("IMAGE", "IMAGE")
    RETURN_NAMES = ("images", "original")
    OUTPUT_TOOLTIPS = (
        "The completed pictures, a batch: all of the first image, then all of the next.",
        "The images at the model's size, and grey for a model of grey pictures.",
    )
    FUNCTION = "run"
    HAS_INTERMEDIATE_OUTPUT = True

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {
            "required": {
                "generator": inputs.link(kinds.GENERATOR, "An autoregressive model that also encodes."),
                "image": inputs.images(),
            },
            "optional": {
                "keep": inputs.number(0.5, 0.0, 1.0, 0.01, "Share of the rows that stays, from the top."),
                "num_images": inputs.integer(4, 1, 1000, "How many to draw for each image."),
                "seed": inputs.seed("Picture i is drawn with seed + i."),
                "own_pixels": inputs.boolean(
                    True, "Rows that stay are the image's own. Off: as the model shows them, without a border."
                ),
                "resize": RESIZE_INPUT,
                "batch_size": inputs.fitting_batch_size("drawn"),
            },
        }

    def run(
        self,
        generator: host.Handle,
        image: torch.Tensor,
        keep: float = 0.5,
        num_images: int = 4,
        seed: int = 0,
        own_pixels: bool = True,
        resize: Resize = "crop",
        batch_size: int = 0,
    ) -> dict[str, Any]:
        bound = generator.model
        descriptor = bound.generator.descriptor
        original = reconstruction.in_colours_of(descriptor, at_its_size(generator, image, resize))
        total = len(original) * num_images
        batch_size = min(batch_size, total) or fitting_batch(bound.generator, total)
        memory = bound.generator.memory_bytes(batch_size)
        with host.placed(generator, memory=memory), host.progress(total_steps(bound, total)) as on_step:
            drawn = host.halving(
                lambda size: completion.complete(bound, original, keep, num_images, seed, size, on_step), batch_size
            )
        if own_pixels:
            drawn = completion.with_own_pixels(original, drawn, completion.kept_rows(descriptor, keep)[1])
        captions = captions_of(noise.requests(total, seed, bound.conditions))
        return show_samples(captions, host.intermediate(drawn), host.intermediate(original))


NODES = {
    "TrilemmaInterpolate": Interpolate,
    "TrilemmaStyleMix": StyleMix,
    "TrilemmaEncodeLatent": EncodeLatent,
    "TrilemmaDecodeLatent": DecodeLatent,
    "TrilemmaReconstruct": Reconstruct,
    "TrilemmaCompleteImage": CompleteImage,
}
