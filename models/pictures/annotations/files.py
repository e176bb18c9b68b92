"""Files of annotations written and read, whatever their format."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple

from ...errors import BadInput, MissingFile
from ...files.atomic import locked, make_folder, sweep_parts, write_folder, write_together
from ...files.numbering import first_number
from ...files.paths import prefix_inside
from ...texts import counted
from ...values import Objects
from . import coco, labelme, yolo
from .base import Annotated
from .coco import stem

Format = Literal["coco", "yolo", "labelme"]
FORMATS: Final[tuple[Format, ...]] = ("coco", "yolo", "labelme")
COCO_ENDING: Final = ".json"
LARGEST: Final = 2**30
"""Bytes of the largest file that is read: ten times COCO's own."""
LONGEST_NAME: Final = 200
"""Bytes of a name without its ending; file systems end at 255."""


class Loaded(NamedTuple):
    """objects: of the batch. remarks: a line each."""

    objects: Objects
    remarks: tuple[str, ...]


def named(objects: Objects, names: Sequence[str]) -> list[Annotated]:
    """The images of a batch with their objects.

    names: file names of the images, in their order; without any they are called image_00001.png and so on.

    Raises:
        BadInput: another number of names, the same one twice, or one that no file can have.
    """
    names = list(names) or [f"image_{number:05}.png" for number in range(1, objects.frames + 1)]
    if len(names) != objects.frames:
        raise _uneven(names, objects.frames)
    for name in names:
        broken = any(character < " " for character in name)
        # Half of a character, as broken JSON holds it, can be called so by no file.
        broken = broken or any("\ud800" <= character <= "\udfff" for character in name)
        if broken or not stem(name).strip(". ") or len(stem(name).encode(errors="replace")) > LONGEST_NAME:
            raise BadInput(f"names: {name[:60]!r} is no name of a file; give those of the images, one to a line.")
    if len({stem(name) for name in names}) < len(names):
        raise BadInput("names: two images have the same name without its folder and ending; rename one.")
    found: list[list[Any]] = [[] for _ in names]
    for item in objects.objects:
        found[item.frame].append(item)
    return [Annotated(name, objects.height, objects.width, tuple(own)) for name, own in zip(names, found, strict=True)]


def _uneven(names: Sequence[str], frames: int) -> BadInput:
    told = f"{counted(len(names), 'name')} for {counted(frames, 'image')}"
    return BadInput(f"names: {told}; give one to each image, one to a line.")


def save(images: Sequence[Annotated], folder: Path, prefix: str, kind: Format) -> list[str]:
    """Write `prefix_00001_.json` of COCO; or a folder `prefix_00001_` with a file for each image, called as the image
    is, of YOLO with `classes.txt`, or of LabelMe. The number is one after the highest that is there. All is written,
    or nothing.

    Returns the names relative to `folder`, with forward slashes.

    Raises:
        BadInput: the prefix leads out of the folder, or names a folder; an image of YOLO's is called "classes".
    """
    target = prefix_inside(folder, prefix, "annotations/objects")
    texts = _texts(images, kind)
    make_folder(target.parent)
    sweep_parts(target.parent)
    with locked(target):
        place = target.with_name(f"{target.name}_{first_number(target):05}_")
        files = {name: text.encode(errors="replace") for name, text in texts.items()}
        if kind == "coco":
            paths = [place.with_name(place.name + COCO_ENDING)]
            write_together(target.parent, {paths[0].name: files[COCO_ENDING]})
        else:
            paths = [place / name for name in files]
            write_folder(place, files)
    return [path.relative_to(folder).as_posix() for path in paths]


def _texts(images: Sequence[Annotated], kind: Format) -> Mapping[str, str]:
    if kind == "coco":
        return {COCO_ENDING: coco.to_json(images)}
    drive = next((image.name for image in images if ":" in stem(image.name)), None)
    if drive is not None:
        raise BadInput(f"names: {drive!r} has a colon, which on Windows leads to another drive; rename it.")
    if kind == "labelme":
        return {f"{stem(image.name)}.json": labelme.to_json(image) for image in images}
    labels = yolo.labels_of(images)
    texts = {f"{stem(image.name)}.txt": yolo.to_text(image, labels) for image in images}
    if yolo.CLASSES in texts:
        raise BadInput("names: an image is called 'classes', where YOLO has the names of its classes; rename it.")
    return {**texts, yolo.CLASSES: "".join(f"{label}\n" for label in labels)}


