"""Pictures of scores: their size, what is written on them, and that it is there to be seen."""

import pytest
import torch
from trilemma.models.scoring.leaderboard import leaderboard
from trilemma.models.scoring.reports.canvas import INKS, SCALE, SMALL, WIDTH, Sheet, colour_of
from trilemma.models.scoring.reports.leaderboard_table import draw_table, write_table
from trilemma.models.scoring.reports.trilemma_plot import _edges, _triangles, draw_trilemma, write_trilemma
from trilemma.models.scoring.scores import Score, Scores
from trilemma.tests.scoring.boards import STARTER, model, provenance

pytestmark = pytest.mark.slow

LONG = "a model with a very long name, of which there are several, number"


def models(count, **came_from):
    generator = torch.Generator().manual_seed(1)
    numbers = torch.rand(count, 3, generator=generator).tolist()
    return [
        model(f"{LONG} {i}", 2 + 30 * a, b, 10 ** (-3 * c), came_from=provenance(**came_from), kid=a / 100)
        for i, (a, b, c) in enumerate(numbers)
    ]


def colours(picture):
    """The share of each model's colour in a picture."""
    pixels = picture[0].mul(255).round().int()
    wanted = [torch.tensor([int(colour_of(i)[at : at + 2], 16) for at in (1, 3, 5)]) for i in range(7)]
    return [float((pixels == colour).all(dim=-1).float().mean()) for colour in wanted]


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_pictures_are_as_wide_as_a_node_in_the_colours_of_the_theme(theme):
    board = leaderboard(models(3))
    paper = torch.tensor([int(INKS[theme].paper[at : at + 2], 16) for at in (1, 3, 5)]) / 255
    for picture in (draw_table(board, theme), draw_trilemma(board.groups[0], theme=theme)):
        assert (picture.dtype, picture.shape[0], picture.shape[2:]) == (torch.float32, 1, (WIDTH * SCALE, 3))
        torch.testing.assert_close(picture[0, 0, 0], paper)
        found = colours(picture)
        assert min(found[:3]) > 1e-4
        assert max(found[3:]) < 1e-4


def test_equal_models_give_equal_pictures():
    (group,) = leaderboard(models(1)).groups
    assert torch.equal(draw_trilemma(group), draw_trilemma(group))


@pytest.mark.parametrize("count", [1, 12])
def test_every_model_is_written_whole_or_shortened(count):
    board = leaderboard(models(count, extractor=STARTER))
    table, plot = write_table(board, "light"), write_trilemma(board.groups[0], "fid", "recall", "light")
    for i in range(count):
        for sheet in (table, plot):
            ends = [text for text in sheet.texts if text.endswith(f" {i}") and text.startswith("a model")]
            assert ends, i
            assert all("…" in text for text in ends)
    assert "starter emoji classifier" in table.texts
    assert any(text.startswith("FD (starter emoji classifier)") for text in plot.texts)
    assert {"FD ↓", "ranked by FD"} <= set(table.texts)
    assert any(text.startswith("FD ") and " · recall " in text for text in plot.texts)
    assert not any("FID" in text for sheet in (table, plot) for text in sheet.texts)


def test_nothing_is_smaller_than_eleven_units_or_beyond_the_edge():
    board = leaderboard(models(12, extractor=STARTER, samples=300))
    for sheet in (write_table(board, "light"), write_trilemma(board.groups[0], "fid", "recall", "dark")):
        written = sheet._axes.texts
        assert min(text.get_fontsize() for text in written) * 100 / 72 == pytest.approx(SMALL)
        sheet.image()
        width, height = WIDTH * SCALE, sheet.height * SCALE
        for text in written:
            box = text.get_window_extent()
            assert min(box.x0, box.y0, width - box.x1, height - box.y1) >= -1, text.get_text()


def test_names_are_text_and_no_formulas():
    (group,) = leaderboard([model("costs $5 and $6, 100 % \\frac")]).groups
    assert "costs $5 and $6, 100 % \\frac" in write_trilemma(group, "fid", "recall", "light").texts


def test_warnings_that_not_all_rows_share_are_pointed_at():
    warned = Score("fid", 3.0, note="warning: beware; k = 5")
    few = provenance(samples=300)
    (group,) = (board := leaderboard([model("a", came_from=few), Scores("b", (warned,), provenance=few)])).groups
    texts = write_table(board, "light").texts
    assert [len(row.warnings) for row in group.rows] == [2, 1]
    assert "few samples (300): small differences mean nothing" in texts
    assert "¹ FID: beware" in texts
    assert {"b¹", "a"} <= set(texts)


def test_groups_are_told_apart_in_one_table():
    both = [model("a"), model("b", came_from=provenance(STARTER))]
    sheet = write_table(leaderboard(both), "light")
    assert [text for text in sheet.texts if "against new renderings" in text] == [
        "Inception-v3 (FID), resize TF1, against new renderings, 5,000 samples",
        "starter emoji classifier, resize TF1, against new renderings, 5,000 samples",
    ]


def test_models_that_lack_a_side_are_named_below():
    (group,) = leaderboard([model("blind", recall=None)]).groups
    texts = write_trilemma(group, "fid", "recall", "light").texts
    assert "blind: no recall" in texts
    assert "No model has all three: FID, recall and seconds per image." in texts
    (other,) = leaderboard([model("blind", recall=None, came_from=provenance(STARTER))]).groups
    texts = write_trilemma(other, "fid", "recall", "light").texts
    assert "No model has all three: FD, recall and seconds per image." in texts


def test_the_front_is_drawn_through_all_of_its_models():
    square = [(0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.1, 0.9)]
    assert len(_triangles(square)) == 2
    assert {corner for side in _edges(square) for corner in side} == set(range(4))
    line = [(0.0, 0.0), (1.0, 1.0), (0.5, 0.5)]
    assert _triangles(line) == []
    assert _edges(line) == [(0, 2), (2, 1)]
    assert _edges(line[:1]) == []


def test_long_texts_keep_both_ends():
    sheet = Sheet("light")
    short = sheet.shortened("starter emoji vqvae transformer", 100)
    assert short.startswith("starter")
    assert short.endswith("rmer")
    assert sheet.width_of(short) <= 100 < sheet.width_of("starter emoji vqvae transformer")
    assert sheet.shortened("VAE", 100) == "VAE"
