"""The node of the menu Trilemma/Generate that shows how a model came to its pictures."""

from __future__ import annotations

from typing import Any

from .. import host
from ..models.generators import looking
from ..models.generators.sampling import fitting_batch
from ..models.pictures.grids import Theme
from .common import inputs, kinds, menus
from .common.showing import show_text


class ShowStages:
    DISPLAY_NAME = "Show Stages"
    CATEGORY = menus.GENERATE
    DESCRIPTION = (
        "Draws as Sample Images does, and shows how the pictures came about: the stages of a GAN that draws by text, "
        "and where each word of its sentence counted."
    )
    SEARCH_ALIASES = ["attention map", "stackgan", "attngan", "text to image gan", "word attention", "intermediate"]
    RETURN_TYPES = ("IMAGE", "MASK", "IMAGE", "STRING")
    RETURN_NAMES = ("stages", "maps", "overview", "report")
    OUTPUT_TOOLTIPS = (
        "Every stage of the first image from coarse to fine, then those of the next, all of the result's size.",
        "Where each word, or the sentence, counted; empty for models that look at no places.",
        "All of it in one picture: a row of stages for each image, and a row for each of its words.",
        "What each image shows, what each map is of by its number, and words that the model does not know.",
    )
    FUNCTION = "run"
    HAS_INTERMEDIATE_OUTPUT = True

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {
            "required": {
                "generator": inputs.link(
                    kinds.GENERATOR, "A GAN that draws by text, from Load Generator or with a Condition."
                ),
            },
            "optional": {
                "num_images": inputs.integer(4, 1, 64, "How many to draw."),
                "seed": inputs.seed("Image i is drawn with seed + i, as by Sample Images."),
                "theme": inputs.theme(),
                "batch_size": inputs.fitting_batch_size("drawn"),
            },
        }

    def run(
        self,
        generator: host.Handle,
        num_images: int = 4,
        seed: int = 0,
        theme: Theme = "light",
        batch_size: int = 0,
    ) -> dict[str, Any]:
        bound = generator.model
        batch_size = min(batch_size, num_images) or fitting_batch(bound.generator, num_images)
        memory = bound.generator.memory_bytes(batch_size)
        with host.placed(generator, memory=memory), host.progress(num_images) as on_step:
            found = host.halving(lambda size: looking.looks(bound, num_images, seed, size, on_step), batch_size)
        text = looking.report(bound, found)
        shown = (looking.stages(found), looking.maps(found), looking.overview(found, theme))
        return show_text(text, *map(host.intermediate, shown), text)


NODES = {"TrilemmaShowStages": ShowStages}
