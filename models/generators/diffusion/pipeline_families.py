"""The table of diffusers' pipelines that draw from prompts: which folder is which, and how it is read."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Final

from ...diffusion.folders import PipelineFolder, holds, open_folder
from ...families import Family
from ...files.checkpoints import Checkpoint
from ...weights import DtypeFor
from ..base import Generator
from . import tiny_pipelines as tiny
from .pipeline_parts import parts_of, read_parts
from .pipelines_by_t5 import CogView3Plus, DeepFloydIF, PixArtAlpha, PixArtSigma
from .prompt_pipelines import PromptPipeline


def _load(made: type[PromptPipeline], checkpoint: Checkpoint, dtype_for: DtypeFor) -> Generator:
    folder = PipelineFolder(Path(checkpoint.path or "."), checkpoint.config)
    there = parts_of(folder, made.CLASSES, made.OPTIONAL)
    open_folder(checkpoint, {part: made.CLASSES[part] for part in there})
    return made(read_parts(folder, there, dtype_for))


FAMILIES: Final = tuple(
    Family(made.PIPELINE, holds(made.PIPELINE), partial(_load, made), write)
    for made, write in (
        (PixArtAlpha, tiny.write_pixart_alpha),
        (PixArtSigma, tiny.write_pixart_sigma),
        (DeepFloydIF, tiny.write_deepfloyd_if),
        (CogView3Plus, tiny.write_cogview3_plus),
    )
)
