"""What the widgets say, in every language: the tables of web/texts/ against each other and against the JavaScript."""

import json
import re
from pathlib import Path

import pytest
from trilemma.locales import generate
from trilemma.nodes import NODE_DISPLAY_NAME_MAPPINGS
from trilemma.tests.test_locales import SCRIPT, SIMPLIFIED, in_every_language, titles_in

WEB = Path(__file__).resolve().parents[2] / "web"
TABLES = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in (WEB / "texts").iterdir()}
ENGLISH = TABLES["en"]
LITERAL = re.compile(
    r"""//[^\n]*|/\*.*?\*/|"((?:[^"\\\n]|\\.)*)"|'((?:[^'\\\n]|\\.)*)'|`((?:[^`\\]|\\.)*)`""", re.DOTALL
)
SAID = re.compile(r"\bsay\(((?:\"[^\"]*\"|[^(),{])*)")
"""The first argument."""
NO_TEXTS = (
    r"Trilemma[.\w{}]*|Comfy\.Locale|Interpolate|EditLatent|Reroute",  # names of nodes, extensions and settings
    r"Enter|Delete|Backspace|Escape",  # keys
    r"position: fixed; opacity: 0|display: contents|min-height: \{\}px|11px sans-serif",  # styles
    r"[.\w]*trilemma-[\w -]+|mark front|(?:[a-z]+ )+contextmenu",  # classes, events
)
ATTRIBUTE = re.compile(r"""\b(?:title|alt|aria-label)"?: ["'`][^"'`$]*[A-Za-z]""")


def literals(path):
    found = (next(filter(None, match), "") for match in LITERAL.findall(path.read_text(encoding="utf-8")))
    return [re.sub(r"\$\{[^}]*\}", "{}", text) for text in found]


def reads_as_text(literal):
    """Two words, or one with a capital."""
    words = re.search(r"[A-Za-z]{2}[,.:;]* +[A-Za-z]{2}", literal) or re.match(r"[A-Z][a-z]", literal)
    return bool(words) and not any(re.fullmatch(form, literal) for form in NO_TEXTS)


def test_every_language_of_the_nodes_has_its_texts():
    assert sorted(TABLES) == sorted(["en", *generate.LANGUAGES])
    assert f"LANGUAGES = {json.dumps(['en', *generate.LANGUAGES])}" in (WEB / "lib" / "texts.js").read_text()


def test_what_is_said_has_a_text_and_every_text_is_said():
    sources = [path.read_text(encoding="utf-8") for path in WEB.rglob("*.js")]
    first_arguments = [first for source in sources for first in SAID.findall(source)]
    said = {key for first in first_arguments for equal, key in re.findall('(=== )?"([^"]*)"', first) if not equal}
    assert said and not said - ENGLISH.keys()
    named = {text for path in WEB.rglob("*.js") for text in literals(path)}
    assert not {key for key in ENGLISH if key.removesuffix("_label") not in named}


@pytest.mark.parametrize("path", sorted(WEB.rglob("*.js")), ids=lambda path: path.name)
def test_no_text_stands_in_the_javascript(path):
    assert not [text for text in literals(path) if reads_as_text(text)]
    assert not ATTRIBUTE.findall(path.read_text(encoding="utf-8"))


def test_a_text_in_the_javascript_would_be_found():
    assert reads_as_text("the first {} of {} images") and reads_as_text("Preview") and reads_as_text("Click: a point")
    assert ATTRIBUTE.search('{ title: "clear" }') and ATTRIBUTE.search('"aria-label": `sort by ${name}`')


@in_every_language
def test_tables_have_the_same_keys_in_the_same_order_and_name_the_same_facts(language):
    assert list(TABLES[language]) == list(ENGLISH)
    names = {key: sorted(re.findall(r"\{\w+\}", text)) for key, text in ENGLISH.items()}
    assert {key: sorted(re.findall(r"\{\w+\}", text)) for key, text in TABLES[language].items()} == names
    assert all(
        re.sub(r"\{\w+\}", "", text).isprintable() and text.strip() == text for text in TABLES[language].values()
    )


@in_every_language
def test_texts_are_in_their_language(language):
    table = TABLES[language]
    assert not [text for text in table.values() if not re.search(SCRIPT[language], text, re.IGNORECASE)]
    if language == "zh-TW":
        assert not [text for text in table.values() if set(text) & set(SIMPLIFIED)]


@in_every_language
def test_texts_name_nodes_by_their_titles(language):
    titles = generate.table(language)
    for key, text in ENGLISH.items():
        for title in titles_in(text) & set(NODE_DISPLAY_NAME_MAPPINGS.values()):
            assert re.search(f"[“「«]{re.escape(titles[title])}[”」»]", TABLES[language][key]), (key, title)
