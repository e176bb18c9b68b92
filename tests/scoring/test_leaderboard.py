"""Ranks, groups, the Pareto front, and what is written of them."""

import csv
import io
import json
import math

import pytest
import torch
from trilemma.models.errors import BadInput
from trilemma.models.scoring import scores
from trilemma.models.scoring.leaderboard import FEW, leaderboard
from trilemma.models.scoring.metric import METRICS
from trilemma.models.scoring.reports import leaderboard_files
from trilemma.models.scoring.reports.leaderboard_text import to_csv, to_json, to_markdown
from trilemma.models.scoring.reports.numbers import number
from trilemma.models.scoring.scores import Score, Scores
from trilemma.models.scoring.trilemma import axis_of, pareto, trilemma
from trilemma.tests.scoring.boards import STARTER, model, provenance


def names(group):
    return [(row.rank, row.name) for row in group.rows]


@pytest.mark.parametrize(
    ("sort_by", "expected"),
    [
        ("fid", [(1, "b"), (2, "c"), (3, "a"), (None, "d")]),
        ("recall", [(1, "a"), (2, "b"), (2, "c"), (None, "d")]),
        ("images_per_second", [(1, "d"), (2, "a"), (2, "b"), (2, "c")]),
    ],
)
def test_the_best_is_first_and_equal_values_share_a_rank(sort_by, expected):
    models = [model("a", 9.0, 0.9), model("b", 2.0, 0.4), model("c", 3.0, 0.4), model("d", None, None, 0.001)]
    (group,) = leaderboard(models, sort_by).groups
    assert names(group) == expected


@pytest.mark.parametrize(
    "other",
    [
        {"extractor": STARTER},
        {"resize": "clean"},
        {"reference": "others"},
        {"samples": 2500},
        {"rows": 100},
        {"subsets": {"nearest_k": 3, "kid_subset_size": 1000}},
        {"extractor": {"name": "same", "identity": "other"}},
    ],
)
def test_what_was_taken_in_another_way_is_not_ranked_along(other):
    extractor = other.get("extractor", STARTER)
    changed = {**provenance(), **other} if isinstance(extractor, dict) else provenance(**other)
    board = leaderboard([model("a", 9.0), model("b", 1.0, came_from=changed), model("c", 2.0)])
    assert [names(group) for group in board.groups] == [[(1, "c"), (2, "a")], [(1, "b")]]
    assert board.groups[0].heading != board.groups[1].heading


def test_equal_names_are_told_apart():
    (group,) = leaderboard([model("a", 1.0), model("a", 2.0)]).groups
    assert names(group) == [(1, "a"), (2, "a (2)")]


def test_labels_name_an_extractor_that_is_not_inception():
    assert METRICS["fid"].label_by(STARTER) == "FD (starter emoji classifier)"
    assert METRICS["psnr"].label_by(STARTER) == "PSNR, dB"
    (group,) = leaderboard([model("a")]).groups
    assert [column.label for column in group.columns][:2] == ["FID", "recall"]
    (other,) = leaderboard([model("a", came_from=provenance(STARTER))]).groups
    assert [column.label for column in other.columns][:2] == [f"FD ({STARTER})", f"recall ({STARTER})"]


def test_only_inceptions_distance_is_called_fid():
    """In whatever a board writes of another network; keys stay."""
    other = provenance(STARTER, samples=300)
    noted = Score("fid", 3.0, note="warning: beware"), Score("sfid", 1.0), Score("compound_fid", math.nan, note="none")
    board = leaderboard(
        [Scores("a", noted, provenance=other), model("b", None, came_from=other), model("c", 9.0, came_from=other)]
    )
    text, data = to_markdown(board), json.loads(to_json(board))
    assert f"; ranked by FD ({STARTER})\n" in text
    assert "FD: beware; Compound FD: none" in text
    assert "of FD, no interval known" in text or "of FD [" in text
    (rule,) = [line for line in text.splitlines() if line.startswith("Rows share")]
    assert "FID" not in text.replace(rule, "")
    assert {column["key"]: column["label"] for column in data["groups"][0]["columns"]}["sfid"] == f"sFD ({STARTER})"
    assert {row["name"]: row["trilemma_lacks"] for row in data["groups"][0]["rows"]}["b"] == "FD"
    assert (board.sorted_by, leaderboard([model("a")]).sorted_by) == ("FD", "FID")
    both = leaderboard([model("a"), model("b", came_from=other)])
    assert both.sorted_by == "FID and FD"


def test_few_samples_warnings_and_missing_values_are_told():
    few = provenance(samples=FEW - 1)
    scores = (
        Score("fid", 3.0, note="warning: 100 samples for 128 dimensions; interval: jackknife"),
        Score("kid", math.nan, note="no rows"),
        Score("recall", 0.5, note="k = 5"),
    )
    (group,) = leaderboard([Scores("a", scores, provenance=few)]).groups
    assert group.rows[0].warnings == (
        "few samples (2,047): small differences mean nothing",
        "FID: 100 samples for 128 dimensions",
        "KID: no rows",
    )
    assert "kid" in [column.key for column in group.columns]


