"""The published files that a loader knows: the last section of its help in each language, written by `make names`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from ..models.files import catalog
from ..nodes.common.loading import ModelLoader

DOCS = Path(__file__).resolve().parents[1] / "web" / "docs"
HEADINGS = {"en": "Published files", "zh": "已发布的文件", "zh-TW": "已發布的檔案", "ru": "Опубликованные файлы"}
BYTES = {"en": "bytes", "zh": "字节", "zh-TW": "位元組", "ru": "байт"}


def loaders(nodes: Mapping[str, type]) -> dict[str, type[ModelLoader]]:
    """The nodes that load published files."""
    return {
        name: node for name, node in nodes.items() if issubclass(node, ModelLoader) and catalog.PUBLISHED[node.KIND]
    }


def section(loader: type[ModelLoader], language: str) -> str:
    """Markdown, from its heading on: of each file name, size, licence, folder, address and hash."""
    lines = [f"## {HEADINGS[language]}"]
    for file in catalog.PUBLISHED[loader.KIND]:
        size = f"{file.bytes:,} {BYTES[language]}, " if file.bytes else ""
        folder = file.folder or loader.SOURCES[0].key
        lines.append(f"- `{file.name}` ({size}{file.licence}) -> `models/{folder}`: {file.source}")
        if file.sha256:
            lines.append(f"  SHA-256 `{file.sha256}`")
    return "\n".join(lines) + "\n"


def pages(nodes: Mapping[str, type]) -> Iterator[tuple[Path, str]]:
    """Each page of each loader, and what it shall be."""
    for name, loader in loaders(nodes).items():
        for language, heading in HEADINGS.items():
            path = DOCS / f"{name}.md" if language == "en" else DOCS / name / f"{language}.md"
            text = path.read_text(encoding="utf-8").split(f"\n## {heading}\n")[0].rstrip("\n")
            yield path, f"{text}\n\n{section(loader, language)}"


def write(nodes: Mapping[str, type]) -> None:
    for path, text in pages(nodes):
        path.write_text(text, encoding="utf-8", newline="\n")
