"""Nodes of the menu Trilemma/Adapt that lay several LoRAs over a model, each in its region of the picture."""

from __future__ import annotations

from typing import Any

import torch

from .. import host
from ..models.diffusion.adapters import lora_file, regions
from ..models.diffusion.adapters.lora import Weighted
from ..models.diffusion.adapters.regions import Region
from ..models.errors import BadInput
from ..models.files.paths import fingerprint
from .common import inputs, kinds, loras, menus
from .common.adapting import GENERATOR, INPAINTER, Adapted, architecture

Regions = tuple[Region, ...]
"""What travels on TRILEMMA_REGIONS, in the order of their nodes."""


class LoRARegion:
    DISPLAY_NAME = "LoRA Region"
    CATEGORY = menus.ADAPT
    DESCRIPTION = (
        "A LoRA with the part of the picture where it counts, and what is to be seen there. Several in a row, for "
        "Compose LoRAs."
    )
    SEARCH_ALIASES = ["lora mask", "regional lora", "lora composer", "regional prompt", "attention couple"]
    RETURN_TYPES = (kinds.REGIONS,)
    RETURN_NAMES = ("regions",)
    OUTPUT_TOOLTIPS = ("For Compose LoRAs, or for a further LoRA Region.",)
    FUNCTION = "run"

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {
            "required": {
                "lora": loras.names(),
                "mask": inputs.link(
                    "MASK",
                    "Where it counts, stretched to the picture. Of a batch, image i takes mask i, and the first again "
                    "after the last.",
                ),
            },
            "optional": {
                "strength": loras.strength(),
                "prompt": inputs.multiline("", "What this part attends to; empty: the prompt of the whole picture."),
                "regions": inputs.link(kinds.REGIONS, "From another LoRA Region."),
            },
        }

    @classmethod
    def IS_CHANGED(cls, lora: str, **settings: Any) -> str:
        return fingerprint(loras.path(lora))

    @classmethod
    def VALIDATE_INPUTS(cls, lora: str | None = None) -> bool | str:
        return loras.found(lora)

    def run(
        self, lora: str, mask: torch.Tensor, strength: float = 1.0, prompt: str = "", regions: Regions | None = None
    ) -> tuple[Regions]:
        return ((*(regions or ()), _region(lora, mask, strength, prompt)),)


def _region(lora: str, mask: torch.Tensor, strength: float, prompt: str) -> Region:
    return regions.region([Weighted(lora_file.read(loras.path(lora)), strength)], mask, prompt)


class ComposeLoRAs:
    DISPLAY_NAME = "Compose LoRAs"
    CATEGORY = menus.ADAPT
    DESCRIPTION = (
        "Lays several LoRAs over a Stable Diffusion 1.x or 2.x model at once, each in its region: there it alone "
        "counts, its own prompt is read, and no region sees another."
    )
    SEARCH_ALIASES = ["lora composer", "regional lora", "multi lora", "multi concept", "regional prompt"]
    RETURN_TYPES = (kinds.INPAINTER, kinds.GENERATOR)
    RETURN_NAMES = ("inpainter", "generator")
    OUTPUT_TOOLTIPS = (
        "For Inpaint by Text and Image to Image, if an inpainter was connected.",
        "For Sample Images and whatever else takes a generator, if a generator was connected.",
    )
    FUNCTION = "run"

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {
            "required": {"regions": inputs.link(kinds.REGIONS, "From LoRA Region.")},
            "optional": {
                **INPAINTER.input(),
                **GENERATOR.input(),
                "isolate": inputs.boolean(
                    True, "Keep regions apart: in self-attention none sees what belongs to another one alone."
                ),
            },
        }

    def run(
        self,
        regions: Regions,
        inpainter: host.Handle | None = None,
        generator: host.Handle | None = None,
        isolate: bool = True,
    ) -> tuple[host.Handle | None, host.Handle | None]:
        if (inpainter is None) == (generator is None):
            found = "neither is" if inpainter is None else "both are"
            raise BadInput(f"inpainter, generator: {found} connected; connect one of them.")
        if inpainter is not None:
            return _composed(INPAINTER, inpainter, regions, isolate), None
        assert generator is not None
        return None, _composed(GENERATOR, generator, regions, isolate)


def _composed(to: Adapted, handle: host.Handle, parts: Regions, isolate: bool) -> host.Handle:
    model = to.model(handle)
    # The text encoder reads the regions' prompts.
    with host.placed(handle, memory=0), host.without_inference_mode():
        networks = regions.compose(model.networks, parts, architecture(model), isolate)
    weighted = [each for part in parts for each in part.loras]
    files = [each.path for each, _ in weighted if each.path is not None]
    notes = [
        f"LoRA {each.name} at {strength:g} in a region{f', {part.prompt!r}' if part.prompt else ''}"
        for part in parts
        for each, strength in part.loras
    ]
    (made,) = to.handle(handle, model.with_networks(networks, files, notes))
    return made


NODES = {"TrilemmaLoRARegion": LoRARegion, "TrilemmaComposeLoRAs": ComposeLoRAs}
