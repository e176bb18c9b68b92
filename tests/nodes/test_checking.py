"""What comes to a node past the host's own checks, by a wire or from another program."""

import pytest
import torch
from trilemma.models.errors import BadInput, CannotDo
from trilemma.nodes import NODE_CLASS_MAPPINGS
from trilemma.nodes.common.checking import SHOWN, found, with_checked_inputs

IMAGE = torch.zeros(1, 4, 4, 3)


def nested(depth):
    found = []
    for _ in range(depth):
        found = [found]
    return found


@with_checked_inputs
class Node:
    FUNCTION = "run"

    @classmethod
    def INPUT_TYPES(cls):
        return {
            "required": {"image": ("IMAGE", {}), "count": ("INT", {"min": 1, "max": 4})},
            "optional": {
                "share": ("FLOAT", {"min": 0.0}),
                "text": ("STRING", {}),
                "way": (["a", "b"], {}),
                "mask": ("MASK", {}),
                "model": ("MODEL", {}),
            },
        }

    def run(self, image, count, share=0.5, text="", way="a", mask=None, model=None):
        if text == "a lot":
            return torch.empty(2**60, dtype=torch.uint8)
        if text == "wrong":
            raise RuntimeError("of the node's own")
        return count


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"count": 5}, "count: 5 is outside its range, 1 to 4"),
        ({"count": 10**400}, "count: 10{79}... is outside its range, 1 to 4"),
        ({"count": -(10**5000)}, "count: int is outside its range, 1 to 4"),
        ({"count": "2"}, "count: '2' is no finite number"),
        ({"share": float("nan")}, "share: nan is no finite number"),
        ({"share": -0.5}, "share: -0.5 is outside its range"),
        ({"text": 5}, "text: 5 is no text"),
        ({"text": None, "count": None}, "count: None is no finite number"),
        ({"text": [10**5000]}, "text: list is no text"),
        ({"text": nested(100_000)}, "text: list is no text"),
        ({"way": "c"}, "way: 'c' is not in its list; choose one of: a, b"),
        ({"way": "\ud800" * 200}, r"way: '\\ud800"),
        ({"image": None}, "image: expected images of shape .*, found NoneType"),
        ({"image": [1, 2]}, "image: expected images of shape .*, found list"),
        ({"image": torch.zeros(4, 4, 3)}, r"image: expected images of shape .*, found \(4, 4, 3\)"),
        ({"image": torch.zeros(0, 4, 4, 3)}, r"image: the batch of shape \(0, 4, 4, 3\) is empty"),
        ({"mask": torch.zeros(1, 4, 4, 3)}, "mask: expected masks of shape"),
        ({"model": "a name"}, "model: 'a name' is given in its place; wire a node to it that gives MODEL"),
    ],
)
def test_what_the_inputs_do_not_allow_is_named(given, said):
    with pytest.raises(BadInput, match=f"^{said}") as caught:
        Node().run(**{"image": IMAGE, "count": 2, **given})
    assert len(str(caught.value)) < 3 * SHOWN


def test_what_they_allow_passes():
    assert Node().run(IMAGE, 3, mask=torch.zeros(4, 4), model=None, text="x" * 1000, way="b", share=1e9) == 3


def test_memory_that_does_not_suffice_is_told():
    with pytest.raises(CannotDo, match=r"^memory: it does not suffice \(.*\); take fewer or smaller images"):
        Node().run(IMAGE, 2, text="a lot")
    with pytest.raises(RuntimeError, match="of the node's own"):
        Node().run(IMAGE, 2, text="wrong")


def test_names_that_are_none_are_told():
    def find(name):
        raise FileNotFoundError(f"there is no {name}")

    assert found(find, None, "model") is True
    assert found(str.upper, "x", "model") is True
    assert found(find, "x", "model") == "model: there is no x"
    assert found(find, ["x"], "model") == "model: ['x'] is no name; choose one of the list."


LOADERS = [name for name, node in NODE_CLASS_MAPPINGS.items() if hasattr(node, "VALIDATE_INPUTS")]


@pytest.mark.parametrize("name", LOADERS)
@pytest.mark.parametrize("value", [5, {}, [], True, "no such file", "x" * 5000, "a\0b", "\ud800", "../x", ""])
def test_every_loader_refuses_what_names_no_file(name, value):
    node = NODE_CLASS_MAPPINGS[name]
    (key,) = [key for key in ("model", "lora", "file") if key in node.INPUT_TYPES()["required"]]
    assert node.VALIDATE_INPUTS() is True
    said = node.VALIDATE_INPUTS(**{key: value})
    assert isinstance(said, str) and said.startswith(f"{key}: ") and len(said) < 2500
