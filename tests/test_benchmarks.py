"""What `make bench` prints and writes, without the measuring."""

import pytest
import torch
from trilemma.tests.benchmarks import growth, tables, writing
from trilemma.tests.benchmarks.__main__ import BENCHMARKS
from trilemma.tests.benchmarks.timing import Comparison, Peaks

ROWS = [("quick", Comparison(2.0, 0.5), 3.0), ("slow", Comparison(1.0, 2.0), 0.9)]


def test_a_missed_promise_is_seen():
    table = tables.times(ROWS)
    assert table.missed
    assert str(table).splitlines() == [
        "| what | reference, ms | ours, ms | times faster | promised |",
        "|---|---|---|---|---|",
        "| quick | 2,000 | 500.0 | 4 | 3 |",
        "| slow | 1,000 | 2,000.0 | **0.5** | 0.9 |",
    ]
    assert not tables.times(ROWS[:1]).missed
    assert not tables.peaks([("small", Peaks(4_000_000, 1_000_000), 4.0)]).missed


def test_a_growth_that_is_too_steep_is_missed():
    grown = growth.Growth((1, 10, 100, 1000), (5.0, 0.1, 1.0, 10.0), 1)
    assert grown.ratio == pytest.approx(1)
    assert not tables.at_most("what | ms | times", [("it", grown, 1.15)], lambda _: "1").missed
    assert tables.at_most("what | ms | times", [("it", grown, 0.9)], lambda _: "1").missed


def test_only_the_place_of_a_benchmark_is_written():
    text = "# A\n<!-- masks -->\nold\n<!-- /masks -->\nprose\n<!-- crops -->\n<!-- /crops -->\n"
    found = writing.with_tables(text, "masks", [tables.times(ROWS)], "a processor.")
    assert "old" not in found
    assert found.startswith("# A\n<!-- masks -->\n| what |")
    assert found.endswith(
        "`python -m tests.benchmarks masks`: a processor.\n<!-- /masks -->\nprose\n<!-- crops -->\n<!-- /crops -->\n"
    )
    assert writing.with_tables(found, "masks", [tables.times(ROWS)], "a processor.") == found
    with pytest.raises(ValueError, match="scores"):
        writing.with_tables(text, "scores", [], "")


def test_the_document_has_a_place_for_each_benchmark():
    assert sorted(writing.names_in(writing.FILE.read_text(encoding="utf-8"))) == sorted(BENCHMARKS)


@pytest.mark.parametrize("what", growth.PREPARED)
def test_what_grows_can_be_called(what):
    with torch.inference_mode():
        growth.PREPARED[what](2, 64)()


def test_the_plot_is_drawn(tmp_path):
    rows = [("it", growth.Growth((1, 10, 100, 1000), (0.01, 0.1, 1.0, 10.0), 1), 1.15)]
    growth.plot(rows, rows, tmp_path / "growth.png")
    assert (tmp_path / "growth.png").read_bytes().startswith(b"\x89PNG")
