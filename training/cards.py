"""Model cards: the figures that `python -m training.evaluate` measured, beside the weights that they belong to."""

import json
from collections.abc import Mapping
from pathlib import Path

BEGIN = "<!-- figures: written by `python -m training.evaluate` -->"
END = "<!-- end of figures -->"
Figures = Mapping[str, float]


def write_figures(folder: Path, figures: Figures) -> None:
    """Write `folder`/figures.json, and the same figures as a table into the marked place of `folder`/README.md."""
    (folder / "figures.json").write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    card = folder / "README.md"
    text = card.read_text(encoding="utf-8")
    before, rest = text.split(BEGIN)
    after = rest.split(END)[1]
    rows = [f"| {name} | {_format(value)} |" for name, value in figures.items()]
    table = "\n".join(["| held-out figure | value |", "|---|---|", *rows])
    card.write_text(f"{before}{BEGIN}\n\n{table}\n\n{END}{after}", encoding="utf-8")


def _format(value: float) -> str:
    return str(value) if isinstance(value, int) else f"{value:.3f}"
