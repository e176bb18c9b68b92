"""Which names of a pickle become tensors, containers and plain values, which stay inert, and which are refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import numpy as np
import torch

from ...errors import BadCheckpoint, is_out_of_memory
from . import arrays
from .arrays import NumpyDtype, Pending
from .machine import Budget, Global, Inert, check_key, check_new
from .names import PYTHON_LIBRARY, is_plain

DTYPES: Final = {
    str(value).removeprefix("torch."): value for value in vars(torch).values() if isinstance(value, torch.dtype)
}

MAX_NAME: Final = 1000
MAX_DIMENSIONS: Final = 64


class Rebuilder:
    """Makes a file's values. `load_storage` reads the bytes of a PyTorch stream that lies within this one."""

    def __init__(self, budget: Budget, load_storage: Callable[[memoryview], Any]) -> None:
        self.budget = budget
        self.load_storage = load_storage

    def mention(self, module: str, name: str) -> Global:
        """The name as data.

        Raises:
            BadCheckpoint: it is one of Python's own library that no checkpoint has a use for.
        """
        if len(module) + len(name) > MAX_NAME or not (module + name).isprintable():
            raise BadCheckpoint("it names a class by something that is no name; it is damaged, or no checkpoint.")
        named = Global(module, name)
        plain = str(named) in FUNCTIONS or is_plain(module, name)
        if module.partition(".")[0] in PYTHON_LIBRARY and not plain:
            raise BadCheckpoint(
                f"it names {named}, which no checkpoint has a use for. Opened by other programs it may run code; "
                "nothing of it was run here. Delete it, and look for the same weights as .safetensors."
            )
        return named

    def call(self, function: Any, args: Any, kwargs: dict[str, Any]) -> Any:
        """What the file says `function(*args, **kwargs)` is; see the table FUNCTIONS.

        Raises:
            BadCheckpoint: what is called is no name, or is given arguments that it cannot take.
        """
        if not isinstance(function, Global):
            made_by = f" that {function.cls} would make" if isinstance(function, Inert) else ""
            raise BadCheckpoint(
                f"it calls a {type(function).__name__} object{made_by}, as no checkpoint does; do not use it."
            )
        if not (isinstance(args, tuple) and isinstance(kwargs, dict)):
            raise BadCheckpoint(f"it calls {function} without a list of arguments; it is damaged, or no checkpoint.")
        rebuild = FUNCTIONS.get(str(function))
        if rebuild is None:
            return Inert(function, args, kwargs)
        try:
            return rebuild(self, *args)
        except (TypeError, ValueError, KeyError, RuntimeError, OverflowError) as error:
            if is_out_of_memory(error):
                raise
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise BadCheckpoint(f"it calls {function} with arguments that make no sense ({reason}).") from error

    def set_state(self, value: Any, state: Any) -> None:
        """What pickle does by `__setstate__`, for the kinds of value that have a state here."""
        if isinstance(value, Inert):
            value.state = state
        elif isinstance(value, NumpyDtype):
            value.order = arrays.ORDERS.get(state[1], "=")
        elif isinstance(value, np.ndarray):
            arrays.fill(value, state, self.budget)
        elif not isinstance(value, (dict, list, set, torch.Tensor, Pending)):
            # Those may carry attributes of their own, such as a state dict's _metadata, that nothing here reads.
            named = value if isinstance(value, Global) else f"a {type(value).__name__}"
            raise BadCheckpoint(f"it sets the state of {named}, as no checkpoint does; do not use it.")

    def raw(self, value: Any) -> bytes:
        """Bytes, which Python 2 may have written as text."""
        if isinstance(value, bytes):
            return value
        self.budget.copy(len(value))
        return value.encode("latin-1") if isinstance(value, str) else bytes(memoryview(value))

    def encode(self, text: str, encoding: str = "latin1") -> bytes:
        if encoding not in ("latin1", "latin-1"):
            raise ValueError("another encoding than Latin-1")
        return self.raw(text)

    def bytearray(self, value: Any = b"", encoding: str = "latin1") -> bytes:
        return self.raw(value)

    def dictionary(self, pairs: Any = ()) -> dict[Any, Any]:
        if not isinstance(pairs, (dict, list, tuple)):
            raise TypeError("a dict of what is no list")
        self.budget.copy(16 * len(pairs))
        made: dict[Any, Any] = {}
        for key, value in pairs.items() if isinstance(pairs, dict) else pairs:
            check_new(check_key(key), made)
            made[key] = value
        return made

    def defaultdict(self, factory: Any = None, pairs: Any = ()) -> dict[Any, Any]:
        return self.dictionary(pairs)

    def collection(self, kind: type, values: Any = ()) -> Any:
        if not isinstance(values, (list, tuple, set, frozenset, dict)):
            raise TypeError(f"a {kind.__name__} of what is no list")
        self.budget.copy(8 * len(values))
        return kind(check_key(value) for value in values) if kind in (set, frozenset) else kind(values)

    def reconstructor(self, cls: Global, base: Any, state: Any) -> Any:
        """How protocols 0 and 1 write an object: an empty one of its base's content."""
        made = self.call(cls, (), {})
        if isinstance(state, dict):
            (made.items if isinstance(made, Inert) else made).update(self.dictionary(state))
        return made

    def new(self, cls: Global, *args: Any) -> Any:
        return self.call(cls, args, {})

    def persistent_object(self, meta: dict[str, Any]) -> Inert:
        """An object of StyleGAN's torch_utils.persistence. The source text in `module_src` is not looked at."""
        name = meta["class_name"]
        if not isinstance(name, str):
            raise TypeError("a class name that is no text")
        found = Inert(self.mention("torch_utils.persistence", name))
        found.state = meta["state"]
        return found

    def tensor(self, storage: torch.Tensor, offset: int, size: Any, stride: Any, *rest: Any) -> torch.Tensor | Pending:
        """A view of a storage; as_strided sees to it that it stays within. `rest`: requires_grad, hooks, metadata."""
        if max(len(size), len(stride)) > MAX_DIMENSIONS:
            raise ValueError(f"a tensor of {len(size)} dimensions")
        view = storage.as_strided(tuple(size), tuple(stride), storage.storage_offset() + offset)
        return arrays.resolved(view, rest[2], self.budget) if len(rest) > 2 else view

    def tensor_of_bytes(self, storage: torch.Tensor, *rest: Any) -> torch.Tensor | Pending:
        """A view of an untyped storage. `rest`: offset, size, stride, requires_grad, hooks, dtype, metadata."""
        kind = DTYPES[rest[5].name]
        usable = storage.numel() // kind.itemsize * kind.itemsize
        return self.tensor(storage[:usable].view(kind), *rest[:5], *rest[6:])

    def parameter(self, value: Any, *rest: Any) -> Any:
        return value

    def sparse_tensor(self, layout: Any, parts: Any) -> Pending:
        return arrays.dense(layout, parts, self.budget)

    def layout(self, name: Any) -> Any:
        return name

    def tensor_of_device(self, values: Any, kind: Global, *rest: Any) -> Pending:
        """`rest`: device, requires_grad."""
        return arrays.of_device(values, DTYPES[kind.name], self.budget)

    def tensor_subclass(self, function: Global, cls: Any, args: tuple, *rest: Any) -> Any:
        return self.call(function, args, {})

    def storage(self, raw: Any) -> Any:
        return self.load_storage(memoryview(raw))

    def numpy_dtype(self, code: Any, *rest: Any) -> Any:
        return arrays.dtype(code)

    def numpy_scalar(self, dtype: Any, raw: Any = None) -> Any:
        if not (isinstance(dtype, NumpyDtype) and dtype.is_number):
            return Inert(Global("numpy", "scalar"), (dtype, raw))
        return np.frombuffer(self.raw(raw), dtype.made(), count=1)[0].item()

    def numpy_array(self, cls: Global, *rest: Any) -> Any:
        """An empty array, whose state comes later; those of other classes (masked ones, say) stay inert."""
        plain = isinstance(cls, Global) and str(cls) == "numpy.ndarray"
        return np.empty(0, np.uint8) if plain else Inert(Global("numpy", "ndarray"), (cls, *rest))

    def numpy_array_of_buffer(self, raw: Any, dtype: Any, shape: Any, order: Any, axes: Any = None) -> Any:
        return arrays.of_buffer(memoryview(raw), dtype, shape, order, axes)

    def size(self, sizes: Any) -> tuple[Any, ...]:
        return self.collection(tuple, sizes)

    def device(self, *parts: Any) -> str:
        return ":".join(str(part) for part in parts if isinstance(part, (str, int)))


