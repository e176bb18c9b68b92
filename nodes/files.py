"""Nodes of the menu Trilemma/Files: pictures that come with the pack."""

from __future__ import annotations

import torch

from .. import host
from ..models import examples


class ExampleScene:
    """A shipped scene of emoji, the closed world that the starter models know."""

    DISPLAY_NAME = "Example Scene"
    CATEGORY = "Trilemma/Files"
    DESCRIPTION = (
        "A picture that comes with the pack, composed of the emoji that the starter models know. "
        "Replace it by Load Image, and the starter models by published ones, to edit your own pictures."
    )
    SEARCH_ALIASES = ["demo image", "sample picture", "emoji scene", "starter scene"]
    RETURN_TYPES = ("IMAGE",)
    RETURN_NAMES = ("image",)
    OUTPUT_TOOLTIPS = ("The scene, a batch of one image.",)
    FUNCTION = "run"

    @classmethod
    def INPUT_TYPES(cls) -> dict:
        return {"required": {"scene": (examples.scene_names(), {"tooltip": "Which of the shipped scenes."})}}

    def run(self, scene: str) -> tuple[torch.Tensor]:
        return (host.intermediate(examples.scene(scene)),)


NODES = {"TrilemmaExampleScene": ExampleScene}
