"""Nodes of the menu Trilemma/Generate: load a generator, condition it, draw samples, save them."""

from __future__ import annotations

from typing import Any

import torch

from .. import host
from ..host.filenames import filled
from ..models.generators import noise
from ..models.generators.base import Generator
from ..models.generators.binding import Bound, total_steps
from ..models.generators.conditions import image_conditions, read_conditions
from ..models.generators.describing import describe
from ..models.generators.loading import GENERATORS
from ..models.generators.records import from_json, records_of, remarks, to_json
from ..models.generators.sampling import Samples, fitting_batch
from ..models.generators.saving import save
from ..models.pictures.images import check_images
from .common import inputs, kinds, menus
from .common.loading import WEIGHT_FILES, DiffusionLoader, Source
from .common.provenance import graph_texts
from .common.showing import captions_of, show_note, show_samples

SHOWN = 16
"""Of the images that were saved, on the node: it grows with them."""


class LoadGenerator(DiffusionLoader):
    REGISTRY = GENERATORS
    KIND = "generator"
    SOURCES = (
        Source("generators", (*WEIGHT_FILES, ".pkl"), folders=True),
        Source("diffusers", (), folders=True),
    )
    DISPLAY_NAME = "Load Generator"
    CATEGORY = menus.GENERATE
    DESCRIPTION = (
        "Loads a generative model of any family: VAE, GAN, autoregressive or diffusion. The architecture is read from "
        "the file; nothing that a file says is executed."
    )
    SEARCH_ALIASES = [
        "gan loader",
        "stylegan",
        "vae loader",
        "vq-vae",
        "ddpm",
        "diffusers",
        "dcgan",
        "generative model",
    ]
    RETURN_TYPES = (kinds.GENERATOR, "STRING")
    RETURN_NAMES = ("generator", "info")
    OUTPUT_TOOLTIPS = (
        "For Sample Images, the option nodes and every other node of this menu.",
        "What the model is, which conditions and classes it knows, its options and their values.",
    )
    HAS_INTERMEDIATE_OUTPUT = True

    @classmethod
    def handled(cls, loaded: Generator) -> Bound:
        return Bound(loaded)

    @classmethod
    def info(cls, bound: Bound) -> str:
        return describe(bound.generator.descriptor)


class Condition:
    DISPLAY_NAME = "Condition"
    CATEGORY = menus.GENERATE
    DESCRIPTION = (
        "Says what a generator shall draw: classes or prompts, one to a line. Samples take the lines in turn, so that "
        "every line is drawn equally often."
    )
    SEARCH_ALIASES = ["class label", "prompt", "class conditional", "labels", "negative prompt"]
    RETURN_TYPES = (kinds.GENERATOR,)
    RETURN_NAMES = ("generator",)
    OUTPUT_TOOLTIPS = ("The same model, drawing these.",)
    FUNCTION = "run"
    HAS_INTERMEDIATE_OUTPUT = True

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {
            "required": {
                "generator": inputs.link(kinds.GENERATOR, "From Load Generator."),
                "text": inputs.multiline(
                    "",
                    "One class (its name, or its number from 0) or prompt to a line; image i takes line "
                    "i, and the first again after the last. A line * stands for every class, in order.",
                ),
            },
            "optional": {
                "negative_prompt": inputs.multiline(
                    "", "What shall not be seen, for every line; only for models that take prompts."
                ),
            },
        }

    def run(self, generator: host.Handle, text: str, negative_prompt: str = "") -> tuple[host.Handle] | dict[str, Any]:
        bound = generator.model
        conditions = read_conditions(bound.generator.descriptor, text, negative_prompt)
        made = generator._replace(model=bound.with_conditions(conditions))
        return show_note(remarks(made.model), made)


class ConditionOnImages:
    DISPLAY_NAME = "Condition on Images"
    CATEGORY = menus.GENERATE
    DESCRIPTION = (
        "Gives a generator images to draw from, such as depths, or pictures whose kin it shall draw. Samples take them "
        "in turn; classes or prompts of Condition stay."
    )
    SEARCH_ALIASES = [
        "image condition",
        "image variation",
        "depth to image",
        "reference image",
        "unclip",
        "image prompt",
    ]
    RETURN_TYPES = (kinds.GENERATOR,)
    RETURN_NAMES = ("generator",)
    OUTPUT_TOOLTIPS = ("The same model, drawing from these.",)
    FUNCTION = "run"

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {
            "required": {
                "generator": inputs.link(kinds.GENERATOR, "From Load Generator or Condition."),
                "images": inputs.images(),
            },
            "optional": {
                "images_per_sample": inputs.integer(
                    1, 1, 64, "Of the images, how many one sample is drawn from; only some models take several."
                ),
            },
        }

    def run(self, generator: host.Handle, images: torch.Tensor, images_per_sample: int = 1) -> tuple[host.Handle]:
        conditions = image_conditions(check_images(images, "images"), images_per_sample)
        return (generator._replace(model=generator.model.with_conditions(conditions)),)


