"""What a node says of its inputs is what its method takes: names, order and defaults."""

import inspect

import pytest
from trilemma.models.errors import BadInput
from trilemma.models.generators.options import OPTIONS
from trilemma.nodes import NODE_CLASS_MAPPINGS
from trilemma.nodes.common.inputs import NUMBERED, connected
from trilemma.nodes.common.loading import ModelLoader
from trilemma.nodes.generate_options import FamilyOptions

NODES = sorted(NODE_CLASS_MAPPINGS)
NOTHING = inspect.Parameter.empty


def sections(node: type) -> dict[str, dict]:
    return {section: node.INPUT_TYPES().get(section, {}) for section in ("required", "optional", "hidden")}


def parameters(method) -> tuple[dict[str, inspect.Parameter], bool]:
    """A method's parameters by name, without itself, and whether it takes further ones by name."""
    found = [each for each in inspect.signature(method).parameters.values() if each.name != "self"]
    named = {each.name: each for each in found if each.kind is not inspect.Parameter.VAR_KEYWORD}
    return named, len(named) < len(found)


def default_of(spec: tuple) -> object:
    """The value that an input has until the user gives another; NOTHING of an input that only a wire can fill."""
    kind, options = spec[0], spec[1]
    if "default" in options:
        return options["default"]
    return kind[0] if isinstance(kind, list) and kind else NOTHING


@pytest.mark.parametrize("name", NODES)
def test_inputs_are_parameters(name):
    node = NODE_CLASS_MAPPINGS[name]
    inputs = {field: spec for fields in sections(node).values() for field, spec in fields.items()}
    named, more = parameters(getattr(node, node.FUNCTION))
    assert named.keys() <= inputs.keys()
    gathered = inputs.keys() - named.keys()
    if issubclass(node, FamilyOptions):
        assert gathered <= OPTIONS[node.FAMILY].keys()
    elif issubclass(node, ModelLoader):
        assert gathered == parameters(node.handled)[0].keys() - {"loaded"}
    elif more:
        (stem,) = {field.rpartition("_")[0] for field in gathered}
        assert gathered == {f"{stem}_{number}" for number in range(1, NUMBERED + 1)}
    else:
        assert not gathered


@pytest.mark.parametrize("name", NODES)
def test_defaults_are_the_methods(name):
    node = NODE_CLASS_MAPPINGS[name]
    named, _ = parameters(getattr(node, node.FUNCTION))
    said = sections(node)
    for field, spec in said["optional"].items():
        if field in named:
            # What is not connected is not passed, so the method has to say what it is then.
            assert named[field].default is not NOTHING, field
            default = default_of(spec)
            assert named[field].default == (None if default is NOTHING else default), field
            assert type(named[field].default) is type(None if default is NOTHING else default), field
        elif issubclass(node, FamilyOptions):
            assert default_of(spec) == OPTIONS[node.FAMILY][field].neutral, field
        else:
            assert default_of(spec) is NOTHING, field
    for field in said["hidden"]:
        assert named[field].default is None, field
    for field in said["required"].keys() & named.keys():
        assert named[field].default is NOTHING, field


def test_every_menu_is_checked_where_the_node_runs():
    """By a wire, or by a program that calls it, a value comes past ComfyUI's check."""
    checked = 0
    for name in NODES:
        node = NODE_CLASS_MAPPINGS[name]
        own = parameters(node.VALIDATE_INPUTS)[0] if hasattr(node, "VALIDATE_INPUTS") else {}
        said = {**sections(node)["required"], **sections(node)["optional"]}
        menus = {field: spec[0] for field, spec in said.items() if isinstance(spec[0], list) and field not in own}
        for field, choices in menus.items():
            given = {other: default_of(said[other]) for other in sections(node)["required"]}
            given = {other: None if value is NOTHING else value for other, value in given.items()}
            with pytest.raises(BadInput) as told:
                getattr(node(), node.FUNCTION)(**{**given, field: "no such entry"})
            shown = f"{field}: 'no such entry' is not in its list; choose one of: {', '.join(map(str, choices))}."
            assert str(told.value) == shown
            checked += 1
    assert checked > 50


@pytest.mark.parametrize("name", NODES)
def test_defaults_are_within_the_limits(name):
    said = sections(NODE_CLASS_MAPPINGS[name])
    for field, (kind, options, *_) in {**said["required"], **said["optional"]}.items():
        default = options.get("default", NOTHING)
        if default is NOTHING:
            assert kind not in ("INT", "FLOAT", "BOOLEAN") or options.get("forceInput"), field
        elif isinstance(kind, list):
            assert default in kind, field
        elif kind in ("INT", "FLOAT"):
            assert options["min"] <= default <= options["max"], field
            assert {type(options[each]) for each in ("default", "min", "max")} == {int if kind == "INT" else float}, (
                field
            )


@pytest.mark.parametrize("name", NODES)
def test_required_inputs_come_first(name):
    node = NODE_CLASS_MAPPINGS[name]
    assert [section for section in node.INPUT_TYPES() if section in sections(node)] == sorted(
        node.INPUT_TYPES(), key=["required", "optional", "hidden"].index
    )
    said = sections(node)
    named = list(parameters(getattr(node, node.FUNCTION))[0])
    order = [[field for field in said[section] if field in named] for section in ("required", "optional", "hidden")]
    assert named[: len(order[0])] == order[0]
    assert not set(order[0]) & set(order[1])
    # Saved API calls name inputs; the page's workflows count widgets in the schema's order, which the method keeps too.
    assert [field for field in named if field in order[1]] == order[1]


@pytest.mark.parametrize("name", NODES)
def test_side_methods_take_the_inputs(name):
    """The host hands all inputs to IS_CHANGED, and to VALIDATE_INPUTS those that it names."""
    node = NODE_CLASS_MAPPINGS[name]
    said = sections(node)
    inputs = {**said["required"], **said["optional"], **said["hidden"]}.keys()
    if hasattr(node, "IS_CHANGED"):
        named, more = parameters(node.IS_CHANGED)
        assert named.keys() <= inputs
        assert more or named.keys() == inputs
    if hasattr(node, "VALIDATE_INPUTS"):
        named, more = parameters(node.VALIDATE_INPUTS)
        assert named.keys() <= inputs
        assert not more


def shows(node: type) -> bool:
    """Whether the page gets something of the node's outputs to show."""
    if issubclass(node, ModelLoader):
        return "info" in vars(node)
    source = inspect.getsource(node)
    return any(call in source for call in ("show_text(", "show_note(", "show_features(", "show_samples(", '"ui":'))


def test_what_a_node_shows_is_shown_again_when_comfyui_answers_from_its_cache():
    again = {name for name in NODES if getattr(NODE_CLASS_MAPPINGS[name], "HAS_INTERMEDIATE_OUTPUT", False)}
    output = {name for name in NODES if getattr(NODE_CLASS_MAPPINGS[name], "OUTPUT_NODE", False)}
    assert {"TrilemmaScore", "TrilemmaLoadGenerator", "TrilemmaImageFeatures"} <= again
    assert again == {name for name in NODES if shows(NODE_CLASS_MAPPINGS[name])} - output


def test_a_numbered_input_of_nothing_is_not_connected():
    """As a graph says it of an optional input that it spells out."""
    given = {f"scores_{NUMBERED}": "c", "scores_1": None, "scores_2": "b", "other_1": "x"}
    assert connected("scores", given) == ["b", "c"]
    assert connected("scores", {}) == []
