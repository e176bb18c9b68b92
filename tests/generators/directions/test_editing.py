"""Latents moved along directions: how far, in which layers, and nothing else."""

import pytest
import torch
from trilemma.models.errors import BadInput
from trilemma.models.generators.base import Latents
from trilemma.models.generators.binding import Bound
from trilemma.models.generators.directions.base import Directions, chosen
from trilemma.models.generators.directions.editing import edit, labels, read_strengths
from trilemma.models.generators.directions.factorisation import factorise
from trilemma.tests.closeness import assert_close
from trilemma.tests.generators.directions.small import PLAIN, STYLED, decoded, drawn, tiny
from trilemma.tests.generators.toy import LATENT, Toy

NAMES = ("pca 1 (60.0 % of variance)", "pca 2 (30.0 % of variance)", "Age", "1990")


def directions(count=3, size=LATENT, space="z", **changes):
    vectors = torch.randn(count, size, generator=torch.Generator().manual_seed(5))
    return Directions(tuple(f"d{place}" for place in range(count)), vectors, space, **changes)


@pytest.mark.parametrize(
    ("text", "places"),
    [
        ("1", [0]),
        ("pca 2, age", [1, 2]),
        ("PCA 1 (60.0 % of variance)\n3", [0, 2]),
        ("*", [0, 1, 2, 3]),
        ("2-4, 1", [1, 2, 3, 0]),
        ("1990", [3]),
    ],
)
def test_directions_are_chosen_by_name_or_number(text, places):
    assert chosen(Directions(NAMES, torch.zeros(4, 2), "w"), text) == places


@pytest.mark.parametrize("text", ["0", "5", "2-5", "pca", "smile"])
def test_a_direction_that_is_not_there(text):
    with pytest.raises(
        BadInput, match=rf"direction: there is no '{text}'; give a number from 1 to 4, or one of: pca 1 \("
    ):
        chosen(Directions(NAMES, torch.zeros(4, 2), "w"), text)


@pytest.mark.parametrize("text", ["", " , "])
def test_no_direction(text):
    with pytest.raises(BadInput, match="direction: it is empty"):
        chosen(Directions(NAMES, torch.zeros(4, 2), "w"), text)


def test_strengths_are_read():
    assert read_strengths("-3, 0.5;1e1\n2") == [-3, 0.5, 10, 2]
    for text, message in (("", "it is empty"), ("1, a", "'a' is no number"), ("nan", "'nan' is no number to move by")):
        with pytest.raises(BadInput, match=f"strengths: {message}"):
            read_strengths(text)
    assert labels(["a", "b"], [-1.5, 0], 2).splitlines() == ["a: -1.5", "a: 0", "b: -1.5", "b: 0"] * 2


def test_every_latent_by_every_direction_and_strength():
    toy, given = Toy(), directions()
    latents = Latents(torch.randn(2, LATENT), "z", "toy")
    moved = edit(toy, latents, given, [2, 0], [-1.0, 0.0, 2.5], "", {})
    expected = [
        row + step * given.vectors[place] for row in latents.values for place in (2, 0) for step in (-1, 0, 2.5)
    ]
    torch.testing.assert_close(moved.values, torch.stack(expected))
    assert torch.equal(moved.values[[1, 4]], latents.values[[0, 0]])
    assert (moved.space, moved.identity) == ("z", "toy")


@pytest.mark.slow
@pytest.mark.parametrize("name", STYLED)
@pytest.mark.parametrize("layers", ["", "0", "1-2, 4"])
def test_only_named_layers_move(name, layers, tmp_path):
    generator = tiny(name, tmp_path)
    space = generator.spaces[0]
    latents = drawn(generator, 2)
    given = factorise(generator, 2)
    moved = edit(generator, latents, given, [1], [3.0], layers, Bound(generator).settings).values
    rows = {"": list(range(space.layers)), "0": [0], "1-2, 4": [1, 2, 4]}[layers]
    others = [row for row in range(space.layers) if row not in rows]
    assert torch.equal(moved[:, others], latents.values[:, others])
    torch.testing.assert_close(moved[:, rows], latents.values[:, rows] + 3 * given.vectors[1])


@pytest.mark.slow
def test_a_direction_moves_the_layers_that_it_was_made_of(tmp_path):
    generator = tiny("stylegan2", tmp_path)
    latents, given = drawn(generator, 1), factorise(generator, 1, "1-2")
    options = Bound(generator).settings
    moved = edit(generator, latents, given, [0], [2.0], "", options).values
    assert torch.equal(moved[:, [0, 3, 4, 5]], latents.values[:, [0, 3, 4, 5]])
    assert not torch.equal(moved[:, 1:3], latents.values[:, 1:3])
    other = edit(generator, latents, given, [0], [2.0], "5", options).values
    assert torch.equal(other[:, :5], latents.values[:, :5])
    assert not torch.equal(other[:, 5], latents.values[:, 5])