class SampleImages:
    DISPLAY_NAME = "Sample Images"
    CATEGORY = menus.GENERATE
    DESCRIPTION = (
        "Draws images from a generator of any family. Image i depends on seed + i alone: not on how many are drawn, "
        "nor in which batches."
    )
    SEARCH_ALIASES = ["generate", "text to image", "sampler", "random images", "gan sample", "ksampler", "seeds"]
    RETURN_TYPES = ("IMAGE", "STRING")
    RETURN_NAMES = ("images", "records")
    OUTPUT_TOOLTIPS = (
        "The images, a batch.",
        "JSON, for each image its index, seed, condition, and the model with its settings; for Save Samples.",
    )
    FUNCTION = "run"
    HAS_INTERMEDIATE_OUTPUT = True

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {
            "required": {
                "generator": inputs.link(kinds.GENERATOR, "From Load Generator, option nodes or Condition."),
                "num_images": inputs.integer(8, 1, 100_000, "How many to draw."),
                "seed": inputs.seed("Image i is drawn with seed + i."),
            },
            "optional": {
                "batch_size": inputs.fitting_batch_size("drawn"),
            },
        }

    def run(self, generator: host.Handle, num_images: int, seed: int, batch_size: int = 0) -> dict[str, Any]:
        bound = generator.model
        batch_size = min(batch_size, num_images) or fitting_batch(bound.generator, num_images)
        memory = bound.generator.memory_bytes(batch_size)
        with host.placed(generator, memory=memory), host.progress(total_steps(bound, num_images)) as on_step:
            images = host.halving(Samples(bound, num_images, seed, on_step).fill, batch_size)
        requests = noise.requests(num_images, seed, bound.conditions)
        return show_samples(captions_of(requests), host.intermediate(images), to_json(records_of(bound, requests)))


class SaveSamples:
    DISPLAY_NAME = "Save Samples"
    CATEGORY = menus.GENERATE
    DESCRIPTION = (
        "Saves images as PNG files that each tell how they were drawn: a record with seed, condition, model and "
        "settings, beside the workflow that Save Image writes too."
    )
    SEARCH_ALIASES = ["save image", "save png", "metadata", "export samples"]
    RETURN_TYPES = ("STRING", "STRING")
    RETURN_NAMES = ("files", "folder")
    OUTPUT_TOOLTIPS = (
        "The files' names below the output folder, one to a line, in the order of the images.",
        "The folder they are in, below the output folder, for Folder Features and Images as Generator.",
    )
    FUNCTION = "run"
    OUTPUT_NODE = True

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {
            "required": {
                "images": inputs.link("IMAGE", "From Sample Images."),
                "records": inputs.wired("STRING", "From the same Sample Images."),
            },
            "optional": {
                "filename_prefix": inputs.text(
                    "samples/sample",
                    "Beginning of the names below the output folder; folders are made as needed. "
                    "Numbers go on from the highest that is there. Tokens as in Save Image: %date:yyyy-MM-dd%, "
                    "%width%, %Node title.input%.",
                ),
                "overwrite": inputs.boolean(
                    False,
                    "Begin at 1 again, and take away what earlier runs wrote under this prefix, so that "
                    "the folder holds this batch alone.",
                ),
            },
            "hidden": {"prompt": "PROMPT", "extra_pnginfo": "EXTRA_PNGINFO"},
        }

    def run(
        self,
        images: torch.Tensor,
        records: str,
        filename_prefix: str = "samples/sample",
        prompt: dict[str, Any] | None = None,
        extra_pnginfo: dict[str, Any] | None = None,
        overwrite: bool = False,
    ) -> dict[str, Any]:
        images = check_images(images, "images")
        texts = graph_texts(prompt, extra_pnginfo)
        height, width = images.shape[1:3]
        filename_prefix = filled(filename_prefix, width, height, prompt, (extra_pnginfo or {}).get("workflow"))
        with host.progress(len(images)) as on_step:
            told = from_json(records, len(images))
            files = save(images, told, host.output_folder(), filename_prefix, texts, on_step, overwrite)
        pictures = [{"filename": file.name, "subfolder": file.subfolder, "type": "output"} for file in files[:SHOWN]]
        names = "\n".join(f"{file.subfolder}/{file.name}".lstrip("/") for file in files)
        folder = files[0].subfolder or "."
        more = {"text": [f"{len(files)} files in {folder}, the first {SHOWN} shown"]} if len(files) > SHOWN else {}
        return {"ui": {"images": pictures, **more}, "result": (names, folder)}


NODES = {
    "TrilemmaLoadGenerator": LoadGenerator,
    "TrilemmaCondition": Condition,
    "TrilemmaConditionOnImages": ConditionOnImages,
    "TrilemmaSampleImages": SampleImages,
    "TrilemmaSaveSamples": SaveSamples,
}
