"""The English texts are generated from the node classes, and do not drift from them."""

from trilemma.locales import generate
from trilemma.nodes import NODE_CLASS_MAPPINGS, NODE_DISPLAY_NAME_MAPPINGS


def test_english_texts_follow_the_nodes():
    expected = generate.text(NODE_CLASS_MAPPINGS, NODE_DISPLAY_NAME_MAPPINGS)
    assert generate.ENGLISH.read_text() == expected, "run `make names`"


def write() -> None:
    generate.ENGLISH.write_text(generate.text(NODE_CLASS_MAPPINGS, NODE_DISPLAY_NAME_MAPPINGS))
