"""Graphs run by the rules of ComfyUI's executor, each rule with a node made for it."""

import pytest
import torch
from trilemma import host
from trilemma.host.graph import run
from trilemma.host.problems import NodeFailed
from trilemma.tests.host.graph_nodes import NODES, Either, node


def test_values_flow_from_node_to_node():
    graph = {"b": node("Show", value=["a", 0]), "a": node("Number", value=7)}

    assert run(graph, NODES) == {"b": {"seen": [7]}}


def test_a_node_runs_once_for_all_that_read_it():
    started = []
    graph = {
        "1": node("Number", "N", value=7),
        "2": node("Show", "A", value=["1", 0]),
        "3": node("Show", "B", value=["1", 0]),
    }

    run(graph, NODES, on_node=started.append)

    assert started == ["N", "A", "B"]


def test_nodes_that_no_output_needs_are_neither_checked_nor_run():
    started = []
    graph = {"1": node("Number", "Idle", value=999), "2": node("Show", "Out", value=1)}

    run(graph, NODES, on_node=started.append)

    assert started == ["Out"]


def test_the_graph_is_not_changed():
    graph = {"1": node("Typed", integer="3")}

    run(graph, NODES)

    assert graph == {"1": node("Typed", integer="3")}


def test_hidden_inputs():
    workflow = {"nodes": []}
    graph = {"5:3": node("Typed", "T", integer=1)}

    received = run(graph, NODES, workflow)["5:3"]["inputs"][0]

    assert received["own_id"] == "5:3"
    assert received["prompt"] == graph and received["prompt"] is not graph
    assert received["pnginfo"] == {"workflow": workflow}
    assert received["dynamic"].get_node("5:3")["inputs"] == {"integer": 1}
    assert received["dynamic"].has_node("5:3") and received["dynamic"].all_node_ids() == {"5:3"}
    assert received["dynamic"].get_original_prompt() == graph
    assert run(graph, NODES)["5:3"]["inputs"][0]["pnginfo"] is None


def test_a_list_runs_the_node_once_per_entry_and_shorter_lists_repeat_their_last():
    graph = {"1": node("Spread", count=3), "2": node("Spread", count=2), "3": node("Pair", a=["1", 0], b=["2", 0])}

    assert run(graph, NODES)["3"] == {"pairs": ["00", "11", "21"], "calls": [1, 1, 1]}


def test_constants_repeat_beside_a_list():
    graph = {"1": node("Spread", count=2), "2": node("Pair", a=["1", 0], b=5), "3": node("Show", value=["2", 0])}

    assert run(graph, NODES)["3"]["seen"] == ["05", "15"]


def test_a_node_that_takes_lists_runs_once():
    graph = {"1": node("Spread", count=3), "2": node("Gather", a=["1", 0], b=4)}

    assert run(graph, NODES)["2"] == {"pairs": [[0, 1, 2], [4]], "calls": [1]}


def test_list_outputs_of_several_calls_are_joined_and_others_stand_side_by_side():
    graph = {
        "1": node("Spread", count=3),
        "2": node("Spread", count=["1", 0]),
        "3": node("Show", value=["2", 0]),
        "4": node("Show", value=["2", 1]),
    }

    shown = run(graph, NODES)

    assert shown["3"]["seen"] == [0, 0, 1]
    assert shown["4"]["seen"] == ["0 numbers", "1 numbers", "2 numbers"]


def test_an_empty_list_is_a_clear_failure():
    graph = {"1": node("Spread", count=0), "2": node("Pair", "Two", a=["1", 0], b=1)}

    with pytest.raises(NodeFailed, match=r"Two \(#2, Pair\): input 'a' is wired to an empty list"):
        run(graph, NODES)


@pytest.mark.parametrize(("first", "ran", "result"), [(True, ["A"], (1, None)), (False, ["B"], (None, 2))])
def test_of_lazy_inputs_only_those_asked_for_are_run(first, ran, result):
    started = []
    graph = {
        "1": node("Number", "A", value=1),
        "2": node("Number", "B", value=2),
        "3": node("Either", "E", first=first, a=["1", 0], b=["2", 0]),
        "4": node("Show", "S", value=["3", 0]),
    }

    assert run(graph, NODES, on_node=started.append)["4"]["seen"] == [result]
    assert started == [*ran, "E", "S"]


