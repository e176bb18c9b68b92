"""A short soak, of what `make test-soak` runs for most of an hour."""

import pytest
from trilemma.tests.soak import prompts
from trilemma.tests.soak.__main__ import lines, run

pytestmark = pytest.mark.host

QUICK = ("complete_image", "score_folder", "retrieve_pictures")


def test_nothing_is_left_of_a_few_prompts(comfyui, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(prompts, "NAMES", QUICK)
    count = 4 * len(QUICK)
    code = run(comfyui, tmp_path, count)
    read = lines(tmp_path)
    assert code == 0, capsys.readouterr().out
    assert [line["outcome"] for line in read] == ["done"] * count
    assert {line["example"] for line in read} == set(QUICK)
