"""The leaderboard as the page shows it."""

import json
from dataclasses import replace

import torch
from trilemma.models.scoring.leaderboard import leaderboard
from trilemma.models.scoring.reports.leaderboard_page import to_page
from trilemma.models.scoring.reports.leaderboard_text import to_csv, to_json, to_markdown
from trilemma.tests.scoring.boards import STARTER, model, provenance


def test_texts_are_those_of_the_outputs():
    board = leaderboard([model("a"), model("b", 9.0)])
    page = to_page(board, "precision", "coverage")
    texts = (to_markdown(board), to_csv(board), to_json(board, "precision", "coverage"))
    assert (page["markdown"], page["csv"], page["json"]) == texts


def test_cells_stand_beside_the_rows_of_the_json():
    other = provenance(STARTER)
    scores = [model("a", 5.0), model("b", 50.0, recall=None), model("c", came_from=other)]
    page = json.loads(json.dumps(to_page(leaderboard(scores)), allow_nan=False))
    groups = json.loads(page["json"])["groups"]
    assert [[row["name"] for row in group["rows"]] for group in groups] == [["a", "b"], ["c"]]
    a, b = page["cells"][0]
    assert (a["rank"], b["rank"]) == ("1", "2")
    assert a["of"]["fid"] == {"value": 5.0, "text": "5 [4.5, 5.5]", "best": True}
    assert (b["of"]["fid"]["value"], b["of"]["fid"]["best"]) == (50.0, False)
    assert (b["of"]["recall"]["value"], b["of"]["recall"]["best"]) == (None, False)
    assert set(a["of"]) == set(b["of"]) == {column["key"] for column in groups[0]["columns"]}


def test_samples_have_seeds_that_a_script_can_hold_and_no_text_has_pictures():
    found = {"index": 3, "seed": 2**64 - 1, "condition": "cat", "distance": 0.5}
    row = model("a", came_from=provenance(best=[found], worst=[]))
    page = to_page(
        leaderboard([replace(row, pictures={"best": torch.zeros(1, 3, 4, 3, dtype=torch.uint8)}), model("b")])
    )
    a, b = page["cells"][0]
    assert a["samples"] == {"best": [{"seed": "18446744073709551615", "condition": "cat"}], "worst": []}
    assert b["samples"] == {"best": [], "worst": []}
    assert page == to_page(leaderboard([row, model("b")]))