class Silent(Either):
    def check_lazy_status(self, first, a, b):
        return None


class Unasked:
    INPUT_TYPES = Either.INPUT_TYPES
    RETURN_TYPES = ("*",)
    FUNCTION = "run"
    run = Either.run


@pytest.mark.parametrize("lazy_node", [Silent, Unasked])
def test_a_lazy_input_that_nobody_asks_for_stays_none(lazy_node):
    graph = {
        "1": node("Number", value=1),
        "3": node("Lazy", first=True, a=["1", 0], b=["1", 0]),
        "4": node("Show", value=["3", 0]),
    }

    assert run(graph, {**NODES, "Lazy": lazy_node})["4"]["seen"] == [(None, None)]


def test_async_functions_are_awaited():
    assert run({"1": node("Later", value=1), "2": node("Show", value=["1", 0])}, NODES)["2"]["seen"] == [2]


def test_the_whole_graph_runs_in_inference_mode():
    assert run({"1": node("Inference")}, NODES)["1"]["mode"] == [True]
    assert not torch.is_inference_mode_enabled()


def test_a_failing_node_is_named_with_what_it_was_given():
    graph = {"1": node("Picture"), "2": node("Fails", "Breaks", image=["1", 0], limit=2)}

    with pytest.raises(NodeFailed) as caught:
        run(graph, NODES)

    assert str(caught.value) == "Breaks (#2, Fails): images: 3 frames are above the limit"
    assert caught.value.inputs == {"limit": "2", "image": "Tensor[1, 2, 2, 3]"}
    assert isinstance(caught.value.__cause__, ValueError)


def test_a_failure_behind_a_lazy_input_is_told_of_its_own_node():
    graph = {
        "1": node("Fails", "Breaks", image=1, limit=2),
        "2": node("Either", first=True, a=["1", 0], b=["1", 0]),
        "3": node("Show", value=["2", 0]),
    }

    with pytest.raises(NodeFailed, match=r"^Breaks"):
        run(graph, NODES)


def test_a_node_that_returns_too_little_is_the_one_that_fails():
    with pytest.raises(NodeFailed, match=r"Short \(#1, Short\): returned 1 outputs, but output 1 is wired"):
        run({"1": node("Short"), "2": node("Show", value=["1", 1])}, NODES)


def test_growing_graphs_need_comfyui():
    with pytest.raises(NodeFailed, match="--comfyui PATH"):
        run({"1": node("Grows")}, NODES)


def test_an_interrupt_stops_before_the_next_node():
    started = []

    def stop_at_first(title):
        started.append(title)
        host.interrupt()

    graph = {"1": node("Number", "N", value=1), "2": node("Show", "S", value=["1", 0])}
    with pytest.raises(KeyboardInterrupt):
        run(graph, NODES, on_node=stop_at_first)
    assert started == ["N"]


@pytest.mark.parametrize("lazy", [False, True])
def test_long_chains_run(lazy):
    """ComfyUI runs them: longer than Python's own stack is deep."""
    length = 3000
    graph = {"0": node("Number", value=7)}
    for number in range(1, length + 1):
        source = [str(number - 1), 0]
        graph[str(number)] = node("Either", first=True, a=source, b=source) if lazy else node("Number", value=source)
    graph["end"] = node("Show", value=[str(length), 0])
    started = []

    run(graph, NODES, on_node=started.append)

    assert len(started) == length + 2


class Greedy:
    RETURN_TYPES = ("INT",)
    FUNCTION = "run"
    CATEGORY = "test"
    OUTPUT_NODE = True

    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {}}

    def run(self):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")


def test_a_device_that_is_full_is_told_as_the_main_memory_is():
    with pytest.raises(
        NodeFailed, match=r"memory: it does not suffice \(CUDA .*\); take fewer or smaller images"
    ) as told:
        run({"1": {"class_type": "Greedy", "inputs": {}}}, {"Greedy": Greedy})
    assert told.value.kind == "CannotDo"
