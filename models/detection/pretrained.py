"""Networks of transformers, built from a configuration and tensors alone: strictly, and fetching nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

import torch

from ..errors import BadCheckpoint, CannotDo, TrilemmaError, is_out_of_memory
from ..weights import Tensors, refuse_misfits

if TYPE_CHECKING:
    from transformers import PreTrainedModel

LEFT_OUT: Final = frozenset({"torch_dtype", "dtype", "use_pretrained_backbone"})
"""Entries of a configuration by which transformers would build in another type, or fetch a backbone's weights."""


def network_class(name: str, since: str) -> type[PreTrainedModel]:
    """A class of transformers, which has it since the release `since`.

    Raises:
        CannotDo: the release at hand is older.
    """
    import transformers

    found = getattr(transformers, name, None)
    if found is None:
        raise CannotDo(
            f"model: {name} is in transformers from {since} on, and here is {transformers.__version__}; update "
            "transformers, or choose another detector."
        )
    return found


def build(network: type[PreTrainedModel], config: Mapping[str, Any], tensors: Tensors, what: str) -> PreTrainedModel:
    """The network of a `config.json`, with all tensors (as transformers 4 names them) in place, as float32.

    what: the file or folder, as messages begin.

    Raises:
        BadCheckpoint: transformers makes nothing of the configuration, or a tensor is missing, unexpected, or of
            another shape.
    """
    try:
        settings = network.config_class.from_dict(_kept(config))
    except Exception as error:  # of any kind: transformers checks values by many libraries and releases
        if is_out_of_memory(error):
            raise
        raise BadCheckpoint(f"{what}: transformers makes nothing of its config.json: {error}") from error
    # Copies: the network must not live in a mapped file, which the user may replace while it is loaded.
    state = {
        name: tensor.to(torch.float32 if tensor.is_floating_point() else tensor.dtype, copy=True)
        for name, tensor in tensors.items()
    }
    # Not weights.fill: only from_pretrained translates these names to those of transformers 5.
    try:
        built, info = network.from_pretrained(
            None, config=settings, state_dict=state, output_loading_info=True, ignore_mismatched_sizes=True
        )
    except TrilemmaError:
        raise
    except NotImplementedError as error:
        # Of tensors that are one and the same, transformers compares two, of which the misfit has no values.
        raise BadCheckpoint(
            f"{what}: tensors that its layers share are of another shape; download it again, or choose another."
        ) from error
    except Exception as error:
        if is_out_of_memory(error):
            raise
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise BadCheckpoint(f"{what}: no network can be built of its config.json: {reason}") from error
    misshapen = sorted(map(_told, info["mismatched_keys"]))
    missing = sorted(_as_in_file(name, tensors) for name in info["missing_keys"])
    refuse_misfits(what, missing, sorted(info["unexpected_keys"]), misshapen)
    return built.train(False).requires_grad_(False)


def _as_in_file(missing: str, tensors: Tensors) -> str:
    """The name that a file would have for a tensor which it lacks: transformers 5 nests some layers more deeply, and
    tells its own."""
    parts = {part for name in tensors for part in name.split(".")}
    nested = missing.split(".")
    # The layer's own name may be that of the missing tensor alone.
    shorter = ".".join([part for part in nested[:-2] if part in parts] + nested[-2:])
    layer = shorter.rpartition(".")[0]
    return shorter if any(name.startswith(f"{layer}.") for name in tensors) else missing


def _told(misshapen: str | tuple[str, torch.Size, torch.Size]) -> str:
    """The name of a tensor; transformers from 4.56 on gives its shapes too."""
    if isinstance(misshapen, str):
        return misshapen
    name, found, own = misshapen
    return f"{name} {tuple(found)} instead of {tuple(own)}"


def _kept(config: Mapping[str, Any]) -> dict[str, Any]:
    return {
        key: _kept(value) if isinstance(value, Mapping) else value
        for key, value in config.items()
        if key not in LEFT_OUT
    }
