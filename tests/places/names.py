"""Names that graphs may hold and that must not lead anywhere: out of a folder, into a device, nowhere at all."""

from __future__ import annotations

from pathlib import Path

from trilemma.models.pictures.png import write_png
from trilemma.tests.graphs import world

ENDINGS = (".png", ".json", ".jsonl", ".npz", ".safetensors", "")
"""Of what lies outside; the last is a folder."""


def make(root: Path) -> None:
    """The folders of `world`, and beside them `outside`, which links in input and output lead to."""
    import json

    import numpy as np
    import torch
    from safetensors.torch import save_file

    world.prepare(root, with_models=False)
    outside = root / "outside"
    (outside / "secret").mkdir(parents=True)
    picture = torch.rand(32, 32, 3, generator=torch.Generator().manual_seed(0))
    for file in (outside / "secret.png", outside / "secret" / "0.png", outside / "secret" / "1.png"):
        write_png(file, picture, {})
    (outside / "secret.json").write_text((root / "input" / "notes.json").read_text())
    (outside / "secret.jsonl").write_text(json.dumps({"tag": "single_object", "include": [], "prompt": "x"}))
    np.savez(outside / "secret.npz", mu=np.zeros(3), sigma=np.eye(3))
    save_file({"x": torch.zeros(3)}, outside / "secret.safetensors")
    for place in ("input", "output"):
        (root / place / "link").symlink_to(outside, target_is_directory=True)
        for ending in ENDINGS:
            (root / place / f"linked{ending}").symlink_to(outside / f"secret{ending}")


def leading_out(root: Path) -> list[str]:
    """Names that must be refused wherever a graph names a file or a folder."""
    outside = root / "outside"
    names = [f"{start}{ending}" for ending in ENDINGS for start in ("../outside/secret", "link/secret", "linked")]
    names += [f"{outside}/secret{ending}" for ending in (".png", "")]
    names += [r"..\outside\secret.png", "pictures/../../outside/secret", "./.././outside/secret.json"]
    names += [r"C:\outside\secret.png", "C:secret.png", r"\\server\share\secret.png", "//server/share/secret", "/"]
    names += ["/dev/zero", "/dev/stdin", "/proc/self/environ", "/etc/passwd", r"\\.\PhysicalDrive0", r"\\?\C:\x.png"]
    names += ["con", "NUL.png", "aux.json", "run/PRN.txt", "COM1", "lpt9.npz", "a\x00b", "x" * 300, "x/" * 3000 + "x"]
    return [*names, "\ud800.png"]


def odd(root: Path) -> list[str]:
    """Names that stay inside, or mean nothing; they may be refused, and must do no harm."""
    address = (root / "outside" / "secret.png").as_uri()
    return [
        address,
        "%2e%2e/outside/secret.png",
        "~/secret.png",
        "$HOME/x",
        "pipe.png",
        "pipe.json",
        "pipe",
        "secret.png:stream",
    ]
