"""A route for tests that tells what the server's process holds: GET /soak_state[?tidy=1].

`tidy` first gives back all that can be, what cycles hold, and pages that the allocator keeps; and tells what takes
longer to count: live objects by their class, and bytes that are allocated.
"""

import collections
import contextlib
import ctypes
import gc
import re
import threading

import comfy.model_management as management
import psutil
from aiohttp import web
from comfy.model_patcher import ModelPatcher
from server import PromptServer

NODE_CLASS_MAPPINGS = {}
PROCESS = psutil.Process()


@PromptServer.instance.routes.get("/soak_state")
async def state(request):
    tidy = {}
    if "tidy" in request.query:
        gc.collect()
        with contextlib.suppress(OSError, AttributeError):
            tidy["allocated"] = _trimmed(ctypes.CDLL("libc.so.6"))
    memory = PROCESS.memory_full_info()
    objects = gc.get_objects()
    if "tidy" in request.query:
        kinds = collections.Counter(f"{type(each).__module__}.{type(each).__qualname__}" for each in objects)
        tidy["kinds"] = dict(kinds)
    told = {
        "process": [PROCESS.pid, PROCESS.create_time()],
        "rss": memory.rss,
        "pss": getattr(memory, "pss", memory.uss),
        "threads": PROCESS.num_threads(),
        "thread_names": sorted(thread.name for thread in threading.enumerate()),
        "files": sorted(file.path for file in PROCESS.open_files()),
        "handles": PROCESS.num_fds() if hasattr(PROCESS, "num_fds") else 0,
        "loaded": len(management.current_loaded_models),
        "patchers": sum(issubclass(type(each), ModelPatcher) for each in objects),
        "objects": len(objects),
        "seconds": sum(PROCESS.cpu_times()[:2]),
    }
    return web.json_response({**told, **tidy})


def _trimmed(libc):
    """Bytes that are allocated, by glibc's own account over all its arenas, whose empty pages are given back."""
    libc.malloc_trim(0)
    libc.open_memstream.restype = ctypes.c_void_p
    text, size = ctypes.c_char_p(), ctypes.c_size_t()
    stream = ctypes.c_void_p(libc.open_memstream(ctypes.byref(text), ctypes.byref(size)))
    libc.malloc_info(0, stream)
    libc.fclose(stream)
    told = ctypes.string_at(text, size.value).decode()
    libc.free(text)
    told = told[told.rindex("</heap>") :]
    free, mapped, system = (
        sum(map(int, re.findall(rf'<{kind}[^>]* size="(\d+)"', told)))
        for kind in ('total type="(?:fast|rest)"', 'total type="mmap"', 'system type="current"')
    )
    return system - free + mapped