@pytest.mark.slow
@pytest.mark.parametrize("name", STYLED)
def test_edits_come_behind_truncation(name, tmp_path):
    """As in the published code of SeFa and GANSpace: what is added is not pulled to the mean."""
    generator = tiny(name, tmp_path)
    options = {
        "truncation_psi": 0.4,
        "truncation_cutoff": 3,
        **({"noise_mode": "const"} if name != "stylegan3" else {}),
    }
    settings = Bound(generator, options).settings
    latents, given = drawn(generator, 3, **options), factorise(generator, 2)
    still = edit(generator, latents, given, [0], [0.0], "", settings)
    assert_close(decoded(generator, still, **options), decoded(generator, latents, **options))
    moved = edit(generator, latents, given, [0], [2.0], "", settings)
    pulled = generator.network.truncate(latents.values, 0.4, 3)
    torch.testing.assert_close(moved.values, pulled + 2 * given.vectors[0])
    with torch.no_grad():
        streams = [torch.Generator().manual_seed(0)] * 3
        pictures = generator.pictures(moved.values, generator.drawn_noise(streams, settings), settings)
    expected = ((pictures + 1) / 2).clamp(0, 1).movedim(1, -1).expand(-1, -1, -1, 3)
    assert_close(decoded(generator, moved, **options), expected)
    chained = edit(generator, moved, given, [1], [1.0], "", settings)
    torch.testing.assert_close(chained.values, pulled + 2 * given.vectors[0] + given.vectors[1])
    halfway = generator.interpolate(
        still._replace(values=still.values[:1]), moved._replace(values=moved.values[:1]), [0.5]
    )
    torch.testing.assert_close(halfway.values, (pulled + given.vectors[0])[:1])
    with pytest.raises(BadInput, match=r"they are in the space 'w\+'; this takes w"):
        generator.interpolate(latents._replace(values=latents.values[:1]), moved, [0.5])


@pytest.mark.slow
@pytest.mark.parametrize("name", PLAIN)
def test_plain_gans_move_in_z(name, tmp_path):
    generator = tiny(name, tmp_path)
    latents, given = drawn(generator, 2), factorise(generator, 2)
    moved = edit(generator, latents, given, [0, 1], [-1.0, 1.0], "", Bound(generator).settings)
    assert moved.values.shape == (8, *generator.descriptor.latent_shape)
    torch.testing.assert_close(moved.values[1], latents.values[0] + given.vectors[0])
    assert decoded(generator, moved).std(dim=0).max() > 0.01


@pytest.mark.slow
def test_edits_of_biggan_come_behind_truncation(tmp_path):
    """It multiplies z, not what is added to it."""
    generator = tiny("biggan_deep", tmp_path)
    options = {"truncation_psi": 0.5}
    settings = Bound(generator, options).settings
    latents, given = drawn(generator, 2, **options), factorise(generator, 1)
    still = edit(generator, latents, given, [0], [0.0], "", settings)
    assert_close(decoded(generator, still, **options), decoded(generator, latents, **options))
    moved = edit(generator, latents, given, [0], [2.0], "", settings)
    torch.testing.assert_close(moved.values, latents.values / 2 + 2 * given.vectors[0])
    again = edit(generator, moved, given, [0], [-2.0], "", settings)
    torch.testing.assert_close(again.values, still.values)


def test_a_whole_latents_direction_has_its_own_part_for_each_layer(tmp_path):
    generator = tiny("stylegan2", tmp_path)
    latents = drawn(generator, 1)
    vectors = torch.randn(2, *generator.spaces[0].shape)
    moved = edit(generator, latents, Directions(("a", "b"), vectors, "w"), [1], [2.0], "2-3", Bound(generator).settings)
    torch.testing.assert_close(moved.values[:, 2:4], latents.values[:, 2:4] + 2 * vectors[1, 2:4])
    assert torch.equal(moved.values[:, [0, 1, 4, 5]], latents.values[:, [0, 1, 4, 5]])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"space": "w"}, "directions: they are of w, but the latents are in z"),
        ({"size": 4}, "directions: each has 4 numbers; latents of Toy have 5 in z"),
        ({"layers": (0, 1)}, "directions: they move layers up to 1, but this model's end at"),
    ],
)
def test_directions_of_another_model(changes, message):
    latents = Latents(torch.randn(2, LATENT), "z", "toy")
    with pytest.raises(BadInput, match=message):
        edit(Toy(), latents, directions(**changes), [0], [1.0], "", {})


def test_latents_of_another_model():
    with pytest.raises(BadInput, match="latent: it belongs to another model than this Toy"):
        edit(Toy(), Latents(torch.randn(2, LATENT), "z", "other"), directions(), [0], [1.0], "", {})