@pytest.mark.parametrize(
    ("scores", "sort_by", "message"),
    [
        ([], "fid", "scores_1: nothing is connected"),
        ([model("a")], "beauty", "sort_by: there is no 'beauty'"),
        ([model("a")], "kid", "sort_by: no scores have kid; choose one of fid, recall, images_per_second"),
        ([Scores("a", (Score("kid", math.nan),))], "kid", "choose one of nothing"),
    ],
)
def test_nothing_to_rank(scores, sort_by, message):
    with pytest.raises(BadInput, match=message):
        leaderboard(scores, sort_by)


def test_front():
    points = [(1, 0, 0), (0, 1, 0), (0.5, 0.5, 0), (0.4, 0.5, 0), (0, 0, 0), (0.5, 0.5, 0)]
    assert pareto(points) == [True, True, True, False, False, True]


def test_front_is_that_of_every_pair_of_models():
    points = torch.rand(12, 3, generator=torch.Generator().manual_seed(0)).tolist()
    beaten = [any(all(b > a for a, b in zip(one, other, strict=True)) for other in points) for one in points]
    assert pareto(points) == [not lost for lost in beaten]
    assert 1 < sum(pareto(points)) < 12


def test_lower_fid_higher_recall_and_less_seconds_are_better():
    base, worse = (
        model("base", 4.0, 0.6, 0.1),
        [
            model("fid", 5.0, 0.6, 0.1),
            model("recall", 4.0, 0.5, 0.1),
            model("speed", 4.0, 0.6, 0.2),
        ],
    )
    (group,) = leaderboard([*worse, base]).groups
    found = trilemma(group)
    assert [place.name for place in found.places if place.front] == ["base"]
    best = next(place for place in found.places if place.front)
    for place in found.places:
        assert all(0 <= share <= 1 for share in place.position)
        assert all(a <= b for a, b in zip(place.position, best.position, strict=True))


def test_a_model_that_lacks_a_side_is_named_and_not_drawn():
    models = [
        model("whole"),
        model("blind", recall=None),
        model("untimed", None, seconds=None),
        model("still", seconds=0),
    ]
    (group,) = leaderboard(models).groups
    found = trilemma(group)
    assert [place.name for place in found.places] == ["whole"]
    assert dict(found.missing) == {
        "blind": "recall",
        "untimed": "FID, images/s",
        "still": "images/s",
    }


@pytest.mark.parametrize(
    ("key", "values", "worst", "best", "logarithmic"),
    [
        ("fid", (2.5, 7.0), 10.0, 2.0, True),
        ("fid", (5.0,), 10.0, 2.0, True),
        ("fid", (0.0, 3.0), 5.0, 0.0, False),
        ("kid", (-0.001, 0.03), 0.05, -0.002, False),
        ("precision", (0.3,), 0.0, 1.0, False),
        ("inception_score", (25.0, 28.0), 0.0, 50.0, False),
        ("images_per_second", (3.4, 628.0), 2.0, 1000.0, True),
        ("density", (0.0,), 0.0, 1.0, False),
    ],
)
def test_axes(key, values, worst, best, logarithmic):
    axis = axis_of(key, values, "")
    assert (axis.worst, axis.best, axis.logarithmic) == (worst, best, logarithmic)
    assert axis.position(axis.worst) == 0
    assert axis.position(axis.best) == pytest.approx(1)
    positions = [axis.position(tick) for tick in axis.ticks]
    assert 2 <= len(positions) <= 7
    assert positions == sorted(positions)
    assert all(-1e-9 <= share <= 1 + 1e-9 for share in [*positions, *map(axis.position, values)])


@pytest.mark.parametrize(
    ("key", "value", "text"),
    [
        ("fid", 2.6024, "2.6"),
        ("kid", 0.0032513, "0.00325"),
        ("precision", 0.5, "0.500"),
        ("parameters", 1_544_715, "1.54 M"),
        ("weight_bytes", 3_100_000, "3.1 MB"),
        ("images_per_second", 12_345.6, "12,346"),
        ("psnr", math.inf, "∞"),
        ("fid", math.nan, "–"),
    ],
)
def test_numbers(key, value, text):
    assert number(key, value) == text


def test_what_is_not_told_apart_shares_a_rank_and_says_so():
    board = leaderboard([model("a", 4.0), model("b", 4.3), model("c", 9.0)])
    (group,) = board.groups
    assert names(group) == [(1, "a"), (1, "b"), (3, "c")]
    assert [[row.name for row in band] for band in group.bands] == [["a", "b"], ["c"]]
    text = to_markdown(board)
    assert "| 1–2 | a |" in text and "| 1–2 | b |" in text and "| 3 | c |" in text
    assert "- a and b are not told apart: 0.3 of FID [" in text
    assert "- b before c, p < 0.001: 4.7 of FID [" in text
    told = json.loads(to_json(board))["groups"][0]
    assert told["bands"] == [["a", "b"], ["c"]]
    assert [each["told_apart"] for each in told["differences"]] == [False, True, True]
    assert [row["places"] for row in told["rows"]] == [[1, 2], [1, 2], [3, 3]]
    rows = list(csv.DictReader(io.StringIO(to_csv(board))))
    places = [(row["rank"], row["first_place"], row["last_place"]) for row in rows]
    assert places == [("1", "1", "2"), ("1", "1", "2"), ("3", "3", "3")]


