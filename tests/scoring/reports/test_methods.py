"""The paragraph of methods: what the provenance tells, everything cited has its entry, and nothing else."""

import math
import re
from dataclasses import replace

from trilemma.models.scoring.evaluation import score
from trilemma.models.scoring.leaderboard import leaderboard
from trilemma.models.scoring.literature.tables import tables_of
from trilemma.models.scoring.reports.leaderboard_text import to_markdown
from trilemma.models.scoring.reports.methods import write_methods
from trilemma.models.scoring.scores import Score, Scores
from trilemma.tests.scoring.boards import STARTER, model, provenance
from trilemma.tests.scoring.comparison.test_recipes import run


def cited(text):
    return {key for keys in re.findall(r"\\cite\{([^}]*)\}", text) for key in keys.split(",")}


def entered(bibtex):
    return set(re.findall(r"@\w+\{([^,]+),", bibtex))


def test_everything_that_is_cited_has_its_entry_and_nothing_else_has_one():
    models = [model("a", 4.0, kid=0.1), model("b", 5.0), model("c", came_from=provenance(STARTER, "clean"))]
    found = write_methods(leaderboard(models, published=tables_of("ADM")))
    assert cited(found.text) == entered(found.bibtex)
    expected = {"heusel2017", "binkowski2018", "szegedy2016", "parmar2022", "dufour2026", "dhariwal2021"}
    assert expected <= cited(found.text)
    assert "hanley2006" not in cited(found.text)
    assert "Published values are quoted, not measured" in found.text


def test_numbers_are_those_of_the_provenance():
    scores = [run("a", 4.0), run("a", 4.4, seed=5000), run("b", 9.0, "other", device="cpu", batch_size=64)]
    text = write_methods(leaderboard(scores)).text
    assert text.startswith("We scored 2 models on 5,000 samples each against the reference set new renderings")
    assert "weights eeeeeeee, resize TF1" in text
    assert "FID \\cite{heusel2017,efron1982}" in text
    assert "Sample i of every model was drawn with the seed 0 + i." in text
    assert "Of a (2 seeds) the mean over the runs is given" in text
    assert "on cpu in batches of 64" in text
    assert "1.3\\%" in text and "The versions of the software are not told." in text


def test_a_distance_that_is_not_inceptions_is_called_fd():
    text = write_methods(leaderboard([model("a", 4.0, came_from=provenance(STARTER))])).text
    assert "We report FD \\cite{heusel2017,efron1982} and recall" in text
    assert "rows are ranked by FD." in text
    assert "FID" not in text


def test_names_are_written_as_latex_takes_them():
    scores = [model("a", came_from=provenance(reference="my_set 100%"))]
    assert "against the reference set my\\_set 100\\% (SHA-256" in write_methods(leaderboard(scores)).text
    hard = [model("a", came_from=provenance(reference="{x}^2 ~ \\foo\n$y$"))]
    expected = "\\{x\\}\\textasciicircum{}2 \\textasciitilde{} \\textbackslash{}foo \\$y\\$ (SHA-256"
    assert expected in write_methods(leaderboard(hard)).text


def test_rows_that_lack_what_ranks_are_not_said_to_be_ranked():
    pictures = Scores("edit", (Score("psnr", 30.0),), provenance={"taken_by": {"of": "x"}})
    board = leaderboard([model("A", 4.0), pictures])
    assert "We report PSNR, dB; rows are not ranked." in write_methods(board).text
    first, second = [line for line in to_markdown(board).splitlines() if line.startswith("**")]
    assert first.endswith("; ranked by FID") and second.endswith("; not ranked: no row has FID")


def test_a_metric_that_no_row_has_is_not_reported():
    """A column may hold nothing but why it was not taken."""
    without = model("a", 4.0)
    scores = replace(without, scores=(*without.scores, Score("inception_score", math.nan, note="no classes")))
    found = write_methods(leaderboard([scores]))
    assert "IS" not in found.text and "salimans2016" not in found.text + found.bibtex


def test_settings_of_features_are_told():
    from trilemma.tests.scoring.toy import features

    scores = [score(features(i, i + 60, f"m{i}"), features(300, 400, "real")) for i in (0, 100)]
    found = write_methods(leaderboard(scores, "kid"))
    assert "KID is the mean over 100 subsets of 10 rows." in found.text
    assert "k = 5, distances below the radius" in found.text
    assert "Of these the rows of 20 are kept, chosen by a hash with the seed 0." in found.text
    assert "resamples with Poisson weights \\cite{hanley2006}, independent, since no seeds are shared" in found.text
    assert "ComfyUI-Trilemma" in found.text and "PyTorch" in found.text
    assert cited(found.text) == entered(found.bibtex)
