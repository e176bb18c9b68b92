"""Graphs that are checked by the rules of ComfyUI's executor before anything runs."""

import pytest
from trilemma import NODE_CLASS_MAPPINGS
from trilemma.host import core_nodes
from trilemma.host.graph import run
from trilemma.host.problems import InvalidGraph
from trilemma.host.validation import declared_inputs, validate
from trilemma.tests.host.graph_nodes import NODES, Number, OwnRules, node, typed


def problems(graph):
    with pytest.raises(InvalidGraph) as caught:
        run(graph, NODES)
    return caught.value.problems


@pytest.mark.parametrize(
    ("name", "given", "received"),
    [
        ("integer", "3", 3),
        ("integer", 3.0, 3),
        ("real", "0.5", 0.5),
        ("real", 2, 2.0),
        ("text", 12, "12"),
        ("flag", 1, True),
        ("flag", False, False),
        ("choice", "b", "b"),
        ("newer_choice", "b", "b"),
        ("anything", {"__value__": [1, 2]}, [1, 2]),
        ("anything", {"a": 1}, {"a": 1}),
    ],
)
def test_constants_take_the_declared_type(name, given, received):
    value = typed(**{name: given})[name]

    assert value == received and type(value) is type(received)


@pytest.mark.parametrize(
    ("name", "given", "said"),
    [
        ("integer", "three", "'three' is not of type INT"),
        ("real", None, "None is not of type FLOAT"),
        ("integer", -1, "-1 is below the minimum of 0"),
        ("integer", 6, "6 is above the maximum of 5"),
        ("choice", "c", "'c' is not in its list: 'a', 'b'"),
        ("newer_choice", "c", "'c' is not in its list: 'a', 'b'"),
        ("anything", [1, 2, 3], "read as a link"),
        ("anything", ["7", 0], "wired to node 7, which is not in the graph"),
        ("anything", ["1", 3], "wired to output 3 of Picture, which has 1 outputs"),
        ("picture", ["2", 0], "takes IMAGE,MASK, but is wired to INT"),
        ("choice", ["2", 0], "but is wired to INT"),
    ],
)
def test_a_wrong_input_is_named_with_its_node(name, given, said):
    graph = {"1": node("Picture"), "2": node("Number", value=1), "9": node("Typed", "My node", **{name: given})}

    (problem,) = problems(graph)

    assert (problem.node_id, problem.title, problem.class_type, problem.input) == ("9", "My node", "Typed", name)
    assert said in problem.message
    assert str(problem) == f"My node (#9, Typed), input {name!r}: {problem.message}"


def test_unions_take_each_of_their_types_and_a_star_takes_all():
    received = typed(picture=["1", 0], anything=["2", 0])

    assert received["picture"].shape == (1, 2, 2, 3)
    assert received["anything"] == 1


def test_a_missing_required_input_is_a_problem_and_an_optional_one_is_left_out():
    (problem,) = problems({"1": node("Show")})

    assert problem.input == "value" and "required" in problem.message
    assert set(typed()) == {"own_id", "prompt", "pnginfo", "dynamic"}


def test_all_problems_are_told_at_once():
    found = problems({"1": node("Pair", b="x"), "2": node("Number", value=99), "3": node("Show", value=["2", 0])})

    assert [(problem.node_id, problem.input) for problem in found] == [("1", "a"), ("1", "b"), ("2", "value")]


def test_undeclared_inputs_are_dropped():
    assert "surprise" not in typed(surprise=1)


def test_own_validation_replaces_the_range_check_of_the_inputs_it_names():
    assert run({"1": node("OwnRules", even=12, small=1)}, NODES)["1"]["even"] == [12]
    (odd,) = problems({"1": node("OwnRules", even=3, small=1)})
    (large,) = problems({"1": node("OwnRules", even=2, small=11)})
    assert (odd.input, odd.message) == ("even", "3 is odd")
    assert large.input == "small" and "above the maximum" in large.message


