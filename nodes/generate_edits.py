"""Nodes of the menu Trilemma/Generate that draw latents and move them."""

from __future__ import annotations

from typing import Any, Final

import torch

from .. import host
from ..models.generators import noise, walking
from ..models.generators.base import Latents
from ..models.generators.directions.base import Directions, chosen, short
from ..models.generators.directions.editing import edit, labels, mixed, read_mix, read_strengths
from ..models.steps import OnStep
from .common import inputs, kinds, menus
from .common.encoding import decoded, in_batches
from .common.showing import EXPLORER, MOST, sample_panel

OWN: Final = "own"


class DrawLatents:
    DISPLAY_NAME = "Draw Latents"
    CATEGORY = menus.GENERATE
    DESCRIPTION = (
        "Draws the latents that Sample Images would start from, without their pictures: to be edited, and decoded by "
        "Decode Latent. Of a StyleGAN these are w."
    )
    SEARCH_ALIASES = ["random latents", "latent noise", "seed to w", "empty latent", "mapping network"]
    RETURN_TYPES = (kinds.LATENT,)
    RETURN_NAMES = ("latent",)
    OUTPUT_TOOLTIPS = ("For Edit Latent and Decode Latent, with the same generator.",)
    FUNCTION = "run"

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {
            "required": {
                "generator": inputs.link(kinds.GENERATOR, "From Load Generator, option nodes or Condition."),
                "num_latents": inputs.integer(1, 1, 100_000, "How many to draw."),
                "seed": inputs.seed("Latent i is that of the image which Sample Images draws with seed + i."),
            },
            "optional": {
                "space": inputs.choice(
                    (OWN, "z"), "own: what the model's layers read, w of a StyleGAN. z: the Gaussian that is made of."
                ),
            },
        }

    def run(self, generator: host.Handle, num_latents: int, seed: int, space: str = OWN) -> tuple[Latents]:
        bound = generator.model
        requests = noise.requests(num_latents, seed, bound.conditions)
        draw = walking.latents_of if space == OWN else walking.gaussian_of

        def run(size: int, on_step: OnStep) -> Latents:
            parts = []
            for start in range(0, num_latents, size):
                parts.append(draw(bound, requests[start : start + size]))
                on_step(min(start + size, num_latents), None)
            return parts[0]._replace(values=torch.cat([part.values for part in parts]))

        return (in_batches(generator, num_latents, 1.0, run),)


class EditLatent:
    DISPLAY_NAME = "Edit Latent"
    CATEGORY = menus.GENERATE
    DESCRIPTION = (
        "Moves latents along directions, by as many strengths as you like, in all layers or some. Several of these "
        "nodes in a row, or mix, move along several directions at once."
    )
    SEARCH_ALIASES = ["latent editing", "semantic edit", "age slider", "smile", "sefa", "ganspace", "interfacegan"]
    RETURN_TYPES = (kinds.LATENT, "STRING")
    RETURN_NAMES = ("latent", "labels")
    OUTPUT_TOOLTIPS = (
        "Of each latent every direction, and of that every strength, in this order; for Decode Latent.",
        "For each of them a line: direction and strength.",
    )
    FUNCTION = "run"
    OUTPUT_NODE = True  # what the page can run by itself

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {
            "required": {
                "generator": inputs.link(
                    kinds.GENERATOR, "The model of the latents; its truncation counts before edits."
                ),
                "latent": inputs.link(kinds.LATENT, "From Draw Latents, Encode Latent or another Edit Latent."),
                "directions": inputs.link(kinds.DIRECTIONS, "From Latent Directions or Load Directions."),
                "direction": inputs.text(
                    "1", "Names or numbers from 1, separated by commas, one after the other; * is all, 2-4 a range."
                ),
                "strengths": inputs.text(
                    "-2, 0, 2",
                    "How far to move, separated by commas. 1 is a standard deviation of pca, and the direction's own "
                    "length of all others.",
                ),
            },
            "optional": {
                "layers": inputs.text(
                    "",
                    "StyleGAN: move these alone, from 0, coarse to fine, such as 0-3, 8. Empty: those that the "
                    "directions were made of, else all.",
                ),
                "mix": inputs.text(
                    "",
                    "Move along several directions at once instead, each by its strength: age: 1.5, sefa 2: -1. Empty: "
                    "as direction and strengths say.",
                ),
                "preview": inputs.boolean(False, "Draw the moved latents on this node, as Decode Latent would."),
            },
        }

    def run(
        self,
        generator: host.Handle,
        latent: Latents,
        directions: Directions,
        direction: str,
        strengths: str,
        layers: str = "",
        mix: str = "",
        preview: bool = False,
    ) -> dict[str, Any]:
        bound = generator.model
        if mix.strip():
            taken, places, steps = mixed(directions, read_mix(directions, mix)), [0], [1.0]
            text = "\n".join(taken.names * len(latent.values))
        else:
            taken, places, steps = directions, chosen(directions, direction), read_strengths(strengths)
            text = labels([short(directions.names[place]) for place in places], steps, len(latent.values))
        with host.placed(generator, memory=0):
            moved = edit(bound.generator, latent, taken, places, steps, layers, bound.settings)
        ui: dict[str, Any] = {EXPLORER: [{"names": [short(name) for name in directions.names]}]}
        if preview:
            count = len(moved.values)
            seen = moved._replace(values=moved.values[:MOST])
            images = decoded(generator, seen, noise.requests(len(seen.values), 0, bound.conditions))
            ui |= sample_panel([{"condition": line} for line in text.split("\n")[:MOST]], images, count)
        return {"ui": ui, "result": (moved, text)}


NODES = {"TrilemmaDrawLatents": DrawLatents, "TrilemmaEditLatent": EditLatent}
