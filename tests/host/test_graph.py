"""Graphs run by the rules of ComfyUI's executor, each rule with a node made for it."""

import pytest
import torch
from trilemma import host
from trilemma.host.graph import run
from trilemma.host.problems import InvalidGraph, NodeFailed


class Number:
    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"value": ("INT", {"default": 0, "min": -10, "max": 10})}}

    RETURN_TYPES = ("INT",)
    FUNCTION = "run"

    def run(self, value):
        return (value,)


class Show:
    """Shows each of its inputs, in whatever form it arrives."""

    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"value": ("*",)}}

    RETURN_TYPES = ("*",)
    FUNCTION = "run"
    OUTPUT_NODE = True

    def run(self, value):
        return {"ui": {"seen": [value]}, "result": (value,)}


class Typed:
    @classmethod
    def INPUT_TYPES(cls):
        return {
            "required": {},
            "optional": {
                "integer": ("INT", {"min": 0, "max": 5}),
                "real": ("FLOAT", {}),
                "text": ("STRING", {"multiline": True}),
                "flag": ("BOOLEAN",),
                "choice": (["a", "b"], {"default": "a"}),
                "newer_choice": ("COMBO", {"options": ["a", "b"]}),
                "picture": ("IMAGE,MASK",),
                "anything": ("*",),
            },
            "hidden": {
                "own_id": "UNIQUE_ID",
                "prompt": "PROMPT",
                "pnginfo": "EXTRA_PNGINFO",
                "dynamic": "DYNPROMPT",
            },
        }

    RETURN_TYPES = ()
    FUNCTION = "run"
    OUTPUT_NODE = True

    def run(self, **inputs):
        return {"ui": {"inputs": [inputs]}}


class Spread:
    """A list of numbers: three outputs entries out of one call."""

    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"count": ("INT", {})}}

    RETURN_TYPES = ("INT", "STRING")
    OUTPUT_IS_LIST = (True, False)
    FUNCTION = "run"

    def run(self, count):
        return (list(range(count)), f"{count} numbers")


class Pair:
    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"a": ("INT", {}), "b": ("INT", {})}}

    RETURN_TYPES = ("STRING",)
    FUNCTION = "run"
    OUTPUT_NODE = True

    def run(self, a, b):
        return {"ui": {"pairs": [f"{a}{b}"], "calls": [1]}, "result": (f"{a}{b}",)}


class Gather(Pair):
    INPUT_IS_LIST = True

    def run(self, a, b):
        return {"ui": {"pairs": [a, b], "calls": [1]}, "result": ("",)}


class Either:
    @classmethod
    def INPUT_TYPES(cls):
        lazy = {"lazy": True}
        return {"required": {"first": ("BOOLEAN", {}), "a": ("*", lazy), "b": ("*", lazy)}}

    RETURN_TYPES = ("*",)
    FUNCTION = "run"

    def check_lazy_status(self, first, a=None, b=None):
        wanted = "a" if first else "b"
        return [wanted] if (a if first else b) is None else []

    def run(self, first, a, b):
        return ((a, b),)


class Fails:
    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"image": ("*",), "limit": ("INT", {})}}

    RETURN_TYPES = ("*",)
    FUNCTION = "run"
    OUTPUT_NODE = True

    def run(self, image, limit):
        raise ValueError("images: 3 frames are above the limit")


class Later:
    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"value": ("INT", {})}}

    RETURN_TYPES = ("INT",)
    FUNCTION = "run"

    async def run(self, value):
        import asyncio

        await asyncio.sleep(0)
        return (value + 1,)


class OwnRules:
    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"even": ("INT", {"max": 10}), "small": ("INT", {"max": 10})}}

    RETURN_TYPES = ("INT",)
    FUNCTION = "run"
    OUTPUT_NODE = True

    @classmethod
    def VALIDATE_INPUTS(cls, even):
        if even is None:
            return True
        return True if even % 2 == 0 else f"{even} is odd"

    def run(self, even, small):
        return {"ui": {"even": [even]}, "result": (even,)}


class OwnTypes:
    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"value": ("NOTHING",)}}

    RETURN_TYPES = ()
    FUNCTION = "run"
    OUTPUT_NODE = True

    @classmethod
    def VALIDATE_INPUTS(cls, input_types):
        return True if input_types["value"] == "INT" else f"cannot take {input_types['value']}"

    def run(self, value):
        return {"ui": {"value": [value]}}


class Picture:
    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {}}

    RETURN_TYPES = ("IMAGE",)
    FUNCTION = "run"

    def run(self):
        return (torch.zeros(1, 2, 2, 3),)


class Inference(Picture):
    OUTPUT_NODE = True
    RETURN_TYPES = ()

    def run(self):
        return {"ui": {"mode": [torch.is_inference_mode_enabled()]}}


class Grows(Picture):
    OUTPUT_NODE = True

    def run(self):
        return {"result": (None,), "expand": {"new": {"class_type": "Picture", "inputs": {}}}}


class Short(Picture):
    RETURN_TYPES = ("INT", "INT")

    def run(self):
        return (1,)


NODES = {node.__name__: node for node in (
    Number, Show, Typed, Spread, Pair, Gather, Either, Fails, Later, OwnRules, OwnTypes, Picture, Inference, Grows,
    Short,
)}  # fmt: skip


def node(class_type, title=None, **inputs):
    entry = {"class_type": class_type, "inputs": inputs}
    return entry if title is None else {**entry, "_meta": {"title": title}}


def typed(**inputs):
    graph = {"1": node("Picture"), "2": node("Number", value=1), "9": node("Typed", **inputs)}
    return run(graph, NODES)["9"]["inputs"][0]


def problems(graph):
    with pytest.raises(InvalidGraph) as caught:
        run(graph, NODES)
    return caught.value.problems


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