def _table() -> dict[str, Callable[..., Any]]:
    """Name in a file -> what makes its value here from (rebuilder, *arguments)."""
    table: dict[str, Callable[..., Any]] = {
        "_codecs.encode": Rebuilder.encode,
        "collections.Counter": Rebuilder.dictionary,
        "collections.OrderedDict": Rebuilder.dictionary,
        "collections.defaultdict": Rebuilder.defaultdict,
        "dnnlib.EasyDict": Rebuilder.dictionary,
        "dnnlib.util.EasyDict": Rebuilder.dictionary,
        "easydict.EasyDict": Rebuilder.dictionary,
        "numpy.dtype": Rebuilder.numpy_dtype,
        "torch._tensor._rebuild_from_type_v2": Rebuilder.tensor_subclass,
        "torch._utils._rebuild_parameter": Rebuilder.parameter,
        "torch._utils._rebuild_parameter_with_state": Rebuilder.parameter,
        "torch._utils._rebuild_device_tensor_from_cpu_tensor": Rebuilder.tensor_of_device,
        "torch._utils._rebuild_device_tensor_from_numpy": Rebuilder.tensor_of_device,
        "torch._utils._rebuild_sparse_csr_tensor": Rebuilder.sparse_tensor,
        "torch._utils._rebuild_sparse_tensor": Rebuilder.sparse_tensor,
        "torch._utils._rebuild_tensor": Rebuilder.tensor,
        "torch._utils._rebuild_tensor_v2": Rebuilder.tensor,
        "torch._utils._rebuild_tensor_v3": Rebuilder.tensor_of_bytes,
        "torch.Size": Rebuilder.size,
        "torch.device": Rebuilder.device,
        "torch.serialization._get_layout": Rebuilder.layout,
        "torch.storage._load_from_bytes": Rebuilder.storage,
        "torch.tensor._rebuild_from_type": Rebuilder.tensor_subclass,
        "torch_utils.persistence._reconstruct_persistent_obj": Rebuilder.persistent_object,
    }
    for module in ("numpy.core", "numpy._core"):
        table[f"{module}.multiarray._reconstruct"] = Rebuilder.numpy_array
        table[f"{module}.multiarray.scalar"] = Rebuilder.numpy_scalar
        table[f"{module}.numeric._frombuffer"] = Rebuilder.numpy_array_of_buffer
    for module in ("builtins", "__builtin__"):
        table[f"{module}.bytearray"] = Rebuilder.bytearray
        table[f"{module}.bytes"] = Rebuilder.bytearray
        table[f"{module}.complex"] = lambda rebuilder, real, imaginary: complex(real, imaginary)
        table[f"{module}.dict"] = Rebuilder.dictionary
        for kind in (set, frozenset, list, tuple):
            table[f"{module}.{kind.__name__}"] = lambda rebuilder, *args, kind=kind: rebuilder.collection(kind, *args)
    for module in ("copyreg", "copy_reg"):
        table[f"{module}._reconstructor"] = Rebuilder.reconstructor
        table[f"{module}.__newobj__"] = Rebuilder.new
    return table


FUNCTIONS: Final = _table()
