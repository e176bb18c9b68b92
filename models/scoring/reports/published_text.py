"""Published rows as Markdown and JSON: what the literature states, under what was measured."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from ..literature.tables import COLUMNS, STATED, PublishedTable, WithPeople, agreements
from ..scores import finite_or_none
from .numbers import ABSENT

RULE = (
    "As published, and not measured here: data set, samples and extractor are the source's. These rows compare within "
    "one table, and with no measured row."
)


def label(key: str) -> str:
    """How tables call a column."""
    return STATED[key].label if key in STATED else COLUMNS[key].label


def value(number: float) -> str:
    """A number as it was stated: in full, with the thousands of large ones set apart."""
    if math.isnan(number):
        return ABSENT
    return f"{number:,.0f}" if number >= 10_000 else f"{number:g}"


def to_markdown(tables: Sequence[PublishedTable]) -> str:
    """A table for each, with its source; and how well metrics agree with people, where these were asked."""
    if not tables:
        return ""
    return "\n\n".join([RULE, *map(_table, tables), *_people(tables)]) + "\n"


def _table(table: PublishedTable) -> str:
    header = ["system", "family", *(label(key) for key in table.columns)]
    lines = [
        f"**{_escaped(table.title)}**: {_escaped(about(table))}",
        "",
        _line(header),
        _line([":--", ":--", *("--:" for _ in table.columns)]),
        *(
            _line([row.system, row.family, *(value(row.values.get(key, math.nan)) for key in table.columns)])
            for row in table.rows
        ),
    ]
    notes = [f"- {_escaped(row.system)}: {_escaped(row.note)}" for row in table.rows if row.note]
    return "\n".join([*lines, *(["", *notes] if notes else [])])


def about(table: PublishedTable) -> str:
    """Where a table is from, in one line."""
    parts = [
        table.source,
        f"data set {table.data_set}",
        f"samples: {table.samples}",
        f"extractor: {table.extractor}",
        *([f"licence: {table.licence}"] if table.licence else []),
        *([table.note] if table.note else []),
    ]
    return "; ".join(part.rstrip(".") for part in parts)


def _people(tables: Sequence[PublishedTable]) -> list[str]:
    found = agreements(tables)
    if not found:
        return []
    rows = [_line([each.table.data_set, label(each.metric), *_numbers(each)]) for each in found]
    header = [
        _line(["data set", "metric", "Kendall's tau with people", "p", "systems"]),
        _line([":--", ":--", "--:", "--:", "--:"]),
    ]
    title = "**How well each metric agrees with people**: 1 is the same order, 0 none, -1 the reverse."
    return ["\n".join([title, "", *header, *rows])]


def _numbers(each: WithPeople) -> list[str]:
    tau, p, count = each.agreement
    return [ABSENT if math.isnan(tau) else f"{tau:.2f}", ABSENT if math.isnan(p) else f"{p:.2g}", str(count)]


def people_lines(tables: Sequence[PublishedTable]) -> list[str]:
    """The same as sentences."""
    return [
        f"{each.table.data_set}: {label(each.metric)} agrees with people by Kendall's tau = "
        f"{each.agreement.tau:.2f} over {each.agreement.count} systems."
        for each in agreements(tables)
        if not math.isnan(each.agreement.tau)
    ]


def plain(tables: Sequence[PublishedTable]) -> dict[str, Any]:
    """Everything, in values that JSON knows."""
    people = [
        {
            "table": each.table.key or each.table.title,
            "metric": each.metric,
            "kendall_tau": finite_or_none(each.agreement.tau),
            "p": finite_or_none(each.agreement.p),
            "systems": each.agreement.count,
        }
        for each in agreements(tables)
    ]
    return {"tables": [asdict(table) for table in tables], "agreement_with_people": people}


def to_json(tables: Sequence[PublishedTable]) -> str:
    """`plain` as JSON."""
    return json.dumps(plain(tables), indent=2, ensure_ascii=False, allow_nan=False)


def bibtex(tables: Sequence[PublishedTable]) -> str:
    """The entries of all sources, each once."""
    return "\n\n".join(dict.fromkeys(table.bibtex for table in tables if table.bibtex))


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(_escaped(text) for text in cells)} |"


def _escaped(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
