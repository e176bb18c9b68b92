"""The paragraph of a paper that says how a leaderboard's numbers were taken, written from their provenance."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

from ..comparison.differences import INCONCLUSIVE, RESAMPLES
from ..extractors.inception import NAME as INCEPTION
from ..leaderboard import EXACT, Group, Leaderboard, Row
from ..literature.citations import entries
from ..metric import METRICS
from . import published_text

CITED: Final[Mapping[str, tuple[str, ...]]] = {
    "fid": ("heusel2017", "efron1982"),
    "fid_infinity": ("chong2020",),
    "kid": ("binkowski2018",),
    "mind": ("berthet2026",),
    "inception_score": ("salimans2016",),
    "sfid": ("nash2021",),
    "compound_fid": ("nunn2021",),
    "precision": ("kynkaanniemi2019",),
    "recall": ("kynkaanniemi2019",),
    "density": ("naeem2020",),
    "coverage": ("naeem2020",),
    "ssim": ("wang2004",),
    "ms_ssim": ("wang2003",),
    "lpips": ("zhang2018",),
    "clip_score": ("hessel2021",),
    "known_precision": ("lucic2018",),
    "known_recall": ("lucic2018",),
    "prompts_right": ("ghosh2023", "kamath2025"),
}
"""Metric -> keys of literature.citations."""
_KINDS: Final = {
    frozenset({"paired"}): "paired on shared seeds",
    frozenset({"independent"}): "independent, since no seeds are shared",
    frozenset({"paired", "independent"}): "paired where seeds are shared",
}
_ESCAPES: Final = str.maketrans({
    **{sign: f"\\{sign}" for sign in "_%&#${}"},
    "\\": "\\textbackslash{}",
    "~": "\\textasciitilde{}",
    "^": "\\textasciicircum{}",
})  # fmt: skip
SHOWN: Final = 12
"""Digits of an identity."""


class Methods(NamedTuple):
    """text: a paragraph for each way in which scores were taken, with citations as `\\cite{key}`. bibtex: of these."""

    text: str
    bibtex: str


def write_methods(board: Leaderboard) -> Methods:
    """What a reader needs to take the numbers again, and nothing that the provenance does not tell."""
    parts, cited = [], set()
    for group in board.groups:
        parts.append(" ".join(_group(group, board.sort_by)))
        cited |= {key for column in group.columns if _taken(group, column.key) for key in CITED.get(column.key, ())}
    if board.groups:
        parts.append(_bands(board))
        cited |= {"dufour2026"}
        cited |= {"hanley2006"} if any(_resampled(group) for group in board.groups) else set()
        cited |= {"szegedy2016"} if any(group.extractor == INCEPTION for group in board.groups) else set()
        cited |= {"parmar2022"} if any(group.taken_by.get("resize") == "clean" for group in board.groups) else set()
    if board.published:
        parts.append(_published(board))
    own = entries(cited)
    theirs = published_text.bibtex(board.published)
    return Methods("\n\n".join(parts), "\n\n".join(filter(None, [own, theirs])))


def _latex(text: str) -> str:
    """A name as LaTeX takes it, in one line."""
    return " ".join(text.split()).translate(_ESCAPES)


def _cite(*keys: str) -> str:
    return f" \\cite{{{','.join(dict.fromkeys(keys))}}}" if keys else ""


def _group(group: Group, sort_by: str) -> Iterator[str]:
    taken, told = group.taken_by, group.rows[0].scores.provenance
    count = len(group.rows)
    models = f"{count} model{'s' if count > 1 else ''}"
    if taken.get("of", "features") == "features" and group.extractor:
        yield from _of_features(group, models, told)
    else:
        yield f"We scored {models} as follows: {_latex(group.heading)}."
    metrics = [column for column in group.columns if METRICS[column.key].of_cost is None and _taken(group, column.key)]
    named = [f"{METRICS[column.key].name_by(group.extractor)}{_cite(*CITED.get(column.key, ()))}" for column in metrics]
    if named:
        ranked = f"rows are ranked by {METRICS[sort_by].name_by(group.extractor)}"
        yield f"We report {_listed(named)}; {ranked if _taken(group, sort_by) else 'rows are not ranked'}."
    yield from _settings(taken, {column.key for column in metrics})
    yield from _runs(group.rows)
    yield from _costs(group)
    yield _versions(group.rows)


def _taken(group: Group, key: str) -> bool:
    """Whether a row has a number; a column may hold but notes of why there is none."""
    return any(not math.isnan(METRICS[key].read(row.scores).value) for row in group.rows)


def _of_features(group: Group, models: str, told: Mapping[str, Any]) -> Iterator[str]:
    taken = group.taken_by
    extractor = f"{_latex(group.extractor)}{_cite('szegedy2016') if group.extractor == INCEPTION else ''}"
    resize = f"{taken['resize']}{_cite('parmar2022') if taken.get('resize') == 'clean' else ''}"
    reference = told.get("reference") or {}
    name = _latex(reference.get("name", "without a name"))
    size = f" of {reference['samples']:,} pictures" if reference.get("samples") else ""
    yield (
        f"We scored {models} on {taken.get('samples', 0):,} samples each against the reference set "
        f"{name}{size} (SHA-256 {_short(taken, 'reference_identity')}), by features "
        f"of {extractor} (weights {_short(taken, 'identity')}, resize {resize})."
    )
    rows = taken.get("rows", 0)
    if rows and rows != taken.get("samples"):
        yield f"Of these the rows of {rows:,} are kept, chosen by a hash with the seed {taken.get('rows_seed')}."


def _short(taken: Mapping[str, Any], name: str) -> str:
    return str(taken.get(name, "not told"))[:SHOWN]


def _settings(taken: Mapping[str, Any], metrics: set[str]) -> Iterator[str]:
    if "kid" in metrics and taken.get("kid_subsets"):
        yield f"KID is the mean over {taken['kid_subsets']} subsets of {taken['kid_subset_size']:,} rows."
    if metrics & {"precision", "recall", "density", "coverage"} and taken.get("nearest_k"):
        sides = {"open": "below", "closed": "at most at"}
        side = sides.get(taken.get("neighbourhood", ""), "below")
        yield f"Neighbourhoods reach to the k-th nearest sample, k = {taken['nearest_k']}, distances {side} the radius."
    if "inception_score" in metrics and taken.get("splits"):
        yield f"IS is the mean over {taken['splits']} splits."


def _runs(rows: Sequence[Row]) -> Iterator[str]:
    seeds = {told["seed"] for row in rows for told in [row.scores.provenance] if "seed" in told and not row.runs}
    if len(seeds) == 1:
        (seed,) = seeds
        yield f"Sample i of every model was drawn with the seed {seed} + i."
    elif seeds:
        yield f"Samples were drawn with seeds from {', '.join(map(str, sorted(seeds)))} on."
    several = [_latex(row.name) for row in rows if row.runs]
    if several:
        yield f"Of {_listed(several)} the mean over the runs is given, with its standard deviation."


def _costs(group: Group) -> Iterator[str]:
    told = [row.scores.provenance for row in group.rows if "seconds_per_image" in row.scores.cost]
    devices = sorted({device for each in told if (device := each.get("device"))})
    if told:
        where = f" on {_listed([_latex(device) for device in devices])}" if devices else ""
        batches = sorted({each["batch_size"] for each in told if "batch_size" in each})
        size = f" in batches of {_listed([f'{count:,}' for count in batches])}" if batches else ""
        yield f"Images per second are those of the median batch{where}{size}, without the first."


def _versions(rows: Sequence[Row]) -> str:
    found = {
        name: sorted({str(told[name]) for row in rows if name in (told := row.scores.provenance.get("versions") or {})})
        for name in ("trilemma", "torch")
    }
    names = {"trilemma": "ComfyUI-Trilemma", "torch": "PyTorch"}
    told = [f"{names[name]} {' and '.join(versions)}" for name, versions in found.items() if versions]
    return f"Scores were taken with {_listed(told)}." if told else "The versions of the software are not told."


def _bands(board: Leaderboard) -> str:
    text = "Rows share a rank where "
    if board.sort_by in EXACT:
        return f"{text}they are equal."
    resampled = ""
    if any(_resampled(group) for group in board.groups):
        ways = frozenset(each.how for group in board.groups for each in group.differences)
        kinds = _KINDS[ways & {"paired", "independent"}]
        resampled = f" ({RESAMPLES:,} resamples with Poisson weights{_cite('hanley2006')}, {kinds})"
    return (
        f"{text}their gap is not beyond its 95 % interval{resampled}, or not beyond {INCONCLUSIVE:.1%} of the larger "
        f"value, below which a gap is inconclusive{_cite('dufour2026')}."
    ).replace("%", "\\%")


def _resampled(group: Group) -> bool:
    return any(each.how in ("paired", "independent") for each in group.differences)


def _published(board: Leaderboard) -> str:
    sources = [
        f"{_latex(table.title)} ({_latex(table.data_set)}){_cite(table.cite) if table.cite else ''}"
        for table in board.published
    ]
    return f"Published values are quoted, not measured, and not ranked among ours: {_listed(sources)}."


def _listed(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
