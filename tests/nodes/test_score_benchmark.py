"""The nodes that draw and score, on the smallest generator and extractor, and one graph that is run again."""

import json

import pytest
import torch
from trilemma import host
from trilemma.host import graph, standalone
from trilemma.models.generators.binding import Bound
from trilemma.models.scoring.scores import from_json
from trilemma.nodes import NODE_CLASS_MAPPINGS
from trilemma.tests.generators.toy import HEIGHT, WIDTH
from trilemma.tests.generators.toy import Toy as ToyGenerator
from trilemma.tests.nodes.running_graph import RunningGraph
from trilemma.tests.scoring.toy import Toy, features

pytestmark = pytest.mark.slow

Benchmark = NODE_CLASS_MAPPINGS["TrilemmaBenchmarkGenerator"]
REFERENCE = features(0, 50, "real", 40)


@pytest.fixture(autouse=True)
def output(tmp_path, monkeypatch):
    monkeypatch.setitem(standalone._places, "output", tmp_path)
    return tmp_path


def handles(generator=None):
    generator, extractor = generator or ToyGenerator(), Toy()
    return host.hold(Bound(generator), generator.modules), host.hold(extractor, extractor.modules)


@torch.inference_mode()
def run(generator=None, **settings):
    settings = {"num_images": 12, "first_seed": 3, "filename_prefix": "bench/toy", "num_shown": 2, **settings}
    return Benchmark().run(*handles(generator), REFERENCE, **settings)


def test_scores_strips_and_a_report(output):
    shown = run(name="mine", prompt={"1": {}}, nearest_k=2)
    scores, taken, best, worst, data, report, file = shown["result"]
    assert scores.name == taken.name == "mine"
    assert taken.count == 12
    assert best.shape == worst.shape == (1, HEIGHT, 2 * WIDTH, 3)
    assert from_json((output / file).read_text()) == from_json(data) == scores
    assert "pictures" not in json.loads(data)
    assert scores.provenance["graph"] == {"1": {}}
    assert report in shown["ui"]["text"][0]
    assert "seconds per image" in report


def test_an_interrupt_keeps_what_was_drawn():
    generator = ToyGenerator()
    original = generator.draw

    def draw(requests, options, on_step):
        if requests[0].index == 6:
            host.interrupt()
        return original(requests, options, on_step)

    generator.draw = draw
    with pytest.raises(standalone.Interrupted):
        run(generator, batch_size=3)
    assert generator.drawn == [0, 1, 2, 3, 4, 5]
    generator.draw = original
    assert run(generator, batch_size=3)["result"][1].count == 12
    assert generator.drawn[:12] == list(range(12))


def test_defaults_are_the_librarys_own():
    given = Benchmark.INPUT_TYPES()["optional"].items()
    settings = {name: spec[1].get("default", spec[0][0]) for name, spec in given if name != "held_out"}
    settings["num_shown"] = 2
    first, second = (run(**changes)["result"][0] for changes in (settings, {}))
    assert first.scores == second.scores


def test_pictures_that_are_given_back_name_their_reader_and_neighbourhoods_their_rule():
    graph = RunningGraph(
        _1=("TrilemmaImagesAsGenerator", {"folder": "set"}), _2=("TrilemmaBenchmarkGenerator", {"generator": ["1", 0]})
    )
    reference = REFERENCE._replace(readers=("PyAV",))
    told = {"graph": graph, "node_id": "2", "neighbourhood": "closed"}
    with torch.inference_mode():
        scores, taken, *_, report, _ = Benchmark().run(*handles(), reference, 12, 0, "read/toy", **told)["result"]
        shown = NODE_CLASS_MAPPINGS["TrilemmaSweep"]().run(
            *handles(), reference, "truncation_psi", "0.3, 1", 12, 0, "read/swept", **told
        )
    assert taken.readers == ("Pillow",)
    assert "generated set's files were read by Pillow, the reference's by PyAV" in report
    for each in (scores, *shown["result"][2]):
        assert each.provenance["readers"] == {"generated": ["Pillow"], "reference": ["PyAV"]}
        assert each.provenance["taken_by"]["neighbourhood"] == "closed"


def test_a_report_alone_is_enough_to_run_it_again(output):
    def node(kind, **inputs):
        return {"class_type": f"Trilemma{kind}", "inputs": inputs}

    made = {
        "1": node("LoadGenerator", model="starter emoji vae"),
        "2": node("LoadFeatureExtractor", model="starter emoji classifier", resize="TF1"),
        "3": node("ExampleReference", reference="starter emoji pictures"),
        "4": node(
            "BenchmarkGenerator", generator=["1", 0], extractor=["2", 0], reference=["3", 0], num_images=12,
            first_seed=7, filename_prefix="first/vae", name="VAE",
        ),
    }  # fmt: skip
    graph.run(made, NODE_CLASS_MAPPINGS)
    (file,) = output.glob("first/*/12.json")
    first = from_json(file.read_text())
    assert set(first.provenance["files"]) == {"emoji_vae/model.safetensors", "emoji_classifier/model.safetensors"}
    again = json.loads(file.read_text())["provenance"]["graph"]
    again["4"]["inputs"]["filename_prefix"] = "again/vae"
    graph.run(again, NODE_CLASS_MAPPINGS)
    second = from_json(next(output.glob("again/*/12.json")).read_text())
    assert second.scores == first.scores
    assert second.provenance["key"] == first.provenance["key"]


def test_a_sweep_gives_its_knee_curves_and_every_score(output):
    node = NODE_CLASS_MAPPINGS["TrilemmaSweep"]
    with torch.inference_mode():
        shown = node().run(*handles(), REFERENCE, "truncation_psi", "0.3, 1, 0.6", 12, 0, "sweep/toy", nearest_k=2)
    knee, value, scores, curves, data, report = shown["result"]
    assert [each.provenance["settings"]["truncation_psi"] for each in scores] == [0.3, 0.6, 1.0]
    assert knee in scores
    assert knee.provenance["settings"]["truncation_psi"] == value
    assert curves.shape[0] == 3
    assert json.loads(data)["values"] == [0.3, 0.6, 1.0]
    assert report.splitlines()[2].split()[0] == "0.3"
    assert len(list(output.glob("sweep/*/12.json"))) == 3