def test_own_validation_sees_none_for_wired_inputs():
    graph = {"1": node("Number", value=3), "2": node("OwnRules", even=["1", 0], small=1)}

    assert run(graph, NODES)["2"]["even"] == [3]


def test_an_error_inside_own_validation_is_a_problem_of_the_node():
    class Careless(OwnRules):
        @classmethod
        def VALIDATE_INPUTS(cls, even):
            return even % 2 == 0

    with pytest.raises(InvalidGraph, match=r"its check failed: .*NoneType"):
        run({"1": node("Number", value=3), "2": node("X", even=["1", 0], small=1)}, {"X": Careless, "Number": Number})
    with pytest.raises(InvalidGraph, match="refused by the node"):
        run({"2": node("X", even=3, small=1)}, {"X": Careless})


def test_own_validation_may_judge_the_types_of_wires():
    assert run({"1": node("Number", value=3), "2": node("OwnTypes", value=["1", 0])}, NODES)["2"]["value"] == [3]
    (problem,) = problems({"1": node("Picture"), "2": node("OwnTypes", value=["1", 0])})
    assert problem.message == "cannot take IMAGE"


def test_a_circle_is_told_by_its_titles():
    graph = {
        "1": node("Show", "First", value=["3", 0]),
        "2": node("Show", "Second", value=["1", 0]),
        "3": node("Show", "Third", value=["2", 0]),
    }

    (problem,) = problems(graph)

    assert problem.message == "The graph runs in a circle: First -> Second -> Third -> First."


def test_an_unknown_node_type_is_told_with_the_nearest_one():
    near, far = problems({"1": node("Numbr", "N", value=1), "2": node("Zzzzz")})

    assert str(near) == "N (#1, Numbr): there is no node type 'Numbr'; did you mean 'Number'?"
    assert "--comfyui PATH" in far.message


def test_nodes_that_only_comfyui_can_run_say_so():
    (problem,) = problems({"1": node("KSampler", "Sampler"), "2": node("Show", value=1)})

    assert str(problem) == "Sampler (#1, KSampler): this node is ComfyUI's own; run the graph with --comfyui PATH."


def test_a_graph_without_outputs_is_refused():
    (problem,) = problems({"1": node("Number", value=1)})

    assert "no output node" in problem.message


@pytest.mark.parametrize(
    "graph", [{}, [], "text", {"1": 2}, {"1": {"inputs": {}}}, {"1": {"class_type": "Show", "inputs": 1}}]
)
def test_what_is_no_graph_is_refused(graph):
    assert len(problems(graph)) == 1


@pytest.mark.parametrize("value", ["text", 5, 0.5, True, {"a": 1}, {"__value__": [1]}])
@pytest.mark.parametrize("name", ["TrilemmaDetectByText", "TrilemmaScore", "TrilemmaSegment", "MaskToImage"])
def test_a_value_where_a_socket_belongs_is_refused(name, value):
    """Of every input that only a node can fill."""
    classes = {**core_nodes.NODES, **NODE_CLASS_MAPPINGS}
    sockets = {key for key, spec in declared_inputs(classes[name]).items() if spec.required and is_socket(spec)}
    graph = {"1": node(name, **dict.fromkeys(sockets, value)), "2": node("PreviewAny", source=["1", 0])}

    with pytest.raises(InvalidGraph) as caught:
        validate(graph, classes)

    refused = {problem.input for problem in caught.value.problems if "wire a node to it" in problem.message}
    assert sockets and refused == sockets


def is_socket(spec):
    return isinstance(spec.type, str) and spec.type not in ("INT", "FLOAT", "STRING", "BOOLEAN", "BOUNDING_BOX", "*")


def test_an_optional_socket_may_be_null():
    classes = {**core_nodes.NODES, **NODE_CLASS_MAPPINGS}
    graph = {
        "1": node("EmptyImage", width=8, height=8, batch_size=1, color=0),
        "2": node("TrilemmaCropObjects", image=["1", 0], objects=None, mask=None),
        "3": node("PreviewImage", images=["2", 0]),
    }

    nodes, _ = validate(graph, classes)

    assert nodes["2"].values["mask"] is None
