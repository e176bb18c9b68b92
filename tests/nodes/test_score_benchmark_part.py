"""The node that draws a part of a benchmark: parts add up to the run, and keep what headless.py fetches."""

import pytest
import torch
from trilemma import host
from trilemma.host import standalone
from trilemma.models.generators.binding import Bound
from trilemma.models.scoring.benchmark import candidates
from trilemma.models.scoring.benchmark.gathering import joined
from trilemma.models.scoring.features.feature_files import load_stored
from trilemma.models.scoring.features.feature_set import merge
from trilemma.nodes import NODE_CLASS_MAPPINGS
from trilemma.tests.closeness import assert_close
from trilemma.tests.generators.toy import Toy as ToyGenerator
from trilemma.tests.scoring.toy import Toy, features

Part = NODE_CLASS_MAPPINGS["TrilemmaBenchmarkPart"]
REFERENCE = features(0, 50, "real", 40)


@pytest.fixture(autouse=True)
def temp(tmp_path, monkeypatch):
    monkeypatch.setitem(standalone._places, "temp", tmp_path)
    return tmp_path


@torch.inference_mode()
def run(first, count, generator=None):
    generator, extractor = generator or ToyGenerator(), Toy()
    handles = (host.hold(Bound(generator), generator.modules), host.hold(extractor, extractor.modules))
    return Part().run(*handles, REFERENCE, first_image=first, num_images=count, first_seed=3, batch_size=4)


def test_parts_add_up_to_the_run(temp):
    whole, first, second = (run(*part)["result"] for part in ((0, 20), (0, 12), (12, 8)))
    together = merge([first[0], second[0]])
    assert torch.equal(together.keys, whole[0].keys)
    assert_close(together.rows.values, whole[0].rows.values)
    kept = [load_stored(temp / file) for _, file in (whole, first, second)]
    added = joined(*kept[1:])
    assert added.notes["candidates"] == candidates.merge([kept[0].notes["candidates"]])
    assert added.notes["device"] == "cpu"
    torch.testing.assert_close(
        added.features.taps[0].statistics.products, kept[0].features.taps[0].statistics.products, rtol=1e-12, atol=1e-12
    )


def test_the_name_of_the_file_tells_run_and_part(temp):
    shown = run(12, 8)
    file = shown["result"][1]
    assert file.startswith("benchmark_parts/") and file.endswith("/12/8.npz")
    assert shown["ui"]["text"][0].splitlines()[0] == file
    assert run(12, 4)["result"][1].split("/")[1] == file.split("/")[1]


def test_a_part_that_is_there_is_not_drawn_again():
    run(4, 8)
    again = ToyGenerator()
    assert run(4, 8, again)["result"][0].count == 8
    assert again.drawn == []
