"""Closed-form factorisation of the weights that read a latent (SeFa; Shen and Zhou 2021, arXiv:2007.06600).

What a layer reads changes the most along the eigenvectors of AᵀA with the largest eigenvalues, where A is its matrix.
As in the published code, the rows of all layers stand in one A, each scaled to length 1.
"""

from __future__ import annotations

import torch

from ...errors import BadInput
from ..base import Generator
from .base import Directions
from .layer_ranges import read_layers


def factorise(generator: Generator, count: int, layers: str = "") -> Directions:
    """The first `count` directions, of length 1, `sefa 1`, `sefa 2`, ... by falling eigenvalue.

    layers: whose weights are looked at, as text; empty for all. The directions move these.

    Raises:
        CannotDo: no layer of the generator reads its latents by a matrix.
        BadInput: there are no such layers, or fewer directions.
    """
    matrices = generator.readers()
    space = generator.spaces[0]
    places = read_layers(layers, space.layers)
    rows = torch.cat([matrices[place] for place in places or range(len(matrices))]).cpu().double()
    rows = torch.nn.functional.normalize(rows, dim=1)
    size = rows.shape[1]
    if count > size:
        raise BadInput(f"count: {count}, but latents of {generator.descriptor.architecture} have {size} directions.")
    vectors = signed(torch.linalg.eigh(rows.T @ rows)[1].flip(1).T[:count])
    part = space.shape[1:] if space.layers else space.shape
    names = tuple(f"sefa {number}" for number in range(1, count + 1))
    return Directions(names, vectors.float().reshape(count, *part), space.name, places, generator.identity)


def signed(vectors: torch.Tensor) -> torch.Tensor:
    """[N, D] with the largest number of each positive: eigenvectors have no sign of their own."""
    largest = vectors.gather(1, vectors.abs().argmax(dim=1, keepdim=True))
    return vectors * largest.sign()
