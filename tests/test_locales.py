"""The English texts are generated from the node classes, and do not drift from them."""

import importlib.util
from pathlib import Path

from trilemma.nodes import NODE_CLASS_MAPPINGS, NODE_DISPLAY_NAME_MAPPINGS

ROOT = Path(__file__).resolve().parents[1]
spec = importlib.util.spec_from_file_location("generate", ROOT / "locales" / "generate.py")
generate = importlib.util.module_from_spec(spec)
spec.loader.exec_module(generate)


def test_english_texts_follow_the_nodes():
    expected = generate.text(NODE_CLASS_MAPPINGS, NODE_DISPLAY_NAME_MAPPINGS)
    assert generate.ENGLISH.read_text() == expected, "run `make names`"


def write() -> None:
    generate.ENGLISH.write_text(generate.text(NODE_CLASS_MAPPINGS, NODE_DISPLAY_NAME_MAPPINGS))
