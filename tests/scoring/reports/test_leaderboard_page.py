"""The leaderboard as the page shows it."""

import json

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
