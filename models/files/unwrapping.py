"""What training scripts put around the weights taken off: the one network meant, and the plain values beside it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import numpy as np
import torch

from ..errors import BadCheckpoint
from .unpickling import Global, Inert, NumpyDtype, as_tensor, stands_for_tensor

AVERAGED: Final = (
    *("g_ema", "G_ema", "netG_ema", "generator_ema", "params_ema", "model_ema", "ema_model", "state_dict_ema"),
    *("ema_state_dict", "ema"),
)
"""Names of weights averaged over the training (exponential moving average, EMA), which draw better than the last."""

CURRENT: Final = (
    *("state_dict", "model_state_dict", "model", "params", "generator", "netG", "G", "g", "module", "net", "network"),
    *("weights",),
)
"""Names of weights as they were at the end."""

GENERATORS: Final = ("generator", "netG", "G", "g")
CRITICS: Final = ("discriminator", "netD", "D", "d", "disc", "critic")
PREFIXES: Final = ("module.", "_orig_mod.")
"""What DataParallel and torch.compile put before every name."""

NAMED: Final = 5
"""How many entries a note names."""
MAX_ELEMENTS: Final = 256
"""Elements of an array that counts as a setting."""
MAX_DEPTH: Final = 64
MAX_VALUES: Final = 50_000


class Network(NamedTuple):
    """tensors: a state dict. values: what stood beside it, as JSON knows it. notes: what was chosen, as sentences."""

    tensors: dict[str, torch.Tensor]
    values: dict[str, Any]
    notes: tuple[str, ...]


def unwrap(content: Any) -> Network:
    """The network in what a checkpoint holds: a state dict, a module saved whole, or wrappers around those.

    Of several networks in one file the averaged one is taken, else the generator.

    Raises:
        BadCheckpoint: there is none.
    """
    values: dict[str, Any] = {}
    notes: list[str] = []
    outer = content
    while (inside := _entries(content)) is not None and not _is_module(content):
        networks = [key for key, value in inside.items() if isinstance(key, str) and _holds_weights(value)]
        chosen = next((key for key in (*AVERAGED, *CURRENT) if key in networks), None)
        if chosen is None:
            break
        values |= plain_entries({key: value for key, value in inside.items() if key != chosen})
        if chosen in AVERAGED:
            notes.append(f"took the EMA weights ({chosen}) of {_count(networks)} in the file")
        elif len(networks) > 1:
            notes.append(f"took {chosen} of {_count(networks)} in the file")
        notes += _left_out({key: value for key, value in inside.items() if _is_weight(key, value)}, values)
        content = inside[chosen]
    if _is_module(content):
        values |= _attributes(content)
        tensors = _module_tensors(content)
    else:
        tensors = {key: as_tensor(value) for key, value in (inside or {}).items() if _is_weight(key, value)}
        others = {key: value for key, value in (inside or {}).items() if not _is_weight(key, value)}
        values = {**plain_entries(others), **values}
        notes += _left_out({key: value for key, value in others.items() if _is_unread_tensor(value)}, {})
    if not tensors:
        raise BadCheckpoint(f"it holds no weights (found {_what(outer)}); choose another file.")
    for prefix in PREFIXES * 2:
        tensors = without_prefix(tensors, prefix)
    tensors, note = _one_network(tensors)
    return Network(tensors, values, (*notes, *note))


def _left_out(entries: Mapping[Any, Any], kept: Mapping[str, Any]) -> list[str]:
    """A sentence that names the tensors that are not among the weights taken, nor among the values kept."""
    names = [str(key) for key in entries if str(key) not in kept]
    told = ", ".join(names[:NAMED]) + (f" and {len(names) - NAMED} more" if len(names) > NAMED else "")
    return [f"left out what the file also holds: {told}"] if names else []


def without_prefix(tensors: Mapping[str, torch.Tensor], prefix: str) -> dict[str, torch.Tensor]:
    """The same tensors; where all names begin with `prefix`, without it.

    For prefixes that are a training script's in one family and a name's own part in another, such as Lightning's
    `model.`: the family that expects one takes it off.
    """
    if not all(name.startswith(prefix) for name in tensors):
        return dict(tensors)
    return {name.removeprefix(prefix): value for name, value in tensors.items()}


def _one_network(tensors: dict[str, torch.Tensor]) -> tuple[dict[str, torch.Tensor], tuple[str, ...]]:
    """Of a flat state dict with several networks side by side, the averaged one, or the only generator."""
    groups: dict[str, dict[str, torch.Tensor]] = {}
    for name, value in tensors.items():
        first, dot, rest = name.partition(".")
        if dot:
            groups.setdefault(first, {})[rest] = value
    networks = [name for name in groups if name not in CRITICS]
    for averaged in AVERAGED:
        twins = [
            name for name in networks if name != averaged and groups[name].keys() == groups.get(averaged, {}).keys()
        ]
        if len(twins) == 1 and len(networks) == 2:
            return groups[averaged], (f"took the EMA weights ({averaged}.*) of {_count(list(groups))} in the file",)
    if len(groups) > 1 and len(networks) == 1 and networks[0] in GENERATORS:
        return groups[networks[0]], (f"took {networks[0]}.* of {_count(list(groups))} in the file",)
    return tensors, ()


def _count(networks: list[str]) -> str:
    return f"{len(networks)} network{'s' if len(networks) > 1 else ''} ({', '.join(networks)})"


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


def _is_weight(key: Any, value: Any) -> bool:
    return isinstance(key, str) and stands_for_tensor(value)


def _is_unread_tensor(value: Any) -> bool:
    """Whether it is a tensor or an array of a kind that is not rebuilt, such as a nested tensor, or one of text."""
    inert = isinstance(value, Inert) and value.cls.module.partition(".")[0] in ("torch", "numpy")
    return isinstance(value, np.ndarray) or (inert and not _is_module(value))


def _is_module(value: Any) -> bool:
    """Whether it is a torch.nn.Module, as its attributes tell; the class may be of any name."""
    state = value.state if isinstance(value, Inert) else None
    return isinstance(state, dict) and all(isinstance(state.get(key), dict) for key in ("_parameters", "_modules"))


def _holds_weights(value: Any, depth: int = 0) -> bool:
    entries = _entries(value)
    if entries is None or depth > 2:
        return False
    if _is_module(value) or any(_is_weight(key, tensor) for key, tensor in entries.items()):
        return True
    return any(_holds_weights(entries[key], depth + 1) for key in (*AVERAGED, *CURRENT) if key in entries)


def _module_tensors(module: Inert) -> dict[str, torch.Tensor]:
    """The state dict of a module saved whole: its parameters, its persistent buffers, and its children's."""
    tensors: dict[str, torch.Tensor] = {}
    waiting: list[tuple[str, Any, int]] = [("", module, 0)]
    while waiting:
        prefix, current, depth = waiting.pop()
        if depth > MAX_DEPTH or not _is_module(current):
            raise BadCheckpoint(f"its module {prefix or 'at the top'} is no module, or lies too deep; it is damaged.")
        state = current.state
        passing = state.get("_non_persistent_buffers_set")
        passing = passing if isinstance(passing, (set, frozenset)) else set()
        buffers = state.get("_buffers")
        buffers = buffers if isinstance(buffers, dict) else {}
        own = {**state["_parameters"], **{name: value for name, value in buffers.items() if name not in passing}}
        for name, value in own.items():
            if _is_weight(name, value):
                tensors[prefix + name] = as_tensor(value)
        children = [
            (f"{prefix}{name}.", child, depth + 1) for name, child in state["_modules"].items() if child is not None
        ]
        waiting += reversed(children)
        if len(waiting) + len(tensors) > MAX_VALUES:
            raise BadCheckpoint("it has more modules than any network; it is damaged.")
    return tensors


