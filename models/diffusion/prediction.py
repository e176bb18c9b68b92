"""What a single file's network foresees, noise or velocities (Salimans and Ho, 2022, arXiv 2202.00512).

Both kinds of network have the same tensors, but for marks that some trainers leave; else what lies beside tells.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from ..errors import BadCheckpoint
from ..files import beside
from ..files.checkpoints import Checkpoint
from ..files.folders import understood
from ..files.groups import MARKS
from .samplers import SUPPORTED

NOISE: Final = "epsilon"
VELOCITY: Final = "v_prediction"
TOLD: Final = "trilemma.prediction"
"""Where the metadata of a checkpoint holds what the user has told."""

VELOCITIES_MARK, ZERO_SIGNAL_MARK = MARKS
"""Tensors whose presence alone says something, as NoobAI's trainers and ComfyUI write them; the second one that the
training went down to no signal at all (Lin et al., 2024, arXiv 2305.08891)."""
EDM: Final = re.compile(r"edm_(mean|std|vpred\.sigma_(max|min))")
"""Marks of networks that foresee by the rules of Karras et al. (2022), such as Playground's."""

MODEL_SPEC: Final = "modelspec.prediction_type"
"""Of safetensors metadata, by Stability's ModelSpec."""
WORDS: Final = {NOISE: NOISE, "eps": NOISE, "v": VELOCITY, VELOCITY: VELOCITY}
_PARAMETERIZATION: Final = re.compile(r"""^\s*parameterization\s*:\s*["']?(\w+)""", re.MULTILINE)
_MODEL: Final = re.compile(r"^model\s*:", re.MULTILINE)


def of_file(checkpoint: Checkpoint, usual: str | None) -> dict[str, Any]:
    """The settings of a scheduler that say it.

    Asked are, in this order, the user, the file's marks, its metadata, the original configuration beside it
    (`NAME.yaml`), and a `scheduler_config.json` there. usual: what it is where none of them says; None where published
    files are of both kinds.

    Raises:
        BadCheckpoint: nothing tells; or it foresees something else.
    """
    edm = next((name for name in checkpoint.tensors if EDM.fullmatch(name)), None)
    if edm is not None:
        raise BadCheckpoint(
            f"{checkpoint.name}: {edm} marks a network that foresees by the rules of EDM, which the pack does not run; "
            "choose one that foresees noise or velocities."
        )
    zero = {"rescale_betas_zero_snr": True, "timestep_spacing": "trailing"}
    further = zero if ZERO_SIGNAL_MARK in checkpoint.tensors else {}
    found = next((each for each in _answers(checkpoint) if each), usual)
    if found is None:
        raise BadCheckpoint(
            f"{checkpoint.name}: tensors do not tell whether it foresees noise (as the 512 px models of Stable "
            "Diffusion 2 do) or velocities (as those of 768 px do): in its loader set prediction to one of them, or "
            f"put its configuration beside it, as {_stem(checkpoint)}.yaml or scheduler_config.json."
        )
    return {"prediction_type": found, **further}


def files(path: Path) -> tuple[Path, ...]:
    """What a single file is read from: itself, and configurations beside it."""
    there = [path.with_suffix(".yaml"), *(path.parent / name for name in beside.SCHEDULERS)]
    return (path, *(file for file in there if file.is_file()))


def _answers(checkpoint: Checkpoint) -> Iterator[str]:
    yield checkpoint.metadata.get(TOLD, "")
    yield VELOCITY if VELOCITIES_MARK in checkpoint.tensors else ""
    yield WORDS.get(checkpoint.metadata.get(MODEL_SPEC, "").lower(), "")
    yield _of_yaml(checkpoint)
    yield beside.scheduler_configuration(checkpoint, SUPPORTED).get("prediction_type", "")


def _of_yaml(checkpoint: Checkpoint) -> str:
    """As the original code reads it: without a `parameterization` its models foresee noise."""
    file = None if checkpoint.path is None else checkpoint.path.with_suffix(".yaml")
    if file is None or not file.is_file():
        return ""
    with understood(f"{checkpoint.name}: {file.name}"):
        text = file.read_text(encoding="utf-8")
    told = _PARAMETERIZATION.search(text)
    if told is None:
        return NOISE if _MODEL.search(text) else ""
    if told[1] not in WORDS:
        raise BadCheckpoint(
            f"{checkpoint.name}: {file.name} beside it says parameterization: {told[1]}; the pack runs eps and v."
        )
    return WORDS[told[1]]


def _stem(checkpoint: Checkpoint) -> str:
    return "model" if checkpoint.path is None else checkpoint.path.stem
