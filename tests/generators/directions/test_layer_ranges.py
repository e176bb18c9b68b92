import pytest
from trilemma.models.errors import BadInput
from trilemma.models.generators.directions.layer_ranges import numbers_of, read_layers, written


@pytest.mark.parametrize(
    ("text", "layers"),
    [("", ()), ("0-3, 8", (0, 1, 2, 3, 8)), ("8;2 - 4\n3", (2, 3, 4, 8)), ("17", (17,)), ("5-5", (5,))],
)
def test_layers_are_read(text, layers):
    assert read_layers(text, 18) == layers


@pytest.mark.parametrize(
    ("text", "count", "message"),
    [
        ("0-18", 18, "layers: '0-18' goes beyond the model's layers, 0 to 17"),
        ("4-2", 18, "layers: '4-2' is no layer or range of layers"),
        ("-1", 18, "layers: '-1' is no layer"),
        ("a", 18, "layers: 'a' is no layer"),
        ("0", 0, "these latents have no layers; leave it empty"),
    ],
)
def test_layers_that_are_none(text, count, message):
    with pytest.raises(BadInput, match=message):
        read_layers(text, count)


def test_layers_are_written_as_they_are_read():
    for layers in [(), (3,), (0, 1, 2), (0, 2, 3, 7)]:
        assert read_layers(written(layers), 8) == layers
    assert written((0, 1, 2, 3, 8)) == "0-3, 8"
    assert list(numbers_of("2 - 4")) == [2, 3, 4]
