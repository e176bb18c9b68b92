"""Values that no input expects, and texts damaged as hands and programs damage them."""

from __future__ import annotations

import random
from typing import Any

LONG = 100_000

VALUES: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 3, 0.25, 2**70, "", " ", "text", "7", "-0.5", "nan", "1e400", {}, {"a": 1}, "x" * LONG),
    *({"__value__": []}, {"__value__": [1, 2]}, {"__value__": None}, {"__value__": {"__value__": [1]}}, float("nan")),
    *({"x": 4, "y": 4, "width": 9, "height": 9}, {"x": -4, "y": "4", "width": 0, "height": None}, {"x": 1}),
    {"__value__": [{"x": 4, "y": 4, "width": 9, "height": 9}, {"x": 1e9, "y": 1, "width": float("inf"), "height": -2}]},
    {"__value__": [[{"x": 4, "y": 4, "width": 9, "height": 9}], []]},
    {"__value__": [[[4, 4, 9, 9]], "box"]},
)

TEXTS: tuple[str, ...] = (
    *(
        "",
        " ",
        "\n\n",
        "\t",
        ",",
        ",,",
        ".",
        "..",
        "-",
        "0",
        "-1",
        "1.5",
        "nan",
        "inf",
        "1e999",
        "9" * 400,
        "²",
        "٣",
        "½",
    ),
    *("1,2,,3", "1;2", "1-", "5-2", "0-999999999", "0-1e9", "1..3", "all", "[all]", "None", "null", "true", "{}", "[]"),
    *("[null]", "[true]", "[[1,2],[3]]", "[[[]]]", '[{"x": 1}]', '[{"x": "a", "y": 2}]', '[{"x": 1e999, "y": -5}]'),
    *('[{"x": NaN, "y": 1}]', '[{"x": 8, "y": 8}]', '[{"x": -1e9, "y": 1e9}]', '{"x": 8, "y": 8}', '"text"', "[1, 2]"),
    *('[{"x": 1, "y": 1, "width": -3, "height": 2}]', '[{"x": 0, "y": 0, "width": 1e9, "height": 1e9}]', "[[8, 8]]"),
    *("[" * LONG, '{"a":' * 5000, "{" * 3, "]", '{"a": 1', "\x00", "a\x00b", "\ud800", "\udfff x", "\u202edots", "é́́"),
    *("ддлпю", "狐" * 200, "🦊🐧", "x" * LONG, "word " * 20_000, "dot. " * 3000, "\n".join(map(str, range(3000)))),
    *(
        "%date:yyyy%",
        "%width%",
        "%x",
        "{0}",
        "{x!r}",
        "%s%n",
        "$HOME",
        "~",
        "<script>",
        "'; drop",
        '"',
        "\\",
        "\\u0000",
    ),
    *("../x", "/etc/passwd", "C:\\x", "con", "a/b/c", "pictures", "notes.json", "example.png", "more/../pictures"),
    *('{"tag": "counting", "include": [{"class": "dot", "count": 2}]}', '{"include": [{"count": "two"}]}'),
    *('{"tag": 5, "include": {"class": []}, "prompt": null}', '{"include": [{"class": "dot", "count": -1}]}', "[{}]"),
    *("ddim25", "10,10,3", "ddim", "ddim0", "ddim-1", "0,0", "1000000", "truncation_psi=0.5", "0.1, 0.2", "0.5, x"),
)


def damaged(text: str, rng: random.Random) -> str:
    """The text with a piece cut off, doubled, put elsewhere, or with characters that do not belong there."""
    if not text:
        return rng.choice(TEXTS)
    at, to = sorted((rng.randrange(len(text) + 1), rng.randrange(len(text) + 1)))
    return rng.choice(
        (
            text[:at],
            text[at:],
            text[:at] + text[to:],
            text + text[at:to] * 3,
            text[:at] + rng.choice('[]{}",:-.0e \n\x00é²') + text[at:],
            text.replace('"', "'"),
            text.replace(",", ";"),
            text.upper(),
            f"{text}\n{text}",
            text[:at] + rng.choice(("1e999", "NaN", "null", "-1", '"x"', "{}")) + text[to:],
        )
    )
