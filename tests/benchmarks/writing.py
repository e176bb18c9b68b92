"""BENCHMARKS.md: the tables of each benchmark, between two marks with its name, with what they were measured on."""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Sequence
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import Final

import torch
from trilemma.tests.benchmarks.tables import Table

FILE: Final = Path(__file__).parents[2] / "BENCHMARKS.md"
PACKAGES: Final = ("torch", "numpy", "diffusers", "transformers", "torchmetrics", "segment-anything")


def names_in(text: str) -> list[str]:
    """The benchmarks that a document has a place for, in its order."""
    return re.findall(r"^<!-- ([a-z_]+) -->$", text, re.MULTILINE)


def with_tables(text: str, name: str, tables: Sequence[Table], measured_on: str) -> str:
    """The document with these tables in the place of those that the benchmark gave before.

    ValueError: it has no such place.
    """
    mark, end = f"<!-- {name} -->\n", f"<!-- /{name} -->\n"
    before, found, rest = text.partition(mark)
    _, closed, after = rest.partition(end)
    if not (found and closed):
        raise ValueError(f"{name}: the document has no lines {mark.strip()} and {end.strip()}")
    told = f"`python -m tests.benchmarks {name}`: {measured_on}"
    return "".join((before, mark, "\n".join(f"{table}\n" for table in tables), f"\n{told}\n", end, after))


def write(name: str, tables: Sequence[Table], measured_on: str) -> None:
    """Into the file, which is replaced as a whole."""
    part = FILE.with_suffix(".part")
    part.write_text(with_tables(FILE.read_text(encoding="utf-8"), name, tables, measured_on), encoding="utf-8")
    part.replace(FILE)


def machine() -> str:
    """The processor, its load by what else runs, the card if there is one, versions and the day."""
    load = f"load {os.getloadavg()[0]:.1f} at the start, " if hasattr(os, "getloadavg") else ""
    card = f"{torch.cuda.get_device_name()}, " if torch.cuda.is_available() else ""
    versions = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    cores = f"one thread of {os.cpu_count()} cores"
    return f"{_processor()}, {cores}, {load}{card}Python {platform.python_version()}, {versions}, {date.today()}."


def _processor() -> str:
    told = Path("/proc/cpuinfo")
    models = re.findall(r"^model name\s*: (.*)$", told.read_text(), re.MULTILINE) if told.is_file() else []
    return models[0] if models else platform.processor() or platform.machine()
