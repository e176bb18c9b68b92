"""Memory that runs out at any operation, in the graph of any node: a sentence or the right result, then as before."""

import random

import pytest
from trilemma.host import graph as runner
from trilemma.host import standalone
from trilemma.host.problems import InvalidGraph, NodeFailed
from trilemma.models.errors import TrilemmaError
from trilemma.tests.faults.injection import SHORTAGES, Moment, alike, raising, run
from trilemma.tests.graphs import world
from trilemma.tests.graphs.node_graphs import CLASSES, graph_of
from trilemma.tests.graphs.running import kinds_of

pytestmark = pytest.mark.slow

PER_NODE = 20
"""Of the moments asked for, each node gets one in so many."""
KINDS = [kind.__name__ for kind in kinds_of(TrilemmaError)]
SAMPLED = 10
"""Nodes that `make test` asks, at one moment each."""


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    before = dict(standalone._places)
    root = tmp_path_factory.mktemp("memory")
    world.prepare(root, with_models=False)
    world.use(root)
    yield root
    standalone._places.update(before)


def test_a_run_without_memory_ends_in_a_sentence_and_the_next_one_is_right(folders, faults):
    names = sorted(CLASSES) if faults else random.Random(0).sample(sorted(CLASSES), SAMPLED)
    told, halved, passed = 0, 0, []
    for name in names:
        graph, _ = graph_of(name)
        for node in graph.values():  # each run writes the same file
            if "overwrite" in CLASSES[node["class_type"]].INPUT_TYPES().get("optional", {}):
                node["inputs"]["overwrite"] = True
        try:
            run(graph, name)  # what is kept from the first run on, such as features, is there
        except (InvalidGraph, NodeFailed):  # it wants a model or a file that is not there
            passed.append(name)
            continue
        with Moment() as whole:
            expected = run(graph, name)
        rng = random.Random(name)
        for _ in range(faults // PER_NODE or 1):
            if not whole.done:
                passed.append(name)
                break
            kind = rng.choice(sorted(SHORTAGES))
            at = rng.randrange(whole.done)
            case = f"{name}, {kind} at {at} of {whole.done}"
            try:
                with Moment(at, raising(SHORTAGES[kind])):
                    found = run(graph, name)
            except NodeFailed as failed:
                # Literature Table names each system, with why it was not measured.
                assert failed.kind in KINDS and "memory: it does not suffice" in str(failed), case
                told += 1
            else:
                assert alike(found, expected), case
                halved += 1
            assert alike(run(graph, name), expected), case
    print(f"{told} told, {halved} with less at once; not asked: {passed}")
    assert told


def test_the_devices_memory_is_told_too():
    graph, _ = graph_of("InvertMask")
    told = pytest.raises(NodeFailed, match=r"memory: it does not suffice .*; take fewer or smaller images")
    with told, Moment(1, raising(SHORTAGES["device"])):
        runner.run(graph, CLASSES)
