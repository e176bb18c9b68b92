"""Names of colours: by pixels against published values and plain things, by CLIP against its definition."""

import pytest
import torch
import torch.nn.functional as F
from trilemma.models.errors import BadInput
from trilemma.models.scoring.verification import colours
from trilemma.models.scoring.verification.records import COLOURS


def test_cielab_of_published_colours():
    """sRGB's primaries under D65, as Lindbloom's calculator and colour-science give them."""
    srgb = torch.tensor([[1, 1, 1], [0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1], [0.5, 0.5, 0.5]])
    expected = [[100, 0, 0], [0, 0, 0], [53.24, 80.09, 67.20], [87.73, -86.18, 83.18], [32.30, 79.19, -107.86]]
    torch.testing.assert_close(
        colours.lab(srgb),
        torch.tensor([*expected, [53.39, 0, 0]], dtype=torch.float64),
        atol=0.01,
        rtol=0,
    )


@pytest.mark.parametrize(
    ("srgb", "name"),
    [
        ((244, 67, 54), "red"),
        ((139, 0, 0), "red"),
        ((255, 140, 0), "orange"),
        ((255, 215, 0), "yellow"),
        ((34, 139, 34), "green"),
        ((0, 100, 0), "green"),
        ((65, 105, 225), "blue"),
        ((135, 206, 250), "blue"),
        ((128, 0, 128), "purple"),
        ((255, 182, 193), "pink"),
        ((255, 105, 180), "pink"),
        ((139, 69, 19), "brown"),
        ((20, 20, 20), "black"),
        ((245, 245, 245), "white"),
        ((128, 128, 128), "grey"),
    ],
)
def test_colours_of_the_web_have_the_names_that_they_are_called_by(srgb, name):
    assert colours.named_colour(torch.tensor([srgb]) / 255) == name


def test_every_shade_has_its_own_name_and_all_names_can_be_asked_for():
    for name, shades in colours.SHADES.items():
        for shade in shades:
            assert colours.named_colour(torch.tensor([[*bytes.fromhex(shade)]]) / 255) == name
    assert {*colours.SHADES} == {*COLOURS, "grey"}


def test_the_most_frequent_name_counts():
    car = torch.tensor([[0.9, 0.0, 0.0]] * 60 + [[0.0, 0.0, 0.0]] * 40)
    assert colours.named_colour(car) == "red"


BOX = {"x": 4, "y": 4, "width": 8, "height": 8}


def picture():
    """Blue, with a red square whose middle is green."""
    image = torch.tensor([0.0, 0.2, 0.9]).repeat(16, 16, 1)
    image[4:12, 4:12] = torch.tensor([0.9, 0.0, 0.0])
    image[6:10, 6:10] = torch.tensor([0.0, 0.6, 0.1])
    return image


def test_only_what_is_cut_out_counts():
    inner = torch.zeros(16, 16, dtype=torch.bool)
    inner[6:10, 6:10] = True
    assert colours.by_pixels(picture(), BOX, inner) == "green"
    assert colours.by_pixels(picture(), BOX, None) == "red"
    assert colours.by_pixels(picture(), BOX, torch.zeros_like(inner)) == "red"
    assert colours.by_pixels(picture(), {"x": 0, "y": 0, "width": 0.2, "height": 0.2}, None) == "blue"


def test_clip_sees_the_object_on_grey():
    mask = torch.zeros(16, 16, dtype=torch.bool)
    mask[6:10, 6:10] = True
    seen = colours.crop(picture(), BOX, mask)
    assert seen.shape == (1, 8, 8, 3)
    assert torch.equal(seen[0, 2:6, 2:6], picture()[6:10, 6:10])
    assert torch.equal(seen[0, 0], torch.full((8, 3), 0x99 / 255))
    assert torch.equal(colours.crop(picture(), BOX, None)[0], picture()[4:12, 4:12])
    assert colours.crop(picture(), {"x": -5, "y": 15.7, "width": 9, "height": 9}, None).shape == (1, 1, 4, 3)


def embed(text):
    """A stand-in for a CLIP: a random vector for each text."""
    return torch.randn(1, 8, generator=torch.Generator().manual_seed(sum(map(ord, text))))


def test_the_texts_are_the_mean_of_the_published_templates():
    texts = [f"a photo of a red car{end}" for end in ("",)] + [
        "a photo of a red-colored car",
        "a photo of a red object",
    ]
    mean = torch.stack([F.normalize(embed(text)[0].double(), dim=0) for text in texts]).mean(dim=0)
    found = colours.text_features("car", ["blue", "red"], embed)
    torch.testing.assert_close(found[1], F.normalize(mean, dim=0))


def test_clip_names_the_nearest_text():
    texts = colours.text_features("car", COLOURS, embed)
    for place, name in enumerate(COLOURS):
        assert colours.by_clip(3 * texts[place][None].float(), texts, COLOURS) == name
    with pytest.raises(BadInput, match="texts have 8 features and images 7"):
        colours.by_clip(torch.zeros(1, 7), texts, COLOURS)


def test_objects_get_their_colours_in_either_way():
    objects = [{"car": [BOX]}, {"car": [{"x": 0, "y": 0, "width": 3, "height": 3}]}]
    pictures, keys = torch.stack([picture(), picture()]), [(0, "car", 0), (1, "car", 0)]
    done = []
    found = colours.of_objects(pictures, objects, keys, {}, on_step=lambda step, preview=None: done.append(step))
    assert [*found.values()] == ["red", "blue"] and done == [1, 2]

    def of_images(images):
        assert images.shape[0] == 1
        return embed("a photo of a pink object")

    texts = colours.text_features("car", COLOURS, embed)
    nearest = COLOURS[int((texts @ embed("a photo of a pink object")[0].double()).argmax())]
    assert [*colours.of_objects(pictures, objects, keys, {}, (embed, of_images)).values()] == [nearest] * 2
