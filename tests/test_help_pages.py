"""The help pages: a picture, and lists, which the page's narrow panel does not cut as it cuts tables, of every
input and output.

The host shows web/docs/<id>/<locale>.md where there is one, else web/docs/<id>.md.
"""

import re
from pathlib import Path

import pytest
from PIL import Image
from trilemma.locales import generate
from trilemma.nodes import NODE_CLASS_MAPPINGS, NODE_DISPLAY_NAME_MAPPINGS

PAGES = Path(__file__).resolve().parents[1] / "web" / "docs"
NODES = sorted(NODE_CLASS_MAPPINGS)
NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
PICTURE = re.compile(r"^!\[([^\]]+)\]\((.+)\)$", re.MULTILINE)
SCRIPTS = {"en": "[a-z]", "zh": "[\u4e00-\u9fff]", "zh-TW": "[\u4e00-\u9fff]", "ru": "[\u0430-\u044f]"}
"""Letters of each language."""
PICTURE_WIDTH, PICTURE_KB, PICTURES_MB = 480, 48, 1.5

of_every_node = pytest.mark.parametrize("name", NODES)
in_every_language = pytest.mark.parametrize("language", generate.LANGUAGES)


def interface(name: str) -> tuple[list[str], list[str]]:
    sections = NODE_CLASS_MAPPINGS[name].INPUT_TYPES()
    return [*sections.get("required", {}), *sections.get("optional", {})], list(NODE_CLASS_MAPPINGS[name].RETURN_NAMES)


def sections(text: str) -> list[str]:
    """What stands under each heading of the second level."""
    return re.split(r"^## .*$", text, flags=re.MULTILINE)[1:]


def listed(section: str) -> list[str]:
    """Names of the entries that a section begins with; `images_1` to `images_12` are twelve."""
    names = []
    for line in section.strip().splitlines():
        if not line.startswith("- "):
            break
        head = re.split("[:：]", line, maxsplit=1)[0]
        found = re.findall(r"`(\w+)`", head)
        if len(found) == 2 and re.search(" to | 至 | — ", head):
            stem, last = found[1].rsplit("_", 1)
            found = [f"{stem}_{number}" for number in range(1, int(last) + 1)]
        names += found
    return names


def translated(name: str, language: str) -> str:
    return (PAGES / name / f"{language}.md").read_text(encoding="utf-8")


def codes(text: str) -> list[str]:
    """What stands in backticks, also where a line ends within."""
    return re.findall(
        "`([^`]+)`", re.sub(r"\n *", " ", re.sub(r"^```.*?^```$", "", text, flags=re.DOTALL | re.MULTILINE))
    )


def english(name: str) -> str:
    return (PAGES / f"{name}.md").read_text(encoding="utf-8")


@of_every_node
def test_page_lists_inputs_and_outputs(name):
    text = english(name)
    assert text.startswith(f"# {NODE_DISPLAY_NAME_MAPPINGS[name].split(' (')[0]}")
    assert re.findall(r"^## (.*)$", text, re.MULTILINE)[:2] == ["Inputs", "Outputs"]
    inputs, outputs = (listed(section) for section in sections(text)[:2])
    assert sorted(inputs) == sorted(interface(name)[0])
    assert outputs == interface(name)[1]


@of_every_node
def test_page_holds_no_table(name):
    assert not re.search(r"^\|.*\|$|^\|?-+\|", english(name), re.MULTILINE)


@in_every_language
@of_every_node
def test_translated_page_says_what_the_english_page_says(name, language):
    """The same headings, entries, code and numbers; inputs and outputs by their names in both languages."""
    text, original = translated(name, language), english(name)
    table = generate.table(language)
    assert text.startswith(f"# {table[NODE_DISPLAY_NAME_MAPPINGS[name]].split(' (')[0].split('（')[0]}")
    assert len(sections(text)) == len(sections(original))
    for here, there in zip(sections(text)[:2], sections(original)[:2], strict=True):
        assert listed(here) == listed(there)
        for field in listed(here):
            assert f"`{field}`" not in here or f"**{table[field]}**" in here, field
    assert len(re.findall(r"^- ", text, re.MULTILINE)) == len(re.findall(r"^- ", original, re.MULTILINE))
    assert not [code for code in codes(original) if code not in text]
    assert not set(NUMBER.findall(original)) - set(NUMBER.findall(text))


@in_every_language
@of_every_node
def test_translated_page_names_nodes_by_their_titles(name, language):
    """What stands in bold in a sentence is a node of this pack or of the host, by its title in that language."""
    titles = {title.split(" (")[0]: generate.table(language)[title] for title in NODE_DISPLAY_NAME_MAPPINGS.values()}
    text = translated(name, language)
    for title in set(re.findall(r"(?<!- )\*\*([A-Z][\w /-]+)\*\*(?!:)", english(name))) & titles.keys():
        shown = re.split(r"[ （]*[(（]", titles[title])[0]
        assert re.search(f"(?:\\*\\*|[“「«]){re.escape(shown)}", text), title


@pytest.mark.parametrize("language", ["en", *generate.LANGUAGES])
@of_every_node
def test_page_shows_the_nodes_picture(name, language):
    """The page of ComfyUI looks for it below web/docs/, whatever the language, and writes what it shows into an
    attribute as it stands here."""
    ((shows, source),) = PICTURE.findall(english(name) if language == "en" else translated(name, language))
    assert source == f"pictures/{name}.webp"
    assert len(re.findall(SCRIPTS[language], shows)) >= 5 and not set(shows) & set('"<>&`')


def test_pictures_are_small():
    files = sorted((PAGES / "pictures").iterdir())
    assert [path.name for path in files] == [f"{name}.webp" for name in NODES]
    for path in files:
        with Image.open(path) as picture:
            assert picture.format == "WEBP" and picture.width <= PICTURE_WIDTH, path.name
        assert path.stat().st_size <= 1000 * PICTURE_KB, path.name
    assert sum(path.stat().st_size for path in files) <= 1e6 * PICTURES_MB


def test_every_page_is_of_a_node():
    assert {path.stem for path in PAGES.glob("*.md")} == set(NODES)
    assert {path.name for path in PAGES.iterdir() if path.is_dir()} <= {*NODES, "pictures"}
    assert {path.stem for path in PAGES.glob("*/*.md")} <= set(generate.LANGUAGES)
