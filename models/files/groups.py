"""One network out of a flat state dict: prefixes that wrappers wrote, and several networks side by side."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple, TypeVar

import torch

from . import averages
from .roles import CURRENT, Role, roles

T = TypeVar("T")

PREFIX: Final = "module."
"""What DataParallel and AveragedModel put before every name."""
INFIXES: Final = re.compile(
    r"(?:^|(?<=\.))(?:_orig_mod|_fsdp_wrapped_module|_checkpoint_wrapped_module|_forward_module)\."
)
"""What torch.compile and others put before the names of the module that they wrap, wherever it stands."""
COUNTER: Final = "n_averaged"
"""Of PyTorch's AveragedModel, beside the weights that it averages."""
ASIDE: Final = {Role.CRITIC, Role.METRIC, Role.TRAINING}
CONTENTS: Final = ("Mixed_5b.branch1x1.conv.weight", "slice1.0.weight", "net.slice1.0.weight", "lin0.model.1.weight")
"""Tensors of networks that only compare pictures: Inception, and those of LPIPS."""
MOST_PARTS: Final = 64
"""Networks side by side; more are the layers of one."""
MARKS: Final = ("v_pred", "ztsnr")
"""Numbers whose presence says something of the network, see `diffusion/prediction.py`."""
SCALE: Final = "scale_factor"
"""A number that a latent diffusion model draws by."""
MOST: Final = 6
"""How many prefixes are taken off, one after the other."""


class View(NamedTuple):
    """A network as a family may know it. notes: what was taken off or left out, as sentences."""

    tensors: dict[str, torch.Tensor]
    notes: tuple[str, ...] = ()


def without_prefix(tensors: Mapping[str, T], prefix: str) -> dict[str, T]:
    """The same tensors; where all names begin with `prefix`, without it."""
    if not all(name.startswith(prefix) for name in tensors):
        return dict(tensors)
    return {name.removeprefix(prefix): value for name, value in tensors.items()}


def stripped(tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Without what wrappers put before the names, whatever the network is: `module.` where all names have it (but for
    an AveragedModel's counter), and what torch.compile writes, wherever it stands."""
    found = {name: value for name, value in tensors.items() if name != COUNTER or value.ndim}
    if any(map(INFIXES.search, found)):
        plain = {INFIXES.sub("", name): value for name, value in found.items()}
        found = plain if len(plain) == len(found) else found
    previous = 0
    while found and previous != sum(map(len, found)):
        previous = sum(map(len, found))
        found = without_prefix(found, PREFIX)
    return found if COUNTER not in tensors or len(found) < len(tensors) else dict(tensors)


def one_network(tensors: dict[str, torch.Tensor]) -> tuple[dict[str, torch.Tensor], tuple[str, ...]]:
    """Of a flat state dict with several networks side by side, the averaged one, or the only generator; all tensors
    where names do not tell."""
    parts = _parts(tensors)
    if len(parts) > MOST_PARTS:
        return tensors, ()
    kept = [name for name in parts if not _is_aside(name, parts[name])]
    averaged = [name for name in kept if Role.AVERAGED in roles([name])]
    last = [name for name in kept if name not in averaged]
    if len(averaged) == 1 and len(last) == 1:
        whole = averages.dotted(stripped(parts[averaged[0]]), stripped(parts[last[0]]))
        if whole.keys() == stripped(parts[last[0]]).keys():
            return whole, (f"took the EMA weights ({averaged[0]}.*) of {_count(parts)} in the file",)
    if len(parts) > 1 and len(kept) == 1 and Role.GENERATOR in roles(kept):
        return stripped(parts[kept[0]]), (f"took {kept[0]}.* of {_count(parts)} in the file",)
    return tensors, ()


def views(tensors: Mapping[str, torch.Tensor]) -> Iterator[View]:
    """The tensors without the numbers beside them (steps, losses); without prefixes that all have; without critics and
    metrics beside the rest; and then each part whose name says that it is averaged, a generator, or the last weights.
    """
    numbers = [
        name for name, value in tensors.items() if "." not in name and not value.ndim and name not in (*MARKS, SCALE)
    ]
    rest = {name: value for name, value in tensors.items() if name not in numbers}
    notes = (f"left out {', '.join(numbers)}",) if numbers else ()
    yield View(rest, notes)
    for _ in range(MOST):
        parts = _parts(rest)
        if len(parts) > MOST_PARTS:
            break
        loose = any("." not in name for name in rest)
        # What alone is there is all of the file, whatever else it holds: a VQGAN brings the LPIPS of its training.
        alone = len(parts) == 1 and not loose
        kept = {name: part for name, part in parts.items() if not _is_aside(name, {} if alone else part)}
        if not kept or (loose and len(parts) == len(kept)):
            break
        left = [name for name in parts if name not in kept]
        if left:
            notes = (*notes, f"left out {', '.join(f'{name}.*' for name in left)}")
        if len(kept) == 1 and not loose:
            (prefix,) = kept
            rest = stripped(kept[prefix])
            yield View(rest, notes)
            continue
        if left:
            rest = {name: value for name, value in rest.items() if name.partition(".")[0] not in left}
            yield View(rest, notes)
        yield from _named_parts(kept, notes)
        break


def _named_parts(parts: Mapping[str, dict[str, torch.Tensor]], notes: tuple[str, ...]) -> Iterator[View]:
    for role in (Role.AVERAGED, Role.GENERATOR):
        for name in parts:
            if role in roles([name]):
                yield from _of_part(name, parts, notes)
    for name in CURRENT:
        if name in parts and Role.GENERATOR not in roles([name]):
            yield from _of_part(name, parts, notes)


def _of_part(name: str, parts: Mapping[str, dict[str, torch.Tensor]], notes: tuple[str, ...]) -> Iterator[View]:
    note = (*notes, f"took {name}.* of {_count(parts)} in the file")
    for view in views(stripped(parts[name])):
        yield View(view.tensors, (*note, *view.notes))


def _parts(tensors: Mapping[str, T]) -> dict[str, dict[str, T]]:
    """The tensors by the first part of their names, and named by the rest; those without a dot are in none."""
    found: dict[str, dict[str, T]] = {}
    for name, value in tensors.items():
        first, dot, rest = name.partition(".")
        if dot:
            found.setdefault(first, {})[rest] = value
    return found


def _is_aside(name: str, part: Mapping[str, torch.Tensor]) -> bool:
    """Whether a part is a critic, compares pictures, or is no network."""
    return bool(roles([name]) & ASIDE) or any(
        inner == sign or inner.endswith(f".{sign}") for inner in part for sign in CONTENTS
    )


def _count(parts: Mapping[str, object]) -> str:
    return f"{len(parts)} network{'s' if len(parts) > 1 else ''} ({', '.join(parts)})"
