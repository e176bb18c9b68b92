"""Averaged weights that a training script keeps without names, or without what it does not average."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch

BUFFERS = ("running_mean", "running_var", "num_batches_tracked")
"""Last parts of the names of batch norms' statistics, which are no parameters."""


def named(values: Sequence[torch.Tensor], network: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor] | None:
    """A list of averages in the order of a network's parameters, under their names; what has none comes from the
    network itself.

    Such are `shadow_params` of torch_ema and of diffusers' EMAModel. Parameters come in the order of the state dict;
    one that is there under two names is listed once. None where the shapes do not tell which is whose.
    """
    every = list(network)
    parameters = _parameters(network)
    for names in (parameters, every):
        if len(names) == len(values) and _fit(values, network, names):
            return _completed(dict(zip(names, values, strict=True)), network)
    places = _only_way([tuple(value.shape) for value in values], [tuple(network[name].shape) for name in parameters])
    if places is None:
        return None
    return _completed({parameters[place]: value for place, value in zip(places, values, strict=True)}, network)


def _parameters(network: Mapping[str, torch.Tensor]) -> list[str]:
    """The names of the parameters, of those that share their memory the first alone."""
    names: list[str] = []
    seen = set()
    for name, value in network.items():
        again = value.numel() and _memory(value) in seen
        if value.is_floating_point() and name.rpartition(".")[2] not in BUFFERS and not again:
            names.append(name)
            seen.add(_memory(value))
    return names


def _fit(values: Sequence[torch.Tensor], network: Mapping[str, torch.Tensor], names: Sequence[str]) -> bool:
    return all(value.shape == network[name].shape for value, name in zip(values, names, strict=True))


def _completed(averaged: dict[str, torch.Tensor], network: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """In the network's order. A tensor that is there under two names is averaged under both."""
    shared = {_memory(network[name]): value for name, value in averaged.items() if network[name].numel()}
    return {name: averaged.get(name, shared.get(_memory(value), value)) for name, value in network.items()}


def _memory(value: torch.Tensor) -> tuple[int, ...]:
    """Tells a tensor's values from all others in memory."""
    return (value.data_ptr(), *value.shape, *value.stride())


def _only_way(given: Sequence[tuple[int, ...]], there: Sequence[tuple[int, ...]]) -> list[int] | None:
    """The places of the given shapes, in order, among those that are there; None unless there is one way alone."""
    first = _leftmost(given, there)
    last = _leftmost(given[::-1], there[::-1])
    if first is None or last is None:
        return None
    mirrored = [len(there) - 1 - place for place in last[::-1]]
    return first if first == mirrored else None


def _leftmost(given: Sequence[tuple[int, ...]], there: Sequence[tuple[int, ...]]) -> list[int] | None:
    places: list[int] = []
    place = -1
    for shape in given:
        place = next((at for at in range(place + 1, len(there)) if there[at] == shape), -1)
        if place < 0:
            return None
        places.append(place)
    return places


def dotted(averaged: Mapping[str, torch.Tensor], network: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """`completed`, for averages whose names the training code wrote without dots too, as that of latent diffusion does
    (LitEma), with its counters beside them."""
    plain = {name.replace(".", ""): name for name in network}
    if plain.keys() & averaged.keys() and not network.keys() & averaged.keys():
        averaged = {plain[name]: value for name, value in averaged.items() if name in plain}
    return completed(averaged, network)


def completed(averaged: Mapping[str, torch.Tensor], network: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Averaged weights with what only the network has: scripts that average parameters leave statistics out.

    As they are where they are of other names or shapes.
    """
    own = {name: value.shape for name, value in network.items()}
    partial = len(averaged) * 2 >= len(own) > len(averaged)
    if partial and all(own.get(name) == value.shape for name, value in averaged.items()):
        return {name: averaged.get(name, value) for name, value in network.items()}
    return dict(averaged)
