"""What a file is by its first bytes, whatever its name ends in."""

from __future__ import annotations

from pathlib import Path
from typing import Final, Literal

from ..errors import BadCheckpoint

Kind = Literal["safetensors", "zip", "pickle"]

HEAD: Final = 512
MAX_HEADER: Final = 100_000_000
"""Bytes of a safetensors header, by the format's own rule."""

MAGIC: Final = {
    b"\x1f\x8b": "a gzip archive: unpack it first",
    b"7z\xbc\xaf": "a 7-Zip archive: unpack it first",
    b"Rar!": "a RAR archive: unpack it first",
    b"\x89HDF": "an HDF5 file of Keras: its weights are not PyTorch's",
    b"GGUF": "a GGUF file: quantised for other programs; use the safetensors version",
    b"\x93NUMPY": "a NumPy array, no checkpoint",
    b"\x89PNG": "a PNG picture",
    b"\xff\xd8\xff": "a JPEG picture",
    b"RIFF": "a picture or a sound",
    b"%PDF": "a PDF document",
    b"\x08\x07": "an ONNX network: its weights cannot be taken out here",
    b"\x08\x08": "an ONNX network: its weights cannot be taken out here",
}


def kind_of(path: Path) -> Kind:
    """How to read a file.

    Raises:
        BadCheckpoint: it is empty, or of a kind that holds no weights (an unfinished or wrong download, as a rule);
            or its ending promises safetensors and its content is not, or the reverse.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(HEAD)
        file.seek(max(0, size - 1))
        last = file.read(1)
    named_safe = path.suffix.lower() == ".safetensors"
    found = _kind(head, last, size)
    if found is None:
        raise BadCheckpoint(f"it is {description(head, size)}.")
    if named_safe and found != "safetensors":
        raise BadCheckpoint(
            "it is no safetensors file but a PyTorch one, whose reading other programs trust less; name it .pth, or "
            "convert it."
        )
    if found == "safetensors" and not named_safe:
        raise BadCheckpoint(f"it is a safetensors file; name it {path.stem}.safetensors.")
    return found


def _kind(head: bytes, last: bytes, size: int) -> Kind | None:
    if head.startswith(b"PK\x03\x04"):
        return "zip"
    # Before pickles: the length of a header may begin with any byte, theirs included.
    if head[8:9] == b"{" and int.from_bytes(head[:8], "little") <= MAX_HEADER:
        return "safetensors"
    # A pickle of protocol 2 and later; older ones are text that ends in a full stop.
    if head[:1] == b"\x80" or (head[:1] in b"(c}])lI" and head and last == b"."):
        return "pickle"
    return None


def description(head: bytes, size: int) -> str:
    """What a file of so many bytes, none of the pack's kinds, is by its first ones, and what to do."""
    if not head:
        return "empty (0 bytes): download it again"
    if head.startswith(b"version https://git-lfs"):
        return (
            f"a Git LFS pointer ({size} bytes) that stands for the real file: fetch that with 'git lfs pull', or "
            "download it from the page"
        )
    if head.lstrip().lower().startswith((b"<!doctype html", b"<html", b"<?xml")):
        return f"a web page ({size} bytes), not what it linked to: download it again, signed in if need be"
    for magic, description in MAGIC.items():
        if head.startswith(magic):
            return description
    if head[257:262] == b"ustar":
        return "a tar archive: unpack it first (PyTorch before 0.2 saved such, which are not read)"
    if head.isascii() and head.decode().replace("\n", " ").replace("\r", " ").replace("\t", " ").isprintable():
        beginning = " ".join(head[:60].decode().split())
        return f"a text file ({size} bytes; it begins {beginning!r}), no checkpoint"
    return f"no checkpoint ({size} bytes that begin {head[:8].hex(' ')}): it is damaged, or of an unknown format"
