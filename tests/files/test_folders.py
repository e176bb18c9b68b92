"""JSON files of model folders."""

import codecs
import json

import pytest
from trilemma.models.diffusion.folders import PipelineFolder
from trilemma.models.errors import BadCheckpoint
from trilemma.models.files.catalog import starter_folder
from trilemma.models.files.folders import read_json


def test_a_byte_order_mark_is_read_over(tmp_path):
    (tmp_path / "config.json").write_bytes(codecs.BOM_UTF8 + b'{"a": 1}')

    assert read_json(tmp_path / "config.json") == {"a": 1}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (codecs.BOM_UTF16_LE + json.dumps({"a": 1}).encode("utf-16-le"), "config.json is written in UTF-16"),
        (codecs.BOM_UTF16_BE + json.dumps({"a": 1}).encode("utf-16-be"), "config.json is written in UTF-16"),
        (b'{"a": \xff}', "config.json is no JSON"),
        (b"[" * 100_000, "config.json is no JSON"),
        (b"[]", "config.json holds no JSON object"),
    ],
)
def test_others_are_refused_by_the_files_name(tmp_path, content, said):
    (tmp_path / "config.json").write_bytes(content)

    with pytest.raises(BadCheckpoint, match=said):
        read_json(tmp_path / "config.json")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("before", "said"), [(codecs.BOM_UTF8, "begins with a byte-order mark"), (b"{", "vocab.json is no JSON")]
)
def test_a_tokenizers_files_are_named(tmp_path, before, said):
    tokenizer = tmp_path / "tokenizer"
    tokenizer.mkdir()
    for file in (starter_folder("inpainter", "starter emoji inpainter") / "tokenizer").iterdir():
        (tokenizer / file.name).write_bytes(file.read_bytes())
    (tokenizer / "vocab.json").write_bytes(before + (tokenizer / "vocab.json").read_bytes())

    with pytest.raises(BadCheckpoint, match=said):
        PipelineFolder(tmp_path, {}).tokenizer()
