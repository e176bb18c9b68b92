"""The nodes that compare and diagnose models, on the smallest ones."""

import json
import math

import pytest
import torch
from PIL import Image
from trilemma import host
from trilemma.host import standalone
from trilemma.models.errors import BadInput
from trilemma.models.generators.binding import Bound
from trilemma.models.generators.images import Images, from_batch
from trilemma.models.scoring.scores import from_json
from trilemma.nodes import NODE_CLASS_MAPPINGS
from trilemma.tests.generators.toy import Toy as ToyGenerator
from trilemma.tests.scoring.boards import STARTER, model, provenance
from trilemma.tests.scoring.toy import Toy, features, pictures

pytestmark = pytest.mark.slow

Leaderboard, Diagnose = (NODE_CLASS_MAPPINGS[f"Trilemma{name}"] for name in ("Leaderboard", "DiagnoseGenerator"))


@pytest.fixture(autouse=True)
def output(tmp_path, monkeypatch):
    monkeypatch.setitem(standalone._places, "output", tmp_path)
    return tmp_path


def board(prefix="", theme="light", **scores):
    return Leaderboard().run("fid", "fid", "recall", theme, prefix, **scores)["result"]


def test_models_of_all_sockets_come_in_their_order():
    leaderboard, table, plot, markdown, _, data, files = board(scores_12=model("z", 1.0), scores_2=model("a", 2.0))
    assert [row.name for row in leaderboard.groups[0].rows] == ["z", "a"]
    assert [row.number for row in leaderboard.groups[0].rows] == [1, 0]
    assert (table.dtype, table.shape[0], table.shape[2:]) == (torch.float32, 1, (1536, 3))
    assert plot.shape[0] == 1
    assert "| 1 | z |" in markdown
    assert json.loads(data)["groups"][0]["rows"][0]["scores"]["provenance"] == provenance()
    assert files == ""


def test_each_way_of_scoring_has_its_plot():
    other = model("b", came_from=provenance(STARTER))
    assert board(scores_1=model("a"), scores_2=other)[2].shape[0] == 2


def test_files_hold_what_the_sockets_give(output):
    *_, table, plot, markdown, csv, data, files = board("scores/board", scores_1=model("a"))
    paths = [output / name for name in files.splitlines()]
    assert [path.name for path in paths] == [
        "board_00001_.md",
        "board_00001_.csv",
        "board_00001_.json",
        "board_00001_table.png",
        "board_00001_trilemma.png",
    ]
    assert [path.read_text() for path in paths[:3]] == [markdown, csv, data]
    for path, image in zip(paths[3:], (table, plot), strict=True):
        assert Image.open(path).size == (image.shape[2], image.shape[1])


def test_the_pictures_hold_the_graph(output):
    graph = {"1": {"class_type": "TrilemmaLeaderboard"}}
    files = Leaderboard().run("fid", "fid", "recall", "light", "b", graph, scores_1=model("a"))["result"][-1]
    assert json.loads(Image.open(output / files.splitlines()[-1]).text["prompt"]) == graph


def sent(**scores):
    """What the page is sent of the samples of each row."""
    (panel,) = Leaderboard().run("fid", "fid", "recall", "light", "", **scores)["ui"]["trilemma_board"]
    return [cells["samples"] for cells in panel["cells"][0]]


@torch.inference_mode()
def benchmarked(output, name):
    """What Benchmark Generator gives, with the text of its report."""
    benchmark = NODE_CLASS_MAPPINGS["TrilemmaBenchmarkGenerator"]()
    handles = (handle(ToyGenerator()), handle(Toy()))
    given = {"num_images": 12, "first_seed": 3, "filename_prefix": name, "name": name, "num_shown": 10}
    scores, *_, file = benchmark.run(*handles, features(0, 50, "real", 40), **given)["result"]
    return scores, (output / file).read_text()


def test_the_page_has_the_best_and_the_worst_samples_as_files(output, monkeypatch):
    monkeypatch.setattr(host, "has_page", lambda: True)
    monkeypatch.setitem(standalone._places, "temp", output / "temp")
    scores, text = benchmarked(output, "drawn")
    (drawn,) = sent(scores_1=scores)
    for end in ("best", "worst"):
        assert [each["seed"] for each in drawn[end]] == [str(each["seed"]) for each in scores.provenance[end]]
        assert ["filename" in each for each in drawn[end]] == [True] * 8 + [False] * 2
        for place, each in enumerate(drawn[end][:8]):
            with Image.open(output / each["type"] / each["filename"]) as picture:
                assert (picture.size[1], picture.size[0], 3) == scores.pictures[end][place].shape
                assert picture.tobytes() == scores.pictures[end][place].numpy().tobytes()
    # Resumed, and as another machine reads the report.
    resumed, _ = benchmarked(output, "drawn")
    assert [len(each) for each in sent(scores_1=resumed)[0]["best"]] == [len(each) for each in drawn["best"]]
    assert sent(scores_1=from_json(text)) == [drawn]


