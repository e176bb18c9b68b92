"""The texts of every language are generated and do not drift from the nodes, and translations keep what they must."""

import re

import pytest
from trilemma.locales import generate, published
from trilemma.nodes import NODE_CLASS_MAPPINGS, NODE_DISPLAY_NAME_MAPPINGS

FILES = generate.english(NODE_CLASS_MAPPINGS, NODE_DISPLAY_NAME_MAPPINGS)
TEXTS = list(dict.fromkeys(generate.texts(FILES)))
NAMES = {
    field["name"]
    for node in FILES["nodeDefs.json"].values()
    for side in ("inputs", "outputs")
    for field in node[side].values()
}
TITLES = sorted({title.split(" (")[0] for title in NODE_DISPLAY_NAME_MAPPINGS.values()}, key=len, reverse=True)
NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
CODE = re.compile(
    r"`[^`]+`|%[^%\s]+%|\b\w+_\w+\b|\.(?:npy|npz|pt|pth|ckpt|pkl|safetensors)\b|\w+/[\w/-]+|\[\{.*\}\]|[\w-]+\.py\b"
)
SCRIPT = {"zh": r"[\u4e00-\u9fff]", "zh-TW": r"[\u4e00-\u9fff]", "ru": "[а-яё]"}
SIMPLIFIED = "图码数据处发变体时会个们这张样节点输选项对块类别标签检测结线应过运实际设读写说问题显错误网络层质评"
"""Characters of Simplified Chinese that Traditional Chinese writes otherwise."""

in_every_language = pytest.mark.parametrize("language", generate.LANGUAGES)


def test_english_texts_follow_the_nodes():
    expected = generate.written(FILES["nodeDefs.json"])
    assert (generate.HERE / "en" / "nodeDefs.json").read_text(encoding="utf-8") == expected, "run `make names`"


@in_every_language
def test_every_text_is_translated(language):
    table = generate.table(language)
    missing = [text for text in TEXTS if not table.get(text)]
    assert not missing, f"translate these in locales/{language}/texts.json, then run `make names`"
    assert not table.keys() - set(TEXTS), "no node says these any more: run `make names`"


@in_every_language
def test_files_are_what_the_table_gives(language):
    table = generate.completed(language, FILES)
    assert (generate.HERE / language / "texts.json").read_text(encoding="utf-8") == generate.written(table)
    for name, content in FILES.items():
        expected = generate.written(generate.translated(content, table))
        assert (generate.HERE / language / name).read_text(encoding="utf-8") == expected, "run `make names`"


@in_every_language
def test_inputs_of_a_node_have_names_of_their_own(language):
    for name, node in generate.translated(FILES["nodeDefs.json"], generate.table(language)).items():
        for side in ("inputs", "outputs"):
            labels = [field["name"] for field in node[side].values()]
            assert len(set(labels)) == len(labels), (name, side, labels)
    titles = [generate.table(language)[title] for title in NODE_DISPLAY_NAME_MAPPINGS.values()]
    assert len(set(titles)) == len(titles)


@in_every_language
def test_translations_keep_numbers_and_code(language):
    """Names of inputs may stand in their translation: they are what the page shows."""
    table = generate.table(language)
    lost = []
    for text, translation in table.items():
        if text in NAMES:
            continue
        for number in NUMBER.findall(text):
            lost += [(number, text, translation)] * (number not in translation)
        for code in CODE.findall(text):
            said = {code, table.get(code.strip("`"), code)}
            lost += [(code, text, translation)] * (not any(form in translation for form in said))
    assert not lost


def titles_in(text: str) -> set[str]:
    """Titles of nodes that a text names; a capital at the beginning of a sentence makes no title of a word."""
    found = set()
    for title in TITLES:
        several = " " in title
        pattern = rf"\b{re.escape(title)}\b" if several else rf"(?<![.:] )(?<!^)(?<!Inception )\b{title}\b(?! Anything)"
        found |= {title} if re.search(pattern, text) else set()
        text = re.sub(pattern, "", text)
    return found


@in_every_language
def test_translations_name_nodes_by_their_titles(language):
    """As the page shows them, in quotation marks."""
    table = generate.table(language)
    of = {
        title.split(" (")[0]: re.split(r"[ （]*[(（]", table[title])[0] for title in NODE_DISPLAY_NAME_MAPPINGS.values()
    }
    wrong = []
    for text, translation in table.items():
        quoted = re.findall("[“「«](.+?)[”」»]", translation)
        wrong += [
            (title, of[title], translation)
            for title in titles_in(text)
            if text not in NODE_DISPLAY_NAME_MAPPINGS.values() and not any(q.startswith(of[title]) for q in quoted)
        ]
    assert not wrong


@in_every_language
def test_translations_are_in_their_language(language):
    table = generate.table(language)
    foreign = [text for text in TEXTS if text not in NAMES and not re.search(SCRIPT[language], table[text], re.I)]
    assert not foreign
    if language == "zh-TW":
        assert not [text for text in table.values() if set(text) & set(SIMPLIFIED)]


def test_help_names_the_published_files():
    pages = dict(published.pages(NODE_CLASS_MAPPINGS))
    assert len(pages) >= 4 * 5
    for path, text in pages.items():
        assert path.read_text(encoding="utf-8") == text, "run `make names`"
        assert "()" not in text, "a published file has a licence"


def write() -> None:
    for line in generate.write(NODE_CLASS_MAPPINGS, NODE_DISPLAY_NAME_MAPPINGS):
        print(line)
    published.write(NODE_CLASS_MAPPINGS)
