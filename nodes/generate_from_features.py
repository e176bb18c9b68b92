"""Nodes of the menu Trilemma/Generate that begin with features."""

from __future__ import annotations

from typing import Any

import torch

from .. import host
from ..models.errors import BadInput
from ..models.generators.conditions import check_takes_features, read_conditions, vector_conditions
from ..models.generators.records import remarks
from .common import embedding, inputs, kinds, menus
from .common.showing import show_note


class ConditionOnFeatures:
    DISPLAY_NAME = "Condition on Features"
    CATEGORY = menus.GENERATE
    DESCRIPTION = (
        "Gives a generator what pictures or texts are of, as a network tells it, to draw from: CLIP-GEN and its like. "
        "Samples take them in turn."
    )
    SEARCH_ALIASES = [
        "clip-gen",
        "clip embedding",
        "image variation",
        "feature condition",
        "text condition",
        "image prompt",
        "unclip",
    ]
    RETURN_TYPES = (kinds.GENERATOR,)
    RETURN_NAMES = ("generator",)
    OUTPUT_TOOLTIPS = ("The same model, drawing from these features.",)
    FUNCTION = "run"
    HAS_INTERMEDIATE_OUTPUT = True

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {
            "required": {
                "generator": inputs.link(
                    kinds.GENERATOR, "From Load Generator, whose info tells which features it takes."
                ),
            },
            "optional": {
                "images": inputs.link(
                    "IMAGE", "Pictures whose kin it shall draw: sample i takes image i, in turn. Or give a text."
                ),
                "extractor": inputs.link(
                    kinds.EXTRACTOR, "Sees what the images are of. From Load Feature Extractor; or give clip_vision."
                ),
                "clip_vision": inputs.link("CLIP_VISION", "Sees what the images are of, in place of an extractor."),
                "text": inputs.multiline(
                    "",
                    "What shall be seen, one text to a line; image i takes line i, in turn. By clip, or without it the "
                    "names of classes, if the model has some.",
                ),
                "clip": inputs.link("CLIP", "The text half of the CLIP that the model was trained with, for texts."),
            },
            "hidden": {"graph": "DYNPROMPT", "node_id": "UNIQUE_ID"},
        }

    def run(
        self,
        generator: host.Handle,
        images: torch.Tensor | None = None,
        extractor: host.Handle | None = None,
        clip_vision: Any = None,
        text: str = "",
        clip: Any = None,
        graph: Any = None,
        node_id: str | None = None,
    ) -> tuple[host.Handle] | dict[str, Any]:
        descriptor = generator.model.generator.descriptor
        check_takes_features(descriptor)
        lines = [line.strip() for line in text.splitlines() if line.strip()]
        if (images is None) == (not lines):
            both = "both are given" if lines else "neither is given"
            raise BadInput(f"images, text: {both}; draw from pictures, or from a text.")
        if images is not None:
            found = embedding.of_pictures(_seeing(extractor, clip_vision), images, "images")
            conditions = vector_conditions(*found)
        elif clip is not None:
            conditions = vector_conditions(*embedding.of_texts(clip, lines, graph, node_id))
        elif descriptor.num_classes:
            conditions = read_conditions(descriptor, text)
        else:
            raise BadInput(
                f"clip: it is missing, and {descriptor.architecture} has no classes; connect the text half of the CLIP "
                "that it was trained with."
            )
        made = generator._replace(model=generator.model.with_conditions(conditions))
        return show_note(remarks(made.model), made)


def _seeing(extractor: host.Handle | None, clip_vision: Any) -> host.Handle:
    """The one that is connected."""
    if (extractor is None) == (clip_vision is None):
        raise BadInput("extractor, clip_vision: one of them sees what the images are of; connect one.")
    return embedding.of_clip_vision(clip_vision) if extractor is None else extractor


NODES = {"TrilemmaConditionOnFeatures": ConditionOnFeatures}
