"""Everything that writes a file in one go, each with an older and a newer version of what it writes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import torch
from trilemma.host import standalone
from trilemma.host.core_nodes import write_images
from trilemma.models.files.converting import convert
from trilemma.models.generators import saving
from trilemma.models.generators.directions import files as direction_files
from trilemma.models.generators.directions.base import Directions
from trilemma.models.pictures.annotations import files as annotation_files
from trilemma.models.pictures.packed import pack
from trilemma.models.pictures.small_copies import small_copy
from trilemma.models.scoring.features import feature_files, published
from trilemma.models.scoring.reports import leaderboard_files
from trilemma.models.values import Objects, SegmentedObject
from trilemma.nodes.common import showing
from trilemma.tests.scoring.toy import features

SIDE = 160


class Writer(NamedTuple):
    """write: into a folder, what belongs to a version. prepare: what that wants to be there. grows: it adds files, and
    replaces none. together: its files are there all, or none of them."""

    write: Callable[[Path, int], object]
    grows: bool = False
    together: bool = False
    prepare: Callable[[Path, int], object] = lambda folder, version: None


def picture(version: int) -> torch.Tensor:
    return torch.rand(SIDE, SIDE, 3, generator=torch.Generator().manual_seed(version))


def pictures(version: int) -> torch.Tensor:
    return torch.stack([picture(version), picture(version + 10), picture(version + 20)])


def _samples(folder: Path, version: int) -> None:
    saving.save(pictures(version), [{"version": version}] * 3, folder, "run/x", {}, overwrite=True)


def _more_samples(folder: Path, version: int) -> None:
    saving.save(pictures(version), [{"version": version}] * 3, folder, "run/x", {})


def _previews(folder: Path, version: int) -> None:
    before = dict(standalone._places)
    standalone.use_folders(temp=folder)
    try:
        showing.previews(pictures(version))
    finally:
        standalone._places.update(before)


def _small_copy(folder: Path, version: int) -> None:
    small_copy(picture(version), folder)


def _host_images(folder: Path, version: int) -> None:
    write_images(pictures(version), folder, "run/x", {"version": version}, None)


def _leaderboard(folder: Path, version: int) -> None:
    report = leaderboard_files.Report("words", "a,b", "{}", picture(version)[None], pictures(version))
    leaderboard_files.save(report, folder, "board", {})


def _features(folder: Path, version: int) -> None:
    feature_files.append(folder / "set.npz", features(version * 40, version * 40 + 40, capacity=100))


def _new_features(folder: Path, version: int) -> None:
    feature_files.append(folder / "set.npz", features(0, 40, seed=version), overwrite=True)


def _statistics(folder: Path, version: int) -> None:
    published.write(folder / "fid.npz", features(version, version + 40), overwrite=True)


def _directions(folder: Path, version: int) -> None:
    vectors = torch.randn(64, 512, generator=torch.Generator().manual_seed(version))
    names = tuple(f"way {number}" for number in range(64))
    direction_files.save(folder / "ways.safetensors", Directions(names, vectors, "w"), overwrite=True)


def _source(folder: Path, version: int) -> None:
    torch.save({"weights": picture(version)}, folder / f".source{version}.pth")


def _converted(folder: Path, version: int) -> None:
    convert(folder / f".source{version}.pth", folder / "x.safetensors", overwrite=True)


def _annotations(kind: annotation_files.Format) -> Callable[[Path, int], None]:
    def write(folder: Path, version: int) -> None:
        mask = pack(torch.rand(40, 60, generator=torch.Generator().manual_seed(version)) > 0.5)
        found = [SegmentedObject(frame, (0.0, 0.0, 60.0, 40.0), "cat", 1.0, mask) for frame in range(4)]
        images = annotation_files.named(Objects(tuple(found), 4, 40, 60), ())
        annotation_files.save(images, folder, "notes/x", kind)

    return write


WRITERS: dict[str, Writer] = {
    "samples over older ones": Writer(_samples),
    "samples behind others": Writer(_more_samples, grows=True),
    "pictures on nodes": Writer(_previews, grows=True),
    "small copy": Writer(_small_copy, grows=True),
    "Save Image's stand-in": Writer(_host_images, grows=True),
    "leaderboard": Writer(_leaderboard, grows=True, together=True),
    "features added": Writer(_features),
    "features anew": Writer(_new_features),
    "statistics": Writer(_statistics),
    "directions": Writer(_directions),
    "converted weights": Writer(_converted, prepare=_source),
    **{
        f"annotations, {kind}": Writer(_annotations(kind), grows=True, together=True)
        for kind in annotation_files.FORMATS
    },
}
