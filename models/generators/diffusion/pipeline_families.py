"""The table of diffusers' pipelines that draw from prompts: which folder is which, and how it is read."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Final

from ...diffusion.folders import PipelineFolder, holds, open_folder
from ...families import Family
from ...files.checkpoints import Checkpoint
from ...files.folders import read_model
from ...weights import DtypeFor
from ..base import Generator
from . import kandinsky_files
from . import tiny_pipelines as tiny
from . import tiny_prior_pipelines as tiny_prior
from .amused import Amused
from .pipeline_parts import parts_of, read_parts
from .pipelines_by_flow import CogView4, Flux, StableDiffusion3
from .pipelines_by_prior import PREFIX, Kandinsky, KandinskyCombined, UnCLIP
from .pipelines_by_t5 import CogView3Plus, DeepFloydIF, PixArtAlpha, PixArtSigma
from .prompt_pipelines import PromptPipeline


def _load(made: type[PromptPipeline], checkpoint: Checkpoint, dtype_for: DtypeFor) -> Generator:
    folder = PipelineFolder(Path(checkpoint.path or "."), checkpoint.config)
    there = parts_of(folder, made.CLASSES, made.OPTIONAL)
    open_folder(checkpoint, {part: made.CLASSES[part] for part in there})
    return made(read_parts(folder, there, dtype_for))


def _load_with_prior(checkpoint: Checkpoint, dtype_for: DtypeFor) -> Generator:
    """Kandinsky's decoder from the folder chosen, its prior from the folder beside it."""
    path = Path(checkpoint.path or ".")
    folders = (
        open_folder(checkpoint, Kandinsky.CLASSES),
        open_folder(read_model(kandinsky_files.needed(path)), Kandinsky.PRIOR_CLASSES),
    )
    decoder = read_parts(folders[0], Kandinsky.CLASSES, dtype_for)
    prior = read_parts(folders[1], Kandinsky.PRIOR_CLASSES, dtype_for)
    return Kandinsky({**decoder, **{f"{PREFIX}{name}": part for name, part in prior.items()}})


PIPELINES: Final = (
    (PixArtAlpha, tiny.write_pixart_alpha),
    (PixArtSigma, tiny.write_pixart_sigma),
    (DeepFloydIF, tiny.write_deepfloyd_if),
    (CogView3Plus, tiny.write_cogview3_plus),
    (StableDiffusion3, tiny.write_stable_diffusion_3),
    (Flux, tiny.write_flux),
    (Amused, tiny.write_amused),
    (CogView4, tiny.write_cogview4),
    (UnCLIP, tiny_prior.write_unclip),
    (KandinskyCombined, tiny_prior.write_kandinsky_combined),
)
"""Those whose folders hold all of them."""
FAMILIES: Final = (
    *(Family(made.PIPELINE, holds(made.PIPELINE), partial(_load, made), write) for made, write in PIPELINES),
    Family(
        Kandinsky.PIPELINE,
        holds(Kandinsky.PIPELINE),
        _load_with_prior,
        tiny_prior.write_kandinsky,
        kandinsky_files.files,
    ),
)