def test_a_report_without_pictures_tells_its_seeds(output, monkeypatch):
    monkeypatch.setattr(host, "has_page", lambda: True)
    scores, text = benchmarked(output, "old")
    old = {name: value for name, value in json.loads(text).items() if name != "pictures"}
    (samples,) = sent(scores_1=from_json(json.dumps(old)))
    assert samples["best"][0] == {"seed": str(scores.provenance["best"][0]["seed"]), "condition": ""}
    assert sent(scores_1=model("a")) == [{"best": [], "worst": []}]


def test_without_a_page_no_files_are_written(output, monkeypatch):
    monkeypatch.setitem(standalone._places, "temp", output / "temp")
    scores, _ = benchmarked(output, "drawn")
    assert all("filename" not in each for each in sent(scores_1=scores)[0]["best"])
    assert not (output / "temp").exists()


Published, Text = (NODE_CLASS_MAPPINGS[f"Trilemma{name}"] for name in ("PublishedScores", "PaperText"))


def test_the_literature_stands_below_and_in_the_picture():
    published, data, bibtex, report = Published().run("ADM", "")["result"]
    found = board(scores_1=model("a"), published=published)
    assert found[1].shape[1] > board(scores_1=model("a"))[1].shape[1]
    assert "| ADM 256 px | diffusion | 4.59 |" in found[3] and "| ADM 256 px | diffusion | 4.59 |" in report
    assert json.loads(data)["tables"][0]["cite"] == "dhariwal2021" and bibtex.startswith("@inproceedings{dhariwal2021,")
    alone = board(published=published)
    assert alone[0].groups == () and alone[1].shape[0] == alone[2].shape[0] == 1


def test_runs_make_one_row_where_that_is_asked_for():
    rows = {"scores_1": model("a", 4.0), "scores_2": model("a", 4.2)}
    assert [row.name for row in board(**rows)[0].groups[0].rows] == ["a", "a (2)"]
    (row,) = board(one_row="equal names", **rows)[0].groups[0].rows
    assert (row.name, row.rank, len(row.runs)) == ("a (2 runs)", 1, 2)


def test_text_of_a_leaderboard():
    leaderboard = board(scores_1=model("a", 4.0), scores_2=model("b", 9.0))[0]
    shown = Text().run(leaderboard, "fid", "recall", 1.0, 0.0, 0.0, 0.0)
    advice, methods, bibtex, report = shown["result"]
    assert advice == "Use for quality a (FID 4)."
    assert methods.startswith("We scored 2 models") and "@inproceedings{heusel2017," in bibtex
    assert shown["ui"]["text"] == [report] and all(text in report for text in (advice, methods, bibtex))


def test_nothing_connected():
    with pytest.raises(BadInput, match="scores_1: nothing is connected"):
        board()


def handle(value):
    return host.hold(Bound(value) if isinstance(value, ToyGenerator) else value, value.modules)


def diagnosed(**changes):
    with torch.inference_mode():
        return Diagnose().run(handle(ToyGenerator()), handle(Toy()), 12, 0, **changes)


def test_images_and_a_generator_of_them_give_the_same():
    images = pictures(20, 3) / 255
    given = diagnosed(images=images)["result"]
    source = host.Handle(Bound(Images(from_batch(images))), ())
    read = diagnosed(reference=source, num_reference=20, batch_size=3)["result"]
    assert given[3] == read[3]
    torch.testing.assert_close(given[1], read[1])
    # Active units and relevant dimensions are those of a VAE.
    assert math.isnan(given[5]) and math.isnan(given[9])
    assert all(0 <= share <= 1 for share in given[6:9])
    assert given[3].startswith("Toy: 12 samples against 20 reference pictures\nposterior collapse: no variational")
    assert [entry["sample"] for entry in json.loads(given[4])["nearest"]] == list(range(12))


@pytest.mark.parametrize("both", [False, True])
def test_one_reference_is_needed(both):
    images = pictures(8) / 255
    source = {"images": images, "reference": host.Handle(Bound(Images(from_batch(images))), ())} if both else {}
    with pytest.raises(BadInput, match="images, reference: connect one of the two"):
        diagnosed(**source)
