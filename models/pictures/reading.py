"""Files of pictures read in other threads, some of them before they are needed."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import Final, TypeVar

T = TypeVar("T")
READERS: Final = 4
"""Files that are read at the same time, at most, and where there are as many cores: Pillow decodes without the lock of
the interpreter."""
AHEAD: Final = 4
"""Times as many pictures that are ready or being read: few, for they may be large."""


def read_ahead(files: Mapping[str, Path], read: Callable[[str, Path], T]) -> Iterator[tuple[str, Future[T]]]:
    """Every file by its name, in order, with what `read` makes of both; what that raises is raised by `result()`."""
    readers = min(READERS, os.cpu_count() or 1)
    waiting = iter(files.items())
    pool = ThreadPoolExecutor(max_workers=readers, thread_name_prefix="pictures")
    try:
        coming = deque((name, pool.submit(read, name, file)) for name, file in islice(waiting, readers * AHEAD))
        while coming:
            yield coming.popleft()
            coming.extend((name, pool.submit(read, name, file)) for name, file in islice(waiting, 1))
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
