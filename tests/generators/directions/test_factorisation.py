"""SeFa against eigenvectors written from its definition, of the tensors as the files name them."""

import re

import numpy as np
import pytest
import torch
from trilemma.models.errors import BadInput, CannotDo
from trilemma.models.generators.directions.factorisation import factorise
from trilemma.tests.generators.directions.small import PLAIN, STYLED, TEXT, tiny
from trilemma.tests.generators.toy import Toy

pytestmark = pytest.mark.slow


def matrices(generator, name):
    """Of each layer in order, by the names of the network's tensors."""
    tensors = {key: value.numpy().astype(np.float64) for key, value in generator.network.state_dict().items()}
    if name == "mlp_gan":
        return [tensors["0.weight"]]
    if name == "biggan_deep":
        return [tensors["generator.gen_z.weight"][:, : generator.descriptor.latent_shape[0]]]
    if name in TEXT:
        first = next(key for key in ("fc.weight", "h_net1.fc.0.weight") if key in tensors)
        return [tensors[first][:, -generator.descriptor.latent_shape[0] :]]
    if name == "dcgan":
        kernels = tensors["main.0.weight"]  # [z, outputs, 4, 4]
        return [
            np.stack(
                [kernels[:, output, y, x] for output in range(kernels.shape[1]) for y in range(4) for x in range(4)]
            )
        ]
    if name == "stylegan1":
        layers = sorted((int(key.split(".")[2]), key) for key in tensors if key.endswith("style.weight"))
        return [tensors[key] for _, key in layers]
    if name == "stylegan2":
        keys = [f"synthesis.b{side}.conv{number}" for side in (4, 8, 16) for number in (0, 1) if side > 4 or number]
        return [tensors[f"{key}.affine.weight"] for key in (*keys, "synthesis.b16.torgb")]
    layers = [
        (int(found[1]), key) for key in tensors if (found := re.match(r"synthesis\.L(\d+)_.*affine\.weight", key))
    ]
    return [tensors[key] for key in ("synthesis.input.affine.weight", *(key for _, key in sorted(layers)))]


def expected(rows, count):
    """Eigenvectors of AᵀA with the largest eigenvalues, rows of A of length 1."""
    rows = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    values, vectors = np.linalg.eig(rows.T @ rows)
    return vectors.T[np.argsort(-values)][:count].real


def assert_same_lines(found, wanted):
    """Directions of length 1 that differ by their sign alone."""
    cosines = (found.double().flatten(1).numpy() * wanted).sum(axis=1)
    np.testing.assert_allclose(np.abs(cosines), 1, atol=1e-6)


@pytest.mark.parametrize("name", [*STYLED, *PLAIN, *TEXT])
def test_directions_are_the_papers(name, tmp_path):
    generator = tiny(name, tmp_path)
    found = factorise(generator, 4)
    assert_same_lines(found.vectors, expected(np.concatenate(matrices(generator, name)), 4))
    assert found.names == ("sefa 1", "sefa 2", "sefa 3", "sefa 4")
    assert (found.space, found.layers, found.identity) == (generator.spaces[0].name, (), generator.identity)
    assert torch.equal(factorise(generator, 4).vectors, found.vectors)
    assert found.vectors.flatten(1).gather(1, found.vectors.flatten(1).abs().argmax(1, keepdim=True)).min() > 0


@pytest.mark.parametrize("name", STYLED)
def test_of_some_layers(name, tmp_path):
    generator = tiny(name, tmp_path)
    found = factorise(generator, 3, "1-2, 4")
    assert found.layers == (1, 2, 4)
    several = matrices(generator, name)
    assert len(several) == generator.spaces[0].layers
    assert_same_lines(found.vectors, expected(np.concatenate([several[place] for place in (1, 2, 4)]), 3))


def test_what_has_no_such_layers(tmp_path):
    plain = tiny("mlp_gan", tmp_path)
    with pytest.raises(BadInput, match="layers: these latents have no layers"):
        factorise(plain, 1, "0")
    with pytest.raises(BadInput, match="count: 6, but latents of MLP GAN have 5 directions"):
        factorise(plain, 6)
    with pytest.raises(CannotDo, match="Toy cannot factorise; it can: sample"):
        factorise(Toy(), 1)
