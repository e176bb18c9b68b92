"""Pickles in the structure that StyleGAN's code for TensorFlow writes: a tuple of dnnlib.tflib's networks."""

from __future__ import annotations

import pickle
import sys
import types
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np


def snapshot(
    variables: Mapping[str, np.ndarray], own: Sequence[str], mapping: str, arguments: Mapping[str, Any] | None = None
) -> bytes:
    """Generator, discriminator and averaged generator, the last with these variables, the others with halved ones.

    own: names of variables of the generator itself; of the others those that begin with `mapping` are the mapping's.
    arguments: what it was built with.
    """
    names = ("dnnlib", "dnnlib.util", "dnnlib.tflib", "dnnlib.tflib.network")
    modules = {name: types.ModuleType(name) for name in names}
    network_class = type("Network", (), {"__module__": names[3]})
    easy_dict = type("EasyDict", (dict,), {"__module__": names[1]})
    modules[names[3]].__dict__["Network"] = network_class
    modules[names[1]].__dict__["EasyDict"] = easy_dict

    def network(name: str, variables: Mapping[str, np.ndarray], components: Mapping[str, Any]) -> Any:
        made = network_class()
        made.__dict__ |= {
            "version": 4,
            "name": name,
            "static_kwargs": easy_dict(arguments or {}),
            "components": easy_dict(components),
            "build_module_src": "raise SystemExit('the source of a pickle was run')",
            "build_func_name": "G_main",
            "variables": list(variables.items()),
        }
        return made

    def generator(name: str, factor: float) -> Any:
        scaled = {key: np.array(value * np.float32(factor), np.float32, order="C") for key, value in variables.items()}
        loose = {key: value for key, value in scaled.items() if key in own}
        inner = {key: value for key, value in scaled.items() if key not in own and key.startswith(mapping)}
        outer = {key: value for key, value in scaled.items() if key not in own and key not in inner}
        inner = {key.removeprefix("mapping/"): value for key, value in inner.items()}
        outer = {key.removeprefix("synthesis/"): value for key, value in outer.items()}
        parts = {"synthesis": network("G_synthesis", outer, {}), "mapping": network("G_mapping", inner, {})}
        return network(name, loose, parts)

    critic = network("D", {"4x4/Dense0/weight": np.ones((4, 4), np.float32)}, {})
    kept = {name: sys.modules.get(name) for name in names}
    sys.modules |= modules
    try:
        return pickle.dumps((generator("G", 0.5), critic, generator("Gs", 1.0)), protocol=4)
    finally:
        for name, module in kept.items():
            del sys.modules[name]
            if module is not None:
                sys.modules[name] = module
