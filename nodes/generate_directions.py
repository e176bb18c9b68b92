"""Nodes of the menu Trilemma/Generate for directions of latent space: made, saved, loaded."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from .. import host
from ..models.files.paths import file_inside, path_inside
from ..models.generators.directions import files
from ..models.generators.directions.base import Directions, summary
from ..models.generators.directions.components import components
from ..models.generators.directions.factorisation import factorise
from .common import folders, inputs, kinds, menus
from .common.showing import show_text

SEFA: Final = "sefa"
PCA: Final = "pca"
MODELS: Final = "models"
KEY: Final = "directions"
"""Of the model folder."""
EXAMPLE: Final = "directions/set.safetensors"
INFO: Final = "What space they are of, and their names."


class LatentDirections:
    DISPLAY_NAME = "Latent Directions"
    CATEGORY = menus.GENERATE
    DESCRIPTION = (
        "Finds directions of a GAN's latent space that change its pictures the most, without any labels: by the "
        "weights that read the latents (SeFa), or as principal components of StyleGAN's w (GANSpace)."
    )
    SEARCH_ALIASES = ["sefa", "ganspace", "latent editing", "semantic directions", "pca", "closed-form factorization"]
    RETURN_TYPES = (kinds.DIRECTIONS, "STRING")
    RETURN_NAMES = ("directions", "info")
    OUTPUT_TOOLTIPS = ("For Edit Latent and Save Directions.", INFO)
    FUNCTION = "run"
    HAS_INTERMEDIATE_OUTPUT = True

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {
            "required": {
                "generator": inputs.link(kinds.GENERATOR, "A GAN; pca looks at the classes of Condition."),
                "method": inputs.choice(
                    (SEFA, PCA),
                    "sefa: eigenvectors of the weights that read the latents; at once, any GAN. pca: principal "
                    "components of w, StyleGANs.",
                ),
                "count": inputs.integer(10, 1, 512, "How many, the strongest first."),
            },
            "optional": {
                "layers": inputs.text(
                    "",
                    "sefa: look at these layers' weights alone, such as 0-3, 8, and move these; empty is all. Coarse "
                    "ones turn and shape, fine ones colour.",
                ),
                "samples": inputs.advanced(inputs.integer(10_000, 2, 10_000_000, "pca: how many w are drawn.")),
                "samples_seed": inputs.advanced(inputs.fixed_seed("pca: w i is drawn with this seed + i.")),
            },
        }

    def run(
        self,
        generator: host.Handle,
        method: str,
        count: int,
        layers: str = "",
        samples: int = 10_000,
        samples_seed: int = 0,
    ) -> dict[str, Any]:
        bound = generator.model
        if method == SEFA:
            found = factorise(bound.generator, count, layers)
        else:
            memory = bound.generator.memory_bytes(1)
            with host.placed(generator, memory=memory), host.progress(samples) as on_step:
                found = components(bound, count, samples, samples_seed, on_step)
        info = summary(found, bound.generator.identity)
        return show_text(info, found, info)


class SaveDirections:
    DISPLAY_NAME = "Save Directions"
    CATEGORY = menus.GENERATE
    DESCRIPTION = "Writes directions, with their names, space and layers, into a file for Load Directions."
    SEARCH_ALIASES = ["export directions", "save latent directions", "sefa file", "boundary"]
    RETURN_TYPES = (kinds.DIRECTIONS, "STRING")
    RETURN_NAMES = ("directions", "file")
    OUTPUT_TOOLTIPS = ("The same directions.", "The file's name below the output folder, for Load Directions.")
    FUNCTION = "run"
    OUTPUT_NODE = True

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {
            "required": {
                "directions": inputs.link(kinds.DIRECTIONS, "From Latent Directions or Load Directions."),
                "file": inputs.text(EXAMPLE, "Name below the output folder; folders are made as needed."),
            },
            "optional": {"overwrite": inputs.boolean(False, "Replace a file that is there.")},
        }

    def run(self, directions: Directions, file: str, overwrite: bool = False) -> dict[str, Any]:
        path = _own_path(host.output_folder(), file)
        files.save(path, directions, overwrite)
        name = path.relative_to(host.output_folder()).as_posix()
        return show_text(f"{name}\n{summary(directions)}", directions, name)


class LoadDirections:
    DISPLAY_NAME = "Load Directions"
    CATEGORY = menus.GENERATE
    DESCRIPTION = (
        "Reads directions that Save Directions wrote, or that others publish: boundaries of InterFaceGAN (.npy), "
        "PyTorch files of one or several, factors of closed-form factorisation. Nothing in a file is executed."
    )
    SEARCH_ALIASES = [
        "interfacegan",
        "boundary",
        "npy",
        "age direction",
        "smile direction",
        "sefa factor",
        "latent edit",
    ]
    RETURN_TYPES = (kinds.DIRECTIONS, "STRING")
    RETURN_NAMES = ("directions", "info")
    OUTPUT_TOOLTIPS = ("For Edit Latent.", INFO)
    FUNCTION = "run"
    HAS_INTERMEDIATE_OUTPUT = True

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {
            "required": {
                "generator": inputs.link(kinds.GENERATOR, "The model that they are for, whose latents they must fit."),
                "location": inputs.choice(
                    (MODELS, "output", "input"),
                    "Where `file` is: models is models/directions, the others are the host's folders.",
                ),
                "file": inputs.text("age.npy", "A .npy, .pt, .pth or .safetensors file, relative to the location."),
            },
            "optional": {
                "space": inputs.choice(
                    ("w", "z"),
                    "Of files of others, which do not tell it: what their directions move. w is StyleGAN's; other "
                    "GANs have z alone. InterFaceGAN's are of z unless their names say w.",
                ),
            },
        }

    @classmethod
    def IS_CHANGED(cls, location: str, file: str, **settings: Any) -> str:
        return folders.state_of(lambda: _path(location, file))

    def run(self, generator: host.Handle, location: str, file: str, space: str = "w") -> dict[str, Any]:
        model = generator.model.generator
        found = files.load(_path(location, file), model, space)
        info = summary(found, model.identity)
        return show_text(info, found, info)


def _path(location: str, name: str) -> Path:
    if location == MODELS:
        return host.model_path(KEY, name)
    return file_inside(folders.root_of(location), name, "file", EXAMPLE)


def _own_path(root: Path, name: str) -> Path:
    path = file_inside(root, name, "file", EXAMPLE)
    if path.suffix.lower() == ".safetensors":
        return path
    return path_inside(root, f"{path.relative_to(root).as_posix()}.safetensors", "file")


NODES = {
    "TrilemmaLatentDirections": LatentDirections,
    "TrilemmaSaveDirections": SaveDirections,
    "TrilemmaLoadDirections": LoadDirections,
}
