"""Two prompts at once, in threads of one process and in processes that share their folders: nothing is lost."""

import json
import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext

import numpy as np
import pytest
import torch
from PIL import Image
from trilemma.host import core_nodes, standalone
from trilemma.host import graph as runner
from trilemma.models.files.atomic import Taken, locked
from trilemma.models.generators import saving
from trilemma.models.generators.binding import Bound
from trilemma.models.scoring.benchmark.run import Benchmark, Plan
from trilemma.models.scoring.features import feature_files
from trilemma.tests.faults.interrupting import places
from trilemma.tests.faults.killing import hidden, visible
from trilemma.tests.faults.test_killed_runs import RUNS, with_pictures
from trilemma.tests.faults.writers import WRITERS
from trilemma.tests.generators.toy import Toy as ToyGenerator
from trilemma.tests.graphs import world
from trilemma.tests.graphs.node_graphs import CLASSES, ROOT, without_much_work
from trilemma.tests.scoring.toy import Toy, features

pytestmark = pytest.mark.slow

MANY = 4


def in_threads(work):
    """The results of `work(number)` for MANY numbers at once."""
    gate = threading.Barrier(MANY)

    def begin(number):
        gate.wait()
        return work(number)

    with ThreadPoolExecutor(MANY) as pool:
        return list(pool.map(begin, range(MANY)))


def in_processes(work):
    """The same in copies of this process, which give nothing back."""
    if not hasattr(os, "fork"):
        pytest.skip("the system cannot copy a process")
    reading, writing = os.pipe()
    children = []
    for number in range(MANY):
        child = os.fork()
        if not child:
            status = 1
            try:
                torch.set_num_threads(1)
                os.close(writing)
                os.read(reading, 1)  # until all are there
                work(number)
                status = 0
            except BaseException as error:
                os.write(2, f"{type(error).__name__}: {error}\n".encode())
            os._exit(status)
        children.append(child)
    os.close(writing)
    os.close(reading)
    assert [os.WEXITSTATUS(os.waitpid(child, 0)[1]) for child in children] == [0] * MANY


BOTH = pytest.mark.parametrize("at_once", [in_threads, in_processes])


def picture(number):
    return torch.full((2, 24, 24, 3), number / 255)


@BOTH
@pytest.mark.parametrize("save", ["samples", "images"])
def test_no_picture_takes_the_place_of_another(save, at_once, tmp_path):
    def work(number):
        for turn in range(5):
            images = picture(number * 5 + turn)
            if save == "samples":
                saving.save(images, [{}, {}], tmp_path, "run/x", {})
            else:
                core_nodes.write_images(images, tmp_path, "run/x", None, None)

    at_once(work)
    files = sorted((tmp_path / "run").glob("*.png"))
    values = sorted(int(np.asarray(Image.open(file)).max()) for file in files)
    assert values == sorted(2 * list(range(5 * MANY)))
    assert [file.name for file in files] == [f"x_{number:05}_.png" for number in range(1, 10 * MANY + 1)]
    assert not hidden(tmp_path)


@BOTH
@pytest.mark.parametrize("name", WRITERS)
def test_writers_leave_whole_files(name, at_once, tmp_path):
    writer, whole = WRITERS[name], {}
    for version in range(MANY):
        writer.prepare(tmp_path, version)
        alone = tmp_path.with_name(f"{tmp_path.name}_{version}")
        alone.mkdir()
        writer.prepare(alone, version)
        writer.write(alone, version)
        whole[version] = visible(alone)
    at_once(lambda number: writer.write(tmp_path, number))
    found = visible(tmp_path)
    known = [content for contents in whole.values() for content in contents.values()]
    if name == "features added":
        assert feature_files.load(tmp_path / "set.npz").count == 40 * MANY
    else:
        assert all(content in known for content in found.values())
    if writer.grows:
        assert len(found) == sum(map(len, whole.values())), "a file was lost"
    assert not [each for each in hidden(tmp_path) if not each.startswith(".source")]


@BOTH
@pytest.mark.parametrize("name", ["Benchmark Generator", "shards of a benchmark", "index of a folder"])
def test_runs_in_one_folder_end_as_one_alone(name, at_once, tmp_path):
    run = RUNS[name]
    once, shared = tmp_path / "once", tmp_path / "shared"
    once.mkdir()
    shared.mkdir()
    if name == "index of a folder":
        with_pictures(shared)
    run.work(once)

    def work(number):
        while True:
            try:
                # As `gather` does: whoever comes second is told to call again.
                with locked(shared / "gathering", wait=False) if name.startswith("shards") else nullcontext():
                    return run.work(shared)
            except Taken:
                time.sleep(0.01)

    at_once(work)
    run.same(shared, once)


@BOTH
def test_parts_of_a_run_count_once(at_once, tmp_path):
    """A queue that is given to several servers, each of which adds what it has drawn to one file."""
    at_once(lambda number: feature_files.append(tmp_path / "set.npz", features(number * 30, number * 30 + 30)))
    assert feature_files.load(tmp_path / "set.npz").count == 30 * MANY


def test_a_longer_run_beside_a_shorter_one(tmp_path):
    def work(number):
        plan = Plan(20 + 10 * number, seed=5)
        run = Benchmark(Bound(ToyGenerator()), Toy(), features(0, 50, "real", 40), plan, tmp_path, save_seconds=0)
        return run.run(4, torch.device("cpu")).features.count

    assert in_threads(work) == [20 + 10 * number for number in range(MANY)]


def test_one_graph_in_threads(tmp_path):
    world.prepare(tmp_path, with_models=False)
    graph = json.loads((ROOT / "example_workflows" / "api" / "complete_image.json").read_text())
    graph = without_much_work(graph)

    def work(number):
        shown = runner.run(graph, CLASSES)
        return [image["filename"] for ui in shown.values() for image in ui.get("images", ())]

    with places(**{place: tmp_path / place for place in world.PLACES}):
        files = in_threads(work)
        pixels = [[_pixels(name) for name in names] for names in files]
    assert len({name for names in files for name in names}) == sum(map(len, files)), "two have one name"
    for other in pixels[1:]:
        for one, expected in zip(other, pixels[0], strict=True):
            assert int(np.abs(one - expected).max()) <= 1


def _pixels(name):
    (file,) = [*standalone.output_folder().rglob(name), *standalone.temp_folder().rglob(name)][:1]
    return np.asarray(Image.open(file)).astype(int)
