"""Tensors of a file into a network: strictly, in one dtype, with one digest that tells them from all others."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import count, takewhile
from threading import get_ident
from typing import Any, Final

import torch
from torch import nn
from torch.nn.modules.module import register_module_parameter_registration_hook
from torch.overrides import TorchFunctionMode

from .errors import BadCheckpoint

Tensors = Mapping[str, torch.Tensor]
DtypeFor = Callable[[int], torch.dtype]
"""The dtype for a network of so many parameters."""

NAMED: Final = 3
"""How many tensors an error names."""


def full_precision(parameters: int) -> torch.dtype:
    """A `DtypeFor`: float32, whatever the number of parameters."""
    return torch.float32


class _Uninitialised(TorchFunctionMode):
    """Leaves tensors as they are where random numbers would fill them."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        # The functions of torch.nn.init come as themselves and are not looked into.
        initialiser = getattr(func, "__module__", None) == "torch.nn.init"
        if func is torch.randn:
            return torch.empty(*args, **kwargs)
        if initialiser or func in (torch.Tensor.normal_, torch.Tensor.uniform_):
            return kwargs["tensor"] if "tensor" in kwargs else args[0]
        return func(*args, **kwargs)


@contextmanager
def empty_weights() -> Iterator[None]:
    """Modules that are made within have their parameters on the meta device, with names and shapes but no storage.

    Initial values are not drawn: on the meta device that computes nothing, yet the first `normal_` imports PyTorch's
    compiler, 2.6 s.
    """
    with torch.device("meta"), _Uninitialised():
        yield


@contextmanager
def undrawn_weights() -> Iterator[None]:
    """Modules that are made within have their parameters in memory as it is found, to be filled. Unlike in
    `empty_weights`, tensors that modules keep beside their parameters have their values."""
    with _Uninitialised():
        yield


@contextmanager
def empty_parameters() -> Iterator[None]:
    """Modules that are made within, by this thread, have their parameters on the meta device, and the tensors that they
    keep beside them in memory, with their values: for networks that compute some of these when they are made."""
    own = get_ident()

    def emptied(module: nn.Module, name: str, parameter: nn.Parameter | None) -> Any:
        if get_ident() != own or parameter is None or parameter.is_meta:
            return parameter  # on the meta device it is one that two layers share
        return nn.Parameter(parameter.to("meta"), requires_grad=parameter.requires_grad)

    hook = register_module_parameter_registration_hook(emptied)
    try:
        with undrawn_weights():
            yield
    finally:
        hook.remove()


@contextmanager
def bounded(parameters: int, elements: int, what: str) -> Iterator[None]:
    """Networks that are made within, by this thread, have at most so many parameters, of so many elements together.

    For sizes that a configuration tells: a network that its weights cannot fill is refused while it grows.
    what: the file, as messages begin.

    Raises:
        BadCheckpoint: in the block, as soon as there are more.
    """
    own, left = get_ident(), [parameters, elements]

    def check(module: nn.Module, name: str, parameter: nn.Parameter | None) -> None:
        if get_ident() != own or parameter is None:
            return
        left[0] -= 1
        left[1] -= parameter.numel()
        if min(left) < 0:
            raise BadCheckpoint(
                f"{what}: config.json describes a network that is larger than its weights; download it again, or "
                "choose another."
            )

    hook = register_module_parameter_registration_hook(check)
    try:
        yield
    finally:
        hook.remove()


def fill(module: nn.Module, tensors: Tensors, what: str, dtype: torch.dtype | None = torch.float32) -> None:
    """Fill a module, on the meta device or not, with exactly these tensors, as copies on the CPU, for inference.

    what: the file and the network, as messages begin ("model.pth, U-Net"). dtype: of all floating-point tensors; None
    leaves the file's. Tensors of integers keep the dtype that the module has for them.

    Raises:
        BadCheckpoint: a tensor is missing, unexpected, or of another shape; the first few are named.
    """
    expected = module.state_dict()
    check_fit({name: value.shape for name, value in expected.items()}, tensors, what)
    # Copies: a file that is replaced on disk must not change a network that is in use.
    copies = {
        name: tensors[name].to(_dtype(value, tensors[name], dtype), copy=True) for name, value in expected.items()
    }
    module.load_state_dict(copies, strict=True, assign=True)
    module.train(False).requires_grad_(False)


def _dtype(own: torch.Tensor, given: torch.Tensor, wanted: torch.dtype | None) -> torch.dtype:
    if not own.is_floating_point():
        return own.dtype
    return given.dtype if wanted is None else wanted


def check_fit(expected: Mapping[str, torch.Size], tensors: Tensors, what: str) -> None:
    """Raise BadCheckpoint unless there are exactly the `expected` tensors, by name and shape; see `fill`."""
    shapes = [
        f"{name} {tuple(tensors[name].shape)} instead of {tuple(shape)}"
        for name, shape in expected.items()
        if name in tensors and tensors[name].shape != shape
    ]
    refuse_misfits(
        what,
        missing=[name for name in expected if name not in tensors],
        unexpected=[name for name in tensors if name not in expected],
        misshapen=shapes,
    )


def refuse_misfits(
    what: str, missing: Collection[str], unexpected: Collection[str], misshapen: Collection[str]
) -> None:
    """Raise BadCheckpoint where a tensor is missing, unexpected or of another shape; the first few are named."""
    problems = {"missing": missing, "unexpected": unexpected, "of another shape": misshapen}
    found = [f"{len(names)} {problem} ({some(names)})" for problem, names in problems.items() if names]
    if found:
        raise BadCheckpoint(
            f"{what}: its tensors do not fit: {'; '.join(found)}. The file is damaged, or a variant that the pack does "
            "not read; download it again, or choose another."
        )


def some(names: Collection[str]) -> str:
    """The first few of many names, for a message."""
    return ", ".join([*names][:NAMED]) + (", ..." if len(names) > NAMED else "") if names else "none"


def identity(tensors: Tensors) -> str:
    """SHA-256, hex, of the names and of all values as float32: another for any other weight, the same whatever the
    file's format, order and dtype, where the dtype holds the values exactly."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        digest.update(name.encode())
        digest.update(tensors[name].detach().to("cpu", torch.float32).contiguous().numpy().data)
    return digest.hexdigest()


def identity_of(networks: Sequence[nn.Module]) -> str:
    """`identity` of several networks together."""
    named = enumerate(network.state_dict() for network in networks)
    return identity({f"{index}.{name}": value for index, state in named for name, value in state.items()})


def under(tensors: Tensors, prefix: str) -> dict[str, torch.Tensor]:
    """The tensors whose names begin with a prefix, without it."""
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}


def count_layers(names: Collection[str], pattern: str) -> int:
    """How many numbers from 0, without a gap, stand for `{}` in these names: blocks.{}.norm.weight."""
    return sum(1 for _ in takewhile(lambda index: pattern.format(index) in names, count()))
