"""The node of the menu Trilemma/Inpaint that keeps of an edited picture what was meant to change."""

from __future__ import annotations

from typing import Any

import torch

from .. import host
from ..models.pictures import dust
from ..models.pictures.restoration.restoring import BLENDS, Blend, Settings, restore
from .common import inputs, menus
from .common.showing import show_text


class RestoreUnedited:
    DISPLAY_NAME = "Restore Unedited"
    CATEGORY = menus.INPAINT
    DESCRIPTION = (
        "Lays what an editor changed back into the original, so that all else stays bit for bit as it was: for models "
        "that repaint the whole picture (Flux Kontext, Qwen-Image-Edit) and for outside editors. Shift, scale and "
        "colours that have drifted are found and undone, and the seam is closed."
    )
    SEARCH_ALIASES = [
        "kontext",
        "qwen image edit",
        "pixel shift",
        "color drift",
        "colour match",
        "align images",
        "poisson blending",
        "seamless clone",
        "difference mask",
        "keep original",
    ]
    RETURN_TYPES = ("IMAGE", "MASK", "IMAGE", "IMAGE", "FLOAT", "STRING")
    RETURN_NAMES = ("image", "mask", "changes", "aligned", "seam_score", "report")
    OUTPUT_TOOLTIPS = (
        "The originals with what changed in them; bit-identical to them where the mask is 0, and in their alpha.",
        "Share of the edit in each pixel. For Score Edit.",
        "What changed in colour, the rest grey and dim.",
        "The whole edits, in their place and in the original's colours.",
        "How visible the borders are: mean step in colour, 0 none, 1 black to white.",
        "For each image what was found and undone, and its seam beside that of a plain paste.",
    )
    FUNCTION = "run"
    HAS_INTERMEDIATE_OUTPUT = True

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {
            "required": {
                "original": inputs.link("IMAGE", "The pictures before the edit: one, or as many as there are edits."),
                "edited": inputs.link("IMAGE", "What the editor made of them, of any size; one, or as many."),
            },
            "optional": {
                "mask": inputs.link(
                    "MASK",
                    "What may come from the edit, drawn on the original or on the edit; taken as it is. Without it, "
                    "what changed is found.",
                ),
                "align": inputs.boolean(True, "Find how the edit is shifted and scaled, and undo it."),
                "match_colours": inputs.boolean(
                    True, "Find how the colours have drifted where nothing else changed, and undo it."
                ),
                "blend": inputs.choice(
                    BLENDS,
                    "poisson: move the colours of what changed so that they meet the original at the border. plain: "
                    "leave them.",
                    default="poisson",
                ),
                "sensitivity": inputs.number(
                    1.0, 0.1, 10.0, 0.1, "Without a mask: above 1 finds fainter changes, below 1 only stronger ones."
                ),
                "min_area": inputs.integer(
                    64, 0, inputs.MAX_SIDE**2, "Without a mask: smaller changes, in pixels, are left out."
                ),
                "grow": inputs.integer(6, 0, 512, "Without a mask: pixels taken from the edit around what changed."),
                "soften": inputs.integer(4, 0, 512, "Without a mask: further pixels over which the edit fades out."),
                "mask_threshold": inputs.mask_threshold(),
            },
        }

    def run(
        self,
        original: torch.Tensor,
        edited: torch.Tensor,
        mask: torch.Tensor | None = None,
        align: bool = True,
        match_colours: bool = True,
        blend: Blend = "poisson",
        sensitivity: float = 1.0,
        min_area: int = 64,
        grow: int = 6,
        soften: int = 4,
        mask_threshold: float = dust.MASK_THRESHOLD,
    ) -> dict[str, Any]:
        settings = Settings(align, match_colours, blend, sensitivity, min_area, grow, soften, mask_threshold)
        with host.progress(max(len(original), len(edited))) as on_step:
            done = restore(original, edited, mask, settings, on_step)
        lines = [f"image {index}: {finding}" for index, finding in enumerate(done.findings)]
        note = "" if mask is None else dust.report_dust(mask, mask_threshold)
        report = "\n".join([*lines, *filter(None, [note])])
        pictures = (host.intermediate(each) for each in (done.images, done.masks, done.changes, done.aligned))
        return show_text(report, *pictures, sum(done.seams) / len(done.seams), report)


NODES = {"TrilemmaRestoreUnedited": RestoreUnedited}