def _attributes(module: Inert) -> dict[str, Any]:
    """The plain values among a module's attributes, and the constructor arguments that StyleGAN's files keep."""
    wanted = {
        key: value
        for key, value in module.state.items()
        if isinstance(key, str) and (not key.startswith("_") or key in ("_init_args", "_init_kwargs"))
    }
    return plain_entries(wanted)


def plain_entries(entries: Mapping[Any, Any]) -> dict[str, Any]:
    """Those entries that hold no tensor, made of what JSON knows: texts, numbers, truth values, None, lists, dicts.

    Objects become the dict of their attributes, or what they were made from; where those say nothing, their name.
    """
    found = {}
    for key, value in entries.items():
        try:
            found[str(key) if isinstance(key, (str, int)) else "?"] = _plain(value, 0, [MAX_VALUES])
        except _NotPlainError:
            continue
    found.pop("?", None)
    return found


class _NotPlainError(Exception):
    """A value holds tensors, or has no end."""


def _plain(value: Any, depth: int, left: list[int]) -> Any:
    left[0] -= 1
    if isinstance(value, np.ndarray) and value.size <= MAX_ELEMENTS and value.dtype.kind != "V":
        value = value.tolist()
    if depth > MAX_DEPTH or left[0] < 0 or stands_for_tensor(value) or isinstance(value, np.ndarray):
        raise _NotPlainError
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_plain(part, depth + 1, left) for part in value]
    if isinstance(value, dict):
        return {_key(key): _plain(part, depth + 1, left) for key, part in value.items()}
    if isinstance(value, Inert):
        return _plain_object(value, depth, left)
    return str(value) if isinstance(value, (Global, NumpyDtype)) else type(value).__name__


def _key(key: Any) -> str:
    return str(key) if isinstance(key, (str, int, float, Global)) else type(key).__name__


def _plain_object(value: Inert, depth: int, left: list[int]) -> Any:
    if value.cls.module.partition(".")[0] == "omegaconf" and isinstance(value.state, dict):
        # A node of a configuration also refers to its parent.
        inner = value.state.get("_content", value.state.get("_val"))
        return _plain(inner, depth + 1, left)
    for inside in (value.items, value.elements, value.state):
        if inside and isinstance(inside, (dict, list)):
            return _plain(inside, depth + 1, left)
    if value.args:
        return _plain(value.args[0] if len(value.args) == 1 else value.args, depth + 1, left)
    return str(value.cls)
