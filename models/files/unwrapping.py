"""What training scripts put around weights taken off: the networks in a file, the one to draw with first."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

import numpy as np
import torch

from ..errors import BadCheckpoint
from . import averages, groups, tensorflow_networks
from .plain_values import plain_entries
from .roles import CURRENT, Role, roles
from .unpickling import PROGRAM, Inert, as_tensor, is_program, stands_for_tensor

MAX_DEPTH: Final = 64
MAX_VALUES: Final = 50_000
NAMED: Final = 5
"""How many entries a note names."""
BESIDE: Final = ("latent_avg",)
"""Tensors beside a network that belong to it: StyleGAN2's mean of w, as rosinality's converter writes it."""
MAX_PARTS: Final = 64
"""Elements of a list in which networks are looked for."""
SETTINGS: Final = "param_groups"
"""What the state of an optimiser has, whatever its name."""


PROGRAM_NOTE: Final = "took the weights of a TorchScript program as data; its code was not run"


class Network(NamedTuple):
    """tensors: a state dict. values: what stood beside it, as JSON knows it. notes: what was chosen, as sentences.

    place: where in the file, the names on the way; empty for the whole. rank: the smaller, the likelier it is the one
    to draw with; networks of one rank are equally likely.
    """

    tensors: dict[str, torch.Tensor]
    values: dict[str, Any]
    notes: tuple[str, ...]
    place: str = ""
    rank: int = 0


class _Found(NamedTuple):
    """path: the names on the way. content: a state dict, a module saved whole, or a list of averages without names.

    around: the dicts on the way, each with its key on it.
    """

    path: tuple[str, ...]
    content: Any
    around: tuple[tuple[Mapping[Any, Any], Any], ...] = ()

    @property
    def place(self) -> str:
        return ".".join(self.path)


def networks(content: Any) -> list[Network]:
    """All networks in what a checkpoint holds, but critics and what only training needs; the likeliest first.

    Raises:
        BadCheckpoint: there is none.
    """
    if is_program(content) and not _module_tensors(content):
        raise BadCheckpoint(PROGRAM)
    content = tensorflow_networks.plain(content)
    everything = _with_contents([*_find(content)])
    drawn = [each for each in everything if not roles(each.path) & {Role.CRITIC, Role.METRIC}]
    if not drawn:
        raise BadCheckpoint(_nothing(content, everything))
    drawn, told = _without_lists(drawn)
    if not drawn:
        raise BadCheckpoint(f"{'; '.join(told)}; choose a file that holds the network too.")
    names = [each.place for each in everything if each.path or len(drawn) == 1]
    ranked = sorted(((_rank(each, drawn), each) for each in drawn), key=lambda pair: pair[0])
    return [_network(each, rank, drawn, names, told) for rank, each in ranked]


def _find(content: Any) -> Iterator[_Found]:
    """Every state dict, module and list of tensors, at any depth, outer ones first."""
    waiting = deque([_Found((), content)])
    left = MAX_VALUES
    while waiting:
        here = waiting.popleft()
        if _is_module(here.content):
            yield here
            continue
        entries = _entries(here.content)
        parts = dict(enumerate(_sequence(here.content)[:MAX_PARTS])) if entries is None else entries
        if entries is None or any(isinstance(key, str) and _has_axes(value) for key, value in _weights(parts)):
            yield here
        if len(here.path) >= MAX_DEPTH:
            continue
        for key, value in parts.items():
            # A part may be there many times over: a few bytes can stand for endlessly many.
            name = _name(key)
            if left and _holds_more(value) and Role.TRAINING not in roles([name]):
                left -= 1
                around = here.around if entries is None else (*here.around, (entries, key))
                waiting.append(_Found((*here.path, name), value, around))


def _name(key: Any) -> str:
    """What an entry is called; of what is no text or number, and may be large, no more than its kind."""
    return str(key) if isinstance(key, (str, int, float)) else type(key).__name__


def _weights(parts: Mapping[Any, Any]) -> list[tuple[Any, Any]]:
    return [(key, value) for key, value in parts.items() if stands_for_tensor(value)]


def _has_axes(value: Any) -> bool:
    """Whether it is no single number; a tensor that is not made yet is none."""
    return not isinstance(value, (torch.Tensor, np.ndarray)) or value.ndim > 0


def _holds_more(value: Any) -> bool:
    entries = _entries(value)
    return bool(_sequence(value)) if entries is None else bool(entries) and SETTINGS not in entries


def _with_contents(found: Sequence[_Found]) -> list[_Found]:
    """State dicts and lists as plain ones of tensors; a list counts where its name says that it is of averages. What
    lies loose around networks is none itself."""
    made = []
    for each in found:
        if _is_module(each.content):
            made.append(each)
        elif (entries := _entries(each.content)) is not None:
            tensors = {key: value for key, value in _weights(entries) if isinstance(key, str)}
            made.append(each._replace(content=tensors, around=(*each.around, (entries, None))))
        elif Role.AVERAGED in roles(each.path) and all(map(stands_for_tensor, _sequence(each.content))):
            made.append(each._replace(content=list(map(as_tensor, _sequence(each.content)))))
    return [
        each
        for each in made
        if not any(other.path != each.path and other.path[: len(each.path)] == each.path for other in made)
        or (isinstance(each.content, dict) and any("." in name for name in each.content))
    ]


def _without_lists(found: Sequence[_Found]) -> tuple[list[_Found], list[str]]:
    """Lists of averages under the names of a network beside them; where none fits, they are told and left out."""
    named = [each for each in found if not isinstance(each.content, list)]
    made, told = list(named), []
    for each in found:
        if isinstance(each.content, list):
            fits = [(other, averages.named(each.content, _tensors(other.content))) for other in _last_first(named)]
            other, tensors = next(((other, fit) for other, fit in fits if fit is not None), (None, None))
            if tensors is None or other is None:
                told.append(
                    f"the averaged weights ({each.place}) were left aside: a list of {len(each.content)} tensors "
                    "without names, which are of no network in the file"
                )
            else:
                made.append(each._replace(content=tensors))
    return made, told


def _last_first(found: Sequence[_Found]) -> list[_Found]:
    return sorted(found, key=lambda each: Role.AVERAGED in roles(each.path))


def _rank(each: _Found, drawn: Sequence[_Found]) -> int:
    """Averaged before last, generators before others, known names before unknown ones."""
    told = roles(each.path)
    generators = [other for other in drawn if Role.GENERATOR in roles(other.path) and other.path != each.path]
    averaged = Role.AVERAGED in told
    if averaged and generators and Role.GENERATOR not in told:
        # The average of an encoder beside a generator is none of the generator.
        averaged = any(_bare(each) & _bare(other) for other in generators)
    known = min((CURRENT.index(name) for name in each.path[-1:] if name in CURRENT), default=len(CURRENT))
    inner = len(CURRENT) + 1
    kind = 0 if averaged else 2
    kind += 0 if Role.GENERATOR in told or not generators else 1
    return kind * inner + (known if each.path else 0)


def _bare(each: _Found) -> set[str]:
    return set(groups.stripped(_tensors(each.content)))


def _network(each: _Found, rank: int, drawn: Sequence[_Found], names: Sequence[str], told: Sequence[str]) -> Network:
    tensors = groups.stripped(_tensors(each.content))
    notes = []
    if Role.AVERAGED in roles(each.path):
        for other in _last_first([other for other in drawn if other.path != each.path]):
            whole = averages.completed(tensors, groups.stripped(_tensors(other.content)))
            if len(whole) > len(tensors):
                notes.append(f"what is not averaged, {len(whole) - len(tensors)} tensors, came from {other.place}")
                tensors = whole
                break
        notes.insert(0, f"took the EMA weights ({each.place}) of {_count(names)} in the file")
    elif len(names) > 1 and each.path:
        notes.append(f"took {each.place} of {_count(names)} in the file")
    values: dict[str, Any] = {}
    left_out: list[str] = []
    for entries, key in each.around:
        own = each.content if key is None else {key}
        beside = {other: value for other, value in entries.items() if other not in own}
        values = {**plain_entries(beside), **values}
        unread = stands_for_tensor if key is not None else _is_unread_tensor
        if key is not None:
            own_too = {name: as_tensor(beside[name]) for name in BESIDE if stands_for_tensor(beside.get(name))}
            tensors = {**tensors, **own_too}
        kept = {**values, **tensors} if isinstance(key, (str, int)) and key else {}
        left_out += _left_out([_name(other) for other, value in beside.items() if unread(value)], kept)
    if _is_module(each.content):
        values |= _attributes(each.content)
    if is_program(each.content):
        notes.append(PROGRAM_NOTE)
    tensors, note = groups.one_network(tensors)
    return Network(tensors, values, (*notes, *left_out, *note, *told), each.place, rank)


def _tensors(content: Any) -> dict[str, torch.Tensor]:
    if _is_module(content):
        return _module_tensors(content)
    return {name: as_tensor(value) for name, value in content.items()}


def _left_out(names: Sequence[str], kept: Mapping[str, Any]) -> list[str]:
    """A sentence that names the tensors that are not among the weights taken, nor among the values kept."""
    names = [name for name in names if name not in kept]
    told = ", ".join(names[:NAMED]) + (f" and {len(names) - NAMED} more" if len(names) > NAMED else "")
    return [f"left out what the file also holds: {told}"] if names else []


def _is_unread_tensor(value: Any) -> bool:
    """Whether it is a tensor or an array of a kind that is not rebuilt, such as a nested tensor, or one of text."""
    inert = isinstance(value, Inert) and value.cls.module.partition(".")[0] in ("torch", "numpy")
    return isinstance(value, np.ndarray) or (inert and not _is_module(value))


def _nothing(content: Any, left_out: Sequence[_Found]) -> str:
    if left_out:
        return (
            f"it holds only what a generator is trained with ({', '.join(each.place for each in left_out)}), no "
            "network to draw with; choose the file of the generator."
        )
    if any(map(tensorflow_networks.is_network, (content, *_sequence(content)))):
        return (
            "it is a network of StyleGAN or StyleGAN2 as TensorFlow saved it; turn StyleGAN2's into a snapshot of "
            "PyTorch with `python legacy.py --source=OLD.pkl --dest=NEW.pkl` of NVlabs/stylegan2-ada-pytorch, and put "
            "that into models/generators, for Load Generator."
        )
    return f"it holds no weights (found {_what(content)}); choose another file."


def _count(names: Sequence[str]) -> str:
    return f"{len(names)} network{'s' if len(names) > 1 else ''} ({', '.join(names)})"


def _what(content: Any) -> str:
    """What an error says of a file without weights."""
    if isinstance(content, Inert):
        return f"an object of {content.cls}"
    if isinstance(content, (tuple, list)):
        objects = [str(part.cls) for part in content if isinstance(part, Inert)][:3]
        return f"a {type(content).__name__} of {', '.join(objects) or f'{len(content)} values'}"
    names = [key for key in content if isinstance(key, str)][:3] if isinstance(content, Mapping) else []
    return f"a dict with {', '.join(names)}" if names else f"a {type(content).__name__}"


def _entries(value: Any) -> Mapping[Any, Any] | None:
    """What a dict, or an object that is a kind of dict or a bare bag of attributes, holds."""
    if isinstance(value, Inert):
        return value.items or (value.state if isinstance(value.state, dict) else None)
    return value if isinstance(value, Mapping) else None


def _sequence(value: Any) -> Sequence[Any]:
    if isinstance(value, Inert):
        return value.elements
    return value if isinstance(value, (list, tuple)) else ()


def _is_module(value: Any) -> bool:
    """Whether it is a torch.nn.Module, as its attributes tell; the class may be of any name. Or one of TorchScript."""
    state = value.state if isinstance(value, Inert) else None
    named = isinstance(state, dict) and all(isinstance(state.get(key), dict) for key in ("_parameters", "_modules"))
    return named or is_program(value)


def _module_tensors(module: Inert) -> dict[str, torch.Tensor]:
    """The state dict of a module saved whole: its parameters, its persistent buffers, and its children's."""
    tensors: dict[str, torch.Tensor] = {}
    waiting: list[tuple[str, Any, int]] = [("", module, 0)]
    while waiting:
        prefix, current, depth = waiting.pop()
        if depth > MAX_DEPTH or not _is_module(current):
            raise BadCheckpoint(f"its module {prefix or 'at the top'} is no module, or lies too deep; it is damaged.")
        own, modules = _parts_of(current)
        if not all(isinstance(name, str) for name in (*own, *modules)):
            raise BadCheckpoint(f"its module {prefix or 'at the top'} names a part by no text; it is damaged.")
        for name, value in own.items():
            if stands_for_tensor(value):
                tensors[prefix + name] = as_tensor(value)
        children = [(f"{prefix}{name}.", child, depth + 1) for name, child in modules.items() if child is not None]
        waiting += reversed(children)
        if len(waiting) + len(tensors) > MAX_VALUES:
            raise BadCheckpoint("it has more modules than any network; it is damaged.")
    return tensors


def _parts_of(module: Inert) -> tuple[dict[str, Any], dict[str, Any]]:
    """A module's parameters and persistent buffers; and its children."""
    state = module.state
    if is_program(module):
        return state, {name: child for name, child in state.items() if is_program(child)}
    passing = state.get("_non_persistent_buffers_set")
    passing = passing if isinstance(passing, (set, frozenset)) else set()
    buffers = state.get("_buffers")
    buffers = buffers if isinstance(buffers, dict) else {}
    kept = {name: value for name, value in buffers.items() if name not in passing}
    return {**state["_parameters"], **kept}, state["_modules"]


def _attributes(module: Inert) -> dict[str, Any]:
    """The plain values among a module's attributes, and the constructor arguments that StyleGAN's files keep."""
    wanted = {
        key: value
        for key, value in module.state.items()
        if isinstance(key, str) and (not key.startswith("_") or key in ("_init_args", "_init_kwargs"))
    }
    return plain_entries(wanted)
