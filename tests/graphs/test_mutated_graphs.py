"""Mutated graphs, a few of those that `make test-graphs` runs by the thousand: each ends in a result or a sentence."""

import pytest
from trilemma.host import standalone
from trilemma.tests.graphs import mutations, running, world
from trilemma.tests.graphs.node_graphs import CLASSES, graph_of

COUNT = 80


@pytest.fixture(scope="module")
def places(tmp_path_factory):
    before = dict(standalone._places)
    root = tmp_path_factory.mktemp("graphs")
    world.prepare(root, with_models=False)
    world.use(root)
    yield root
    standalone._places.update(before)


def test_a_graph_comes_from_its_number_alone():
    first = [mutations.case(seed) for seed in range(40)]
    assert first == [mutations.case(seed) for seed in range(40)]
    assert len({case.content for case in first}) == 40
    assert {case.is_page_form for case in first} == {True, False}


def test_a_node_that_lost_its_inputs_is_left_alone_by_what_comes_after():
    assert mutations.case(2843).done


def test_every_node_has_a_graph():
    for name in CLASSES:
        graph, node_id = graph_of(name)
        assert graph[node_id]["class_type"] == name


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(COUNT))
def test_a_mutated_graph_ends_in_a_result_or_a_sentence(seed, places, tmp_path):
    case = mutations.case(seed)
    if case.is_page_form:
        pytest.importorskip("comfy_cli", reason="no comfy-cli to convert the page's form")
    outcome = running.run(case, tmp_path)
    # How long it took is no matter of the machine that tests run on.
    assert outcome.kind in (*running.CLEAR, "late"), (case.base, case.done, outcome)
