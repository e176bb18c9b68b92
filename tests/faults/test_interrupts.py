"""Examples that are interrupted at random moments: they stop there, hold nothing, and the next run is right."""

import json
import os
import random
import shutil
import traceback

import pytest
import torch
from trilemma.host.problems import InvalidGraph
from trilemma.tests.faults.interrupting import Flag, difference, flag, held, places, run
from trilemma.tests.graphs import world
from trilemma.tests.graphs.node_graphs import CLASSES, ROOT, without_much_work

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not hasattr(os, "fork"), reason="the system cannot copy a process"),
]

FOLDER = ROOT / "example_workflows" / "api"
EXAMPLES = sorted(path.stem for path in FOLDER.glob("*.json"))
QUICK = ("complete_image", "grounded_inpaint", "latent_walk")
"""Those of `make test`."""
AS_MANY = ("classifier_guidance", "four_families", "known_truth", "reconstruct", "stylegan_walk")
"""With fewer samples than these draw, a node of theirs has nothing to say; they take few steps."""
ONE_SYSTEM = {"literature_table": "starter emoji vae"}
MOST_SECONDS = 400.0
AGAIN = 3
"""Interrupts of an example after which it is looked what is held, and the whole is run again: they cost most."""
SPARE = 2**20
"""Bytes that a run may leave behind: of generators of noise, small tables."""


def graph_of(name):
    graph = json.loads((FOLDER / f"{name}.json").read_text())
    if not all(node["class_type"] in CLASSES for node in graph.values()):
        pytest.skip("has nodes of ComfyUI's own")
    for node in graph.values():
        if name in ONE_SYSTEM and "systems" in node["inputs"]:
            node["inputs"]["systems"] = ONE_SYSTEM[name]
    small = without_much_work(graph)
    if name in AS_MANY:
        for node_id, node in graph.items():
            if "steps" in node["inputs"]:
                node["inputs"]["steps"] = small[node_id]["inputs"]["steps"]
        return graph
    return small


@pytest.fixture
def folders(tmp_path):
    root = tmp_path / "world"
    world.prepare(root, with_models=False)
    threads = torch.get_num_threads()
    # Threads are not copied with a process.
    torch.set_num_threads(1)
    with places(**{place: root / place for place in world.PLACES}):
        yield tmp_path
    torch.set_num_threads(threads)


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_interrupt_stops_at_once_and_the_next_run_is_right(name, folders, faults):
    if not faults and name not in QUICK:
        pytest.skip("`make test-faults` interrupts it")
    graph = graph_of(name)
    try:
        with flag(Flag()) as whole:
            expected = run(graph, folders / "first")
    except InvalidGraph as error:
        pytest.skip(f"needs files of others: {str(error)[:80]}")
    before = held()
    count = min(whole.looks, faults // 2 or 3)
    rng = random.Random(name)
    moments = rng.sample(range(whole.looks), count)
    again = set(rng.sample(moments, min(count, AGAIN)))
    output = folders / "second"
    output.mkdir()
    with flag(Flag(moments, MOST_SECONDS)) as seen:
        try:
            found = run(graph, output)
        except KeyboardInterrupt:
            pass
        else:
            assert seen.answer < 0, "the copy goes on as if it were not interrupted"
            assert not difference(found, expected)
            assert sorted(seen.verdicts) == sorted(moments)
            assert {moment: verdict for moment, verdict in seen.verdicts.items() if verdict} == {}
            print(f"{name}: interrupted at {len(moments)} of {whole.looks} looks, run again after {len(again)}")
            return
        # Here is a copy, and the graph was stopped in it.
        seen.end(judged(seen, graph, folders, expected, before, seen.moment in again))


def judged(seen, graph, folders, expected, before, again):
    """What is wrong with a graph that was stopped; empty if nothing is."""
    try:
        if seen.after:
            return f"{seen.after} steps came after the interrupt"
        if not again:
            return ""
        surplus = held() - before
        if surplus > SPARE:
            return f"{surplus} bytes are held on to"
        # Into the same folder: what was kept of the stopped run is gone on from.
        shutil.copytree(folders / "second", folders / "third", dirs_exist_ok=True)
        for picture in (folders / "third").rglob("*_0000*"):
            picture.unlink()
        found = run(graph, folders / "third")
        shutil.rmtree(folders / "third")
        if said := difference(found, expected):
            return f"the next run gave other pictures: {said}"
    except BaseException:
        return traceback.format_exc()
    return ""