def test_counted_costs_differ_by_one():
    models = [model(name, costs={"parameters": count}) for name, count in (("a", 1000.0), ("b", 1001.0))]
    board = leaderboard(models, "parameters")
    assert names(board.groups[0]) == [(1, "a"), (2, "b")]
    assert "Rows share a rank where they are equal." in to_markdown(board)


def test_two_extractors_that_disagree_are_told():
    other = provenance(STARTER)
    models = [model("a", 2.0), model("b", 4.0), model("c", 8.0)]
    again = [model(name, fid, came_from=other) for name, fid in (("a", 9.0), ("b", 5.0), ("c", 20.0))]
    board = leaderboard([*models, *again])
    assert [row.name for group in board.groups for row in group.rows] == ["a", "b", "c", "b", "a", "c"]
    (found,) = board.orders
    assert (found.agreement.tau, found.agreement.count) == (pytest.approx(1 / 3), 3)
    assert found.contradicted == (("a", "b"),)
    line = (
        "- Inception-v3 (FID) and starter emoji classifier put 3 models by FID and FD in different orders (Kendall's "
        "tau = 0.33); beyond noise Inception-v3 (FID) has a before b, and starter emoji classifier has the reverse."
    )
    assert line in to_markdown(board)
    assert json.loads(to_json(board))["orders"][0]["contradicted"] == [["a", "b"]]
    same = leaderboard([*models, *(model(one.name, one.value("fid") + 1, came_from=other) for one in models)])
    assert "in the same order (Kendall's tau = 1.00)." in to_markdown(same)


def test_markdown():
    text = to_markdown(leaderboard([model("a|b", 4.0, 0.5), model("c", 2.0, None, costs={"parameters": 7.0})]))
    header, rule, first, second = [line for line in text.splitlines() if line.startswith("|")]
    assert header.startswith("| # | model | FID ↓ | recall ↑ | images/s ↑ |")
    assert rule.count("|") == header.count("|") == first.count("|") == second.count("|") - 1
    assert first.startswith("| 1 | c | **2** [1.8, 2.2] | – | 100 |")
    assert second.startswith("| 2 | a\\|b | 4 [3.6, 4.4] | **0.500** | 100 |")
    assert text.startswith("**Inception-v3 (FID), resize TF1, against new renderings, 5,000 samples**; ranked by FID\n")


def test_csv_holds_values_in_full():
    text = to_csv(leaderboard([model("a, b", 1 / 3), model("c", 2.0, came_from=provenance(STARTER))]))
    first, second = csv.DictReader(io.StringIO(text))
    assert (first["name"], float(first["fid"]), float(first["fid_low"])) == ("a, b", 1 / 3, 1 / 3 * 0.9)
    assert (first["identity"], first["resize"], first["warnings"]) == ("e" * 8, "TF1", "")
    assert (second["extractor"], second["rank"], second["samples"]) == (STARTER, "1", "5000")


def test_json_is_enough_to_run_a_row_again():
    graph = {"graph": {"1": {"class_type": "TrilemmaLoadGenerator"}}, "seed": 3}
    rows = [model("a", came_from=provenance(**graph)), model("b", math.inf, None)]
    board = json.loads(to_json(leaderboard(rows, "recall")))
    first, second = board["groups"][0]["rows"]
    assert first["scores"]["provenance"] == {**provenance(), **graph}
    assert scores.from_json(json.dumps(first["scores"])) == rows[0]
    assert (first["pareto_front"], second["pareto_front"]) == (True, None)
    assert second["trilemma_lacks"] == "FID, recall"


def saved(folder, prefix, content="text", plots=2):
    pictures = torch.rand(1, 4, 5, 3), torch.rand(plots, 4, 5, 3)
    return leaderboard_files.save(
        leaderboard_files.Report(content, "c", "{}", *pictures), folder, prefix, {"prompt": {}}
    )


def test_files_are_numbered_and_never_overwritten(tmp_path):
    first = saved(tmp_path, "scores/board", "one")
    assert first == [f"scores/board_00001_{end}" for end in (".md", ".csv", ".json", *_pictures())]
    assert saved(tmp_path, "scores/board")[0] == "scores/board_00002_.md"
    assert (tmp_path / first[0]).read_text() == "one"
    assert not list(tmp_path.rglob("*.part"))


def _pictures():
    return ("table.png", "trilemma.png", "trilemma_2.png")


@pytest.mark.parametrize("prefix", ["../up", "/abs", "folder/", "."])
def test_prefixes_that_lead_nowhere(tmp_path, prefix):
    with pytest.raises(BadInput, match="filename_prefix"):
        saved(tmp_path, prefix)


def test_speed_is_one_over_seconds():
    assert METRICS["images_per_second"].read(model("a", seconds=0.25)).value == 4
    assert math.isnan(METRICS["images_per_second"].read(model("a", seconds=None)).value)
