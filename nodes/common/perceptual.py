"""What the nodes share that compare pictures by LPIPS: its network, from the model folder."""

from __future__ import annotations

from pathlib import PurePosixPath

from ... import host
from ...models.scoring.metrics import lpips
from ...models.scoring.metrics.lpips import Net

FOLDER = "metrics"


def is_there(net: Net) -> bool:
    """Whether its backbone is on disk."""
    return _name(net) is not None


def lpips_network(net: Net, otherwise: str) -> lpips.Lpips:
    """The network. otherwise: what the user may choose instead, for the error.

    Raises:
        MissingFile: its backbone is not on disk; says where it is from, and where it goes.
    """
    name = _name(net)
    if name is None:
        raise lpips.missing_file(net, host.model_folder(FOLDER), otherwise)
    with host.without_inference_mode():
        return lpips.load_lpips(net, host.model_path(FOLDER, name))


def _name(net: Net) -> str | None:
    files = host.model_files(FOLDER, (".pth",))
    return next((file for file in files if PurePosixPath(file).name == lpips.BACKBONES[net].file.name), None)
