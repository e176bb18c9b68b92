"""What the loaders find on this machine, for who wonders why one does not: `headless.py doctor`."""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final

from ... import host
from ...models.files import catalog
from ...models.inventory import Item, Reader, look, with_parts
from ...models.version import VERSION
from .loading import ModelLoader

PACKAGES: Final = ("torch", "diffusers", "transformers", "safetensors", "numpy", "pillow", "matplotlib")
UNITS: Final = ("bytes", "KB", "MB", "GB")


def examine(nodes: Iterable[tuple[str, type]], on_file: Callable[[str], None]) -> dict[str, Any]:
    """All that JSON knows of it: the versions, the device, the folders, each model file, and the published ones that
    are not here. nodes: titles and classes. on_file: called with the name of each file before it is read."""
    loaders = {title: node for title, node in nodes if issubclass(node, ModelLoader)}
    items = _items(loaders, on_file)
    return {
        "trilemma": VERSION,
        "host": host.version(),
        "python": platform.python_version(),
        "packages": {name: _version(name) for name in PACKAGES},
        "device": str(host.compute_device()),
        "folders": {
            key: str(host.model_folder(key)) for key in sorted({item.folder for item in items} | _keys(loaders))
        },
        "models": [_told(item) for item in items],
        "absent": _absent(loaders, items),
    }


def page(found: dict[str, Any]) -> str:
    """The same, to read."""
    packages = ", ".join(f"{name} {number or 'is not installed'}" for name, number in found["packages"].items())
    lines = [
        f"ComfyUI-Trilemma {found['trilemma']}, {found['host']}, Python {found['python']}",
        packages,
        f"device: {found['device']}",
        "",
        "Model files",
    ]
    for key, place in found["folders"].items():
        here = [model for model in found["models"] if model["folder"] == key]
        lines.append(f"  {key}: {place}{'' if Path(place).is_dir() else ' (no such folder yet)'}")
        lines += [f"    {_line(model)}" for model in here] or ["    nothing that a loader lists"]
    if found["absent"]:
        lines += ["", "Published files that are not here"]
        lines += [f"  {file['kind']}: {_wanted(file)}" for file in found["absent"]]
    return "\n".join(lines)


def _told(item: Item) -> dict[str, Any]:
    size = sum(file.stat().st_size for file in item.files if file.is_file())
    return {
        **item._asdict(),
        "path": str(item.path),
        "files": [str(file) for file in item.files],
        "bytes": size,
        "notes": list(item.notes),
        "part_of": list(item.part_of),
    }


def _keys(loaders: dict[str, type[ModelLoader]]) -> set[str]:
    return {source.key for loader in loaders.values() for source in loader.SOURCES}


def _items(loaders: dict[str, type[ModelLoader]], on_file: Callable[[str], None]) -> list[Item]:
    """Every name that a loader lists, once for its folder, with all loaders that do."""
    readers: dict[tuple[str, str], list[Reader]] = {}
    for title, loader in loaders.items():
        for source in loader.SOURCES:
            for name in source.names():
                readers.setdefault((source.key, name), []).append(Reader(title, loader.REGISTRY))
    items = []
    for (key, name), listing in sorted(readers.items(), key=lambda entry: entry[0]):
        on_file(f"{key}: {name}")
        items.append(look(name, key, host.model_path(key, name), listing))
    return with_parts(items)


def _absent(loaders: dict[str, type[ModelLoader]], items: list[Item]) -> list[dict[str, Any]]:
    here = {Path(item.name).name for item in items}
    return [
        {
            "kind": loader.KIND,
            "name": file.name,
            "source": file.source,
            "bytes": file.bytes,
            "sha256": file.sha256,
            "folder": str(host.model_folder(file.folder or loader.SOURCES[0].key)),
        }
        for loader in loaders.values()
        for file in catalog.PUBLISHED[loader.KIND]
        if file.name not in here
    ]


def _line(model: dict[str, Any]) -> str:
    if model["problem"]:
        return f"{model['name']}: NOT READ. {model['problem']}"
    if model["part_of"]:
        return f"{model['name']}: belongs to {' and '.join(model['part_of'])}"
    by_family: dict[str, list[str]] = {}
    for title, family in model["families"].items():
        by_family.setdefault(family, []).append(title)
    told = "; ".join(f"{family}, for {' and '.join(titles)}" for family, titles in by_family.items())
    notes = f" ({'; '.join(model['notes'])})" if model["notes"] else ""
    return f"{model['name']}: {told}, {_size(model['bytes'])}{notes}"


def _wanted(file: dict[str, Any]) -> str:
    size = f", {_size(file['bytes'])}" if file["bytes"] else ""
    return f"{file['name']}{size}, from {file['source']}; it goes into {file['folder']}"


def _size(count: float) -> str:
    for unit in UNITS[:-1]:
        if count < 1000:
            return f"{count:.0f} {unit}"
        count /= 1000
    return f"{count:.1f} {UNITS[-1]}"


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""