def load(path: Path, size: tuple[int, int, int], names: Sequence[str] = ()) -> Loaded:
    """The objects of `size` = frames, height, width images, from a file or from a folder of a file for each image.

    names: file names of the images; each gets the annotations of its name, whatever folder and ending. Without any
        the file has to hold as many images as there are, and they are taken in its order.

    Raises:
        MissingFile: there is nothing. BadInput: it is no file of annotations, or does not fit the images.
    """
    frames, height, width = size
    if names and len(names) != frames:
        raise _uneven(names, frames)
    wanted = {stem(name) for name in names}
    images = _read(path, height, width, wanted or None)
    if not names and len(images) != frames:
        raise BadInput(
            f"path: {path.name} has {counted(len(images), 'image')}, and the batch {frames}; connect the "
            "names of Load Images."
        )
    by_name: dict[str, list[Annotated]] = {}
    for image in images:
        by_name.setdefault(stem(image.name), []).append(image)
    chosen = [_called(name, by_name.get(stem(name), [])) for name in names] if names else images
    objects, missing, left_out = [], [], []
    for frame, image in enumerate(chosen):
        if image is None:
            missing.append(f"no annotations for {names[frame]}")
            continue
        if (image.height, image.width) != (height, width):
            raise BadInput(
                f"path: {image.name} was annotated at {image.width} x {image.height} pixels, and the images have "
                f"{width} x {height}; load them at their own size."
            )
        objects += [item._replace(frame=frame) for item in image.objects]
        kinds = Counter(image.left_out)
        if kinds:
            told = ", ".join(f"{count} x {kind}" for kind, count in kinds.items())
            left_out.append(f"left out of {image.name}, as no objects: {told}")
    if names and len(missing) == frames:
        raise BadInput(f"names: {path.name} has annotations for none of the images; it has {_told(path, by_name)}.")
    return Loaded(Objects(tuple(objects), frames, height, width), (*missing, *left_out))


def _told(path: Path, by_name: Mapping[str, Any]) -> str:
    """What it has annotations for, of a folder also the images that were not asked for."""
    beside = sorted(file.stem for file in path.iterdir() if file.name != yolo.CLASSES) if path.is_dir() else ()
    return ", ".join(by_name or beside)[:80] or "none"


def _called(name: str, images: Sequence[Annotated]) -> Annotated | None:
    """The image of a file of this name: with folder and ending, where several have it without."""
    whole = [image for image in images if image.name == name]
    if len(images) > 1 and len(whole) != 1:
        raise BadInput(
            f"names: {len(images)} images of the file are called {stem(name)!r}, such as {images[0].name!r} and "
            f"{images[1].name!r}; give the names with their folders, as the file has them."
        )
    return next(iter(whole or images), None)


def _read(path: Path, height: int, width: int, wanted: set[str] | None) -> list[Annotated]:
    if not path.exists():
        raise MissingFile(f"path: there is no {path.name!r} in {path.parent}; put the file there.")
    if path.is_dir():
        found = sorted(file for file in path.iterdir() if file.suffix.lower() in (".txt", ".json") and file.is_file())
        if not found:
            raise MissingFile(f"path: {path} holds no .txt and no .json file; choose another folder.")
        found = [file for file in found if file.name != yolo.CLASSES]
        if not found:
            raise MissingFile(
                f"path: {path} holds {yolo.CLASSES} alone, the names of YOLO's classes, but no .txt file of any image; "
                "choose the folder that has those too."
            )
        named_so = [file for file in found if wanted is None or file.stem in wanted]
        return [image for file in named_so for image in _read(file, height, width, wanted)]
    if path.suffix.lower() == ".txt":
        classes = path.with_name(yolo.CLASSES)
        labels = [line.strip() for line in _text(classes).split("\n")] if classes.is_file() else []
        # With its ending, which `stem` takes off: the rest may hold full stops.
        return [yolo.read(_text(path), path.name, labels, height, width)]
    try:
        document = json.loads(_text(path))
    except (ValueError, RecursionError) as error:
        where = f" (line {error.lineno})" if isinstance(error, json.JSONDecodeError) else ""
        raise BadInput(f"path: {path.name} is no JSON{where}; choose a file of COCO, YOLO or LabelMe.") from None
    if isinstance(document, dict) and "shapes" in document:
        image = labelme.read(document)
        return [image] if wanted is None or stem(image.name) in wanted else [image._replace(name=path.name)]
    return coco.read(document, wanted)


def _text(path: Path) -> str:
    if path.stat().st_size > LARGEST:
        raise BadInput(f"path: {path.name} has more than {LARGEST:,} bytes; choose a smaller file.")
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise BadInput(f"path: {path.name} is no text; choose a file of COCO, YOLO or LabelMe.") from None
