"""Networks of TensorFlow as StyleGAN's pickles keep them (dnnlib.tflib), as state dicts.

Such an object holds its variables as pairs of name and array, the arguments that it was built with, the source text of
its code, which nothing looks at, and its components, which are such objects too.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from ..errors import BadCheckpoint
from .unpickling import Inert, as_tensor, stands_for_tensor

MODULE: Final = "dnnlib.tflib"
MAX_DEPTH: Final = 8


def is_network(value: Any) -> bool:
    """Whether it is one of these objects."""
    return isinstance(value, Inert) and value.cls.module.startswith(MODULE) and isinstance(value.state, dict)


def plain(content: Any) -> Any:
    """What a file holds, with these objects, alone or in a tuple, as state dicts under their names; else as it is.

    Raises:
        BadCheckpoint: an object that makes no sense.
    """
    parts = content if isinstance(content, (tuple, list)) else (content,)
    if not parts or not all(map(is_network, parts)) or not any(part.state.get("components") for part in parts):
        return content
    found = {}
    for number, part in enumerate(parts):
        name = part.state.get("name")
        # As `dnnlib` saves them: generator, discriminator, averaged generator.
        key = name if isinstance(name, str) and name else str(number)
        found[key] = {**_tensors(part, 0), "static_kwargs": part.state.get("static_kwargs")}
    return found


def _tensors(network: Inert, depth: int) -> dict[str, Any]:
    """Its variables and its components', with dots for slashes."""
    variables, components = network.state.get("variables"), network.state.get("components", {})
    if depth > MAX_DEPTH or not isinstance(variables, (list, tuple)) or not isinstance(components, Mapping):
        raise BadCheckpoint("it holds a network of TensorFlow without variables, or one too deep; it is damaged.")
    found = {}
    for pair in variables:
        if not (isinstance(pair, (list, tuple)) and len(pair) == 2 and isinstance(pair[0], str)):
            raise BadCheckpoint("it holds a network of TensorFlow whose variables have no names; it is damaged.")
        name, value = pair
        if stands_for_tensor(value):
            found[name.replace("/", ".")] = as_tensor(value)
    for name, component in components.items():
        if not is_network(component):
            raise BadCheckpoint(f"it holds a network of TensorFlow whose part {name} is none; it is damaged.")
        inner = _tensors(component, depth + 1)
        found |= {f"{name}.{variable}": value for variable, value in inner.items()}
    return found
