"""What the examples drew and said when somebody last looked: their pictures and reports, as they are stored beside the
other fixtures. A change of numbers is seen, wherever it comes from; whoever means it writes them anew:

    python -m pytest tests/examples --write-baselines

Pictures are compared by a graph of the pack's own nodes, Compare Images and Score Gate; reports word by word, numbers
at a tolerance, since other processors round otherwise.
"""

import json
import math
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from PIL import Image
from trilemma import NODE_CLASS_MAPPINGS
from trilemma.host import core_nodes, graph, standalone

FOLDER = Path(__file__).resolve().parents[1] / "fixtures" / "baselines"
OF_COSTS = ("Trilemma", "Table")
"""Titles of nodes whose pictures show how fast the machine was."""
CELL, COLUMNS = 96, 8
PSNR = 30.0
"""dB, of the whole sheet: rounding of another processor leaves more than 50."""
RELATIVE, ABSOLUTE = 0.02, 0.006
NUMBER = re.compile(r"(?<![\w.])-?\d[\d,]*(?:\.\d+)?(?:e-?\d+)?(?![\w])")
UNSTEADY = re.compile(r"second|\bms\b|\bMB\b|\bmin\b|bytes|\d s\b|/s\b|^\||\S {2,}\S.* {2,}\S|at infinity")
"""Lines that measure the machine, tables, which do so among others, and what few samples leave to chance."""


def check(name: str, outputs: Mapping[str, Any], write: bool) -> None:
    """Hold what a run showed, {node: {title, images, text}}, to the baseline `name`; or write it."""
    told = json.dumps(dict(_told(outputs)), indent=1, ensure_ascii=False) + "\n"
    sheet = _sheet(outputs)
    text_file, sheet_file = FOLDER / f"{name}.json", FOLDER / f"{name}.png"
    if write:
        FOLDER.mkdir(exist_ok=True)
        text_file.write_text(told, encoding="utf-8")
        if sheet is not None:
            sheet.save(sheet_file, optimize=True)
        return
    assert text_file.exists(), f"no baseline {name}: look at what it draws, then run with --write-baselines"
    stored = json.loads(text_file.read_text(encoding="utf-8"))
    for title, lines in _told(outputs):
        assert title in stored, f"{title} said nothing when the baseline was written"
        _compare_lines(title, stored[title], lines)
    assert stored.keys() == dict(_told(outputs)).keys()
    assert (sheet is not None) == sheet_file.exists()
    if sheet is not None:
        _gate(name, sheet_file, sheet)


def _told(outputs: Mapping[str, Any]) -> Iterator[tuple[str, list[str]]]:
    """Title and lines of what each node reports; without the lines that are never the same twice."""
    for node in sorted(outputs, key=_place):
        shown = outputs[node]
        lines = [line for text in shown.get("text", []) for line in text.splitlines()]
        kept = [line for line in lines if not UNSTEADY.search(line)]
        if kept:
            yield f"{node} {shown['title']}", kept


def _place(node: str) -> list[int]:
    """Of a node among others: 5, or 5:1 for the first within a subgraph."""
    return [int(part) for part in node.split(":")]


def _compare_lines(title: str, stored: list[str], lines: list[str]) -> None:
    assert len(lines) == len(stored), f"{title}: {lines} instead of {stored}"
    for old, new in zip(stored, lines, strict=True):
        assert NUMBER.sub("#", new) == NUMBER.sub("#", old), f"{title}: {new!r} instead of {old!r}"
        for before, now in zip(NUMBER.findall(old), NUMBER.findall(new), strict=True):
            values = float(before.replace(",", "")), float(now.replace(",", ""))
            assert math.isclose(*values, rel_tol=RELATIVE, abs_tol=ABSOLUTE), f"{title}: {new!r} instead of {old!r}"


def _sheet(outputs: Mapping[str, Any]) -> Image.Image | None:
    """All pictures of a run, small, side by side; None where there are none."""
    steady = (node for node in sorted(outputs, key=_place) if outputs[node]["title"] not in OF_COSTS)
    paths = [path for node in steady for path in outputs[node].get("images", [])]
    if not paths:
        return None
    rows = math.ceil(len(paths) / COLUMNS)
    sheet = Image.new("RGB", (min(len(paths), COLUMNS) * CELL, rows * CELL))
    for place, path in enumerate(paths):
        with Image.open(path) as picture:
            small = picture.convert("RGB").resize((CELL, CELL), Image.Resampling.BOX)
        sheet.paste(small, (place % COLUMNS * CELL, place // COLUMNS * CELL))
    return sheet


def _gate(name: str, stored: Path, sheet: Image.Image) -> None:
    """Run a graph that fails where the two differ."""
    with tempfile.TemporaryDirectory() as folder:
        sheet.save(Path(folder) / "drawn.png")
        shutil.copy(stored, Path(folder) / "baseline.png")
        standalone.use_folders(input=Path(folder))
        compared = {"reference": ["1", 0], "image": ["2", 0], "lpips": "none", "gain": 4.0}
        gated = {"name": name, "metric": "psnr", "comparison": "at least", "threshold": PSNR, "scores": ["3", 5]}
        graph.run(
            {
                "1": {"class_type": "LoadImage", "inputs": {"image": "baseline.png"}},
                "2": {"class_type": "LoadImage", "inputs": {"image": "drawn.png"}},
                "3": {"class_type": "TrilemmaCompareImages", "inputs": compared},
                "4": {"class_type": "TrilemmaScoreGate", "inputs": gated},
            },
            {**core_nodes.NODES, **NODE_CLASS_MAPPINGS},
        )
