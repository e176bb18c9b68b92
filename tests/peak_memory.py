"""Peak of live tensor memory during a call, counted exactly on the CPU.

Resident memory is no measure: the allocator keeps and rounds. Here every operator's outputs are seen as they are
made, storages are followed by weak references, and the largest sum of bytes alive at one time is the peak.
What an operator's kernel allocates and frees inside itself is not seen.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


def peak_bytes(fn: Callable[[], Any]) -> int:
    """Largest number of bytes in tensor storages made by `fn()` that were alive at one time.

    Storages that existed before the call (weights, inputs) do not count; views and in-place results add nothing;
    the value that `fn` returns does count. Works with and without autograd and under `torch.inference_mode()`.
    """
    with _Tracker() as tracker:
        fn()
    return tracker.peak


class _Tracker(TorchDispatchMode):
    def __init__(self) -> None:
        super().__init__()
        self.live = 0
        self.peak = 0
        # Storage address -> bytes counted for it; 0 for storages older than the call.
        self._known: dict[int, int] = {}

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        # Under inference mode composite operators arrive whole; their intermediates count too.
        with self:
            decomposed = func.decompose(*args, **kwargs)
        if decomposed is not NotImplemented:
            return decomposed
        for storage in _storages((args, kwargs)):
            if storage._cdata not in self._known:
                self._follow(storage, 0)
        outputs = func(*args, **kwargs)
        for storage in _storages(outputs):
            if storage._cdata not in self._known:
                self._follow(storage, storage.nbytes())
        return outputs

    def _follow(self, storage: torch.UntypedStorage, counted: int) -> None:
        self._known[storage._cdata] = counted
        self.live += counted
        self.peak = max(self.peak, self.live)
        weakref.finalize(storage, self._forget, storage._cdata).atexit = False

    def _forget(self, address: int) -> None:
        self.live -= self._known.pop(address)


def _storages(tree: Any) -> list[torch.UntypedStorage]:
    return [leaf.untyped_storage() for leaf in tree_leaves(tree) if isinstance(leaf, torch.Tensor)]
