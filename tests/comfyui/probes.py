"""Questions about the host layer that only ComfyUI's own modules can answer; run by ComfyUI's Python.

    python probes.py CHECKOUT BASE_FOLDER

Prints one JSON object {probe: answer}. Placement is tried on simulated devices: `meta` shows what moves (its data is
lost), and `cpu:0`, which ComfyUI takes for a device other than `cpu`, shows eviction with the results intact.
"""

import contextlib
import importlib
import json
import sys
import time
import traceback
from pathlib import Path

CHECKOUT, BASE = Path(sys.argv[1]), Path(sys.argv[2])
sys.argv = [str(CHECKOUT / "main.py"), "--cpu", "--base-directory", str(BASE)]
sys.path[0] = str(CHECKOUT)

import comfy.options  # noqa: E402

comfy.options.enable_args_parsing()

import comfy.model_management as management  # noqa: E402
import comfy.model_patcher  # noqa: E402
import comfy.utils  # noqa: E402
import folder_paths  # noqa: E402
import psutil  # noqa: E402
import torch  # noqa: E402

OTHERS_SAMS = BASE / "other_sams"
folder_paths.folder_names_and_paths["sams"] = ([str(OTHERS_SAMS)], {".pt", ".pth"})
folder_paths.add_model_folder_path("grounding-dino", str(BASE / "yaml_dino"))

before_import = time.process_time()
importlib.import_module("trilemma")
IMPORT_SECONDS = time.process_time() - before_import

from trilemma import host  # noqa: E402
from trilemma.host.handles import Handle  # noqa: E402
from trilemma.tests.comfyui.wire_values import examples, tensor_bytes  # noqa: E402


class Network(torch.nn.Module):
    """Has what partial loading leaves behind: a parameter and buffers outside of leaf layers."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.position = torch.nn.Parameter(torch.randn(1024))
        self.layers = torch.nn.Sequential(torch.nn.Linear(1024, 1024), torch.nn.Linear(1024, 1024))
        self.register_buffer("scale", torch.full((1,), 0.5), persistent=False)

    @property
    def device(self) -> torch.device:
        return self.position.device

    def forward(self) -> float:
        return self.layers(self.position * self.scale).sum().item()

    def devices(self) -> list[str]:
        return sorted({tensor.device.type for tensor in (*self.parameters(), *self.buffers())})


@contextlib.contextmanager
def simulated(device: str, capacity: int | None = None):
    """ComfyUI computing on `device`, which has `capacity` bytes beside what ComfyUI keeps free for itself."""
    real = management.get_torch_device, management.get_free_memory, management.vram_state

    def free(of=None, torch_free_too=False):
        loaded = sum(model.model_loaded_memory() for model in management.current_loaded_models)
        available = 1e12 if capacity is None else capacity + management.minimum_inference_memory() - loaded
        return (available, available) if torch_free_too else available

    management.get_torch_device, management.get_free_memory = lambda: torch.device(device), free
    management.vram_state = management.VRAMState.NORMAL_VRAM
    try:
        yield
    finally:
        management.unload_all_models()
        management.get_torch_device, management.get_free_memory, management.vram_state = real


def held(seed: int) -> Handle:
    network = Network(seed)
    return host.hold(network, [network])


def loaded(handle: Handle) -> bool:
    return all(patcher.loaded_size() == patcher.model_size() for patcher in handle.patchers)


def run(handle: Handle) -> float:
    with host.placed(handle, memory=0):
        assert loaded(handle)
        return handle.model()


def import_seconds():
    """Processor time, because ComfyUI's log tells the time on the clock, which other programs share."""
    return IMPORT_SECONDS


def on_the_cpu():
    handle = held(0)
    before = handle.model()
    first = run(handle)
    entries = [len(management.current_loaded_models)]
    run(handle)
    entries.append(len(management.current_loaded_models))
    management.unload_all_models()
    entries.append(len(management.current_loaded_models))
    return {"entries": entries, "same": before == first == run(handle)}


def everything_moves():
    """Even onto a device with less room than the network takes, where ComfyUI would load part of its layers."""
    with simulated("meta", capacity=1_000_000):
        handle = held(0)
        with host.placed(handle, memory=0) as device:
            answer = {"device": str(device), "devices": handle.model.devices()}
        management.current_loaded_models.clear()  # nothing comes back from `meta`
        return answer


def under_inference_mode():
    """As in a prompt: built inside, moved inside, and still able to serve a gradient."""
    with simulated("cpu:0"), torch.inference_mode():
        with host.without_inference_mode():
            network = Network(0)
        handle = host.hold(network, [network])
        run(handle)
        management.unload_all_models()
        run(handle)
        return [tensor.is_inference() for tensor in (*network.parameters(), *network.buffers())]


def pressure():
    """Room for two networks: a third evicts, and each evicted one runs again with the same result."""
    size = held(0).patchers[0].model_size()
    with simulated("cpu:0", capacity=int(2.6 * size)):
        handles = [held(seed) for seed in range(3)]
        expected = [handle.model() for handle in handles]
        rounds = []
        for _ in range(2):
            for handle in handles:
                run(handle)
                rounds.append(sum(map(loaded, handles)))
        again = [run(handle) for handle in handles]
        with host.placed(*handles[:2], memory=0):
            together = [loaded(handle) for handle in handles]
        return {"loaded": rounds, "same": again == expected, "together": together}


def memory_is_asked_for():
    """The activation bytes make room as the weights do."""
    handles = [held(0), held(1)]
    size = handles[0].patchers[0].model_size()
    with simulated("cpu:0", capacity=int(3 * size)):
        handles = [held(0), held(1)]
        run(handles[0])
        with host.placed(handles[1], memory=0):
            beside = loaded(handles[0])
        with host.placed(handles[1], memory=int(management.minimum_inference_memory() + 2 * size)):
            return {"beside": beside, "after": loaded(handles[0])}


def out_of_memory():
    tried = []

    def attempt(batch_size):
        tried.append(batch_size)
        if batch_size > 1:
            raise management.OOM_EXCEPTION("simulated")
        return "done"

    return {"result": host.halving(attempt, 4), "tried": tried}


def interrupts():
    tried = []

    def attempt(batch_size):
        tried.append(batch_size)
        with host.progress(10) as on_step:
            on_step(1)
            host.interrupt()
            on_step(2)

    try:
        host.halving(attempt, 4)
    except management.InterruptProcessingException:
        return {"raised": True, "tried": tried}
    return {"raised": False, "tried": tried}


def previews():
    shown = []
    comfy.utils.set_progress_bar_global_hook(lambda value, total, preview, **kwargs: shown.append((value, preview)))
    with host.progress(4) as on_step:
        for step in range(1, 5):
            on_step(step, torch.full((40, 30, 3), step / 4) if step % 2 == 0 else None)
    comfy.utils.set_progress_bar_global_hook(None)
    pictures = [(value, preview) for value, preview in shown if preview is not None]
    return [[value, kind, picture.size, picture.getpixel((0, 0))[0], size] for value, (kind, picture, size) in pictures]


def folders():
    for file in ("other_sams/theirs.pt", "other_sams/theirs.pth", "models/sams/ours.pth", "yaml_dino/sub/dino.pth"):
        (BASE / file).parent.mkdir(parents=True, exist_ok=True)
        (BASE / file).touch()
    (BASE / "models/inpaint").mkdir(parents=True)
    for name in ("big-lama.pt", "inpaint_v26.fooocus.patch"):
        (BASE / "models/inpaint" / name).touch()
    (BASE / "models/diffusers/pipe").mkdir(parents=True)
    (BASE / "models/diffusers/pipe/model_index.json").touch()
    return {
        "sams": host.model_files("sams", (".pth", ".safetensors")),
        "sams_extensions": sorted(folder_paths.folder_names_and_paths["sams"][1]),
        "sams_first": str(host.model_folder("sams")) == str(OTHERS_SAMS),
        "dino": host.model_files("grounding-dino", (".pth", ".safetensors"), folders=True),
        "dino_path": host.model_path("grounding-dino", "sub/dino.pth").relative_to(BASE).as_posix(),
        "diffusers": host.model_files("diffusers", (), folders=True),
        "inpaint": host.model_files("inpaint", (".pt", ".safetensors")),
        "inpaint_path": host.model_path("inpaint", "big-lama.pt").relative_to(BASE).as_posix(),
        "inpaint_registered": "inpaint" in folder_paths.folder_names_and_paths,
        "input": host.input_folder() == BASE / "input",
    }


def cache_weights():
    """Per wire value: bytes of its tensors, and bytes that ComfyUI's RAM cache thinks it holds; none before it."""
    from comfy_execution import caching

    if not hasattr(caching, "RAMPressureCache"):
        return None
    values = examples()
    return {name: [tensor_bytes(value), released(caching, {name: value})[1]] for name, value in values.items()}


def handles_go_first():
    from comfy_execution import caching

    if not hasattr(caching, "RAMPressureCache"):
        return None
    return released(caching, {"tensor": torch.zeros(4_000_000), "handle": held(0)})[0]


def released(caching, values):
    """What ComfyUI's cache drops first of values that an earlier prompt left, and how many bytes it counts for it."""
    cache = caching.RAMPressureCache(caching.CacheKeySetInputSignature)
    for name, value in values.items():
        cache.cache[name] = CacheEntry(outputs=[[value]])
        cache.used_generation[name] = cache.generation
        cache.timestamps[name] = 0.0
    cache.generation += 1
    available = iter([0, 0])
    real = psutil.virtual_memory
    psutil.virtual_memory = lambda: Available(next(available, 1e30))
    try:
        freed = cache.ram_release(1e20)
    finally:
        psutil.virtual_memory = real
    (dropped,) = set(values) - set(cache.cache)
    return dropped, freed


class CacheEntry:
    def __init__(self, outputs):
        self.outputs = outputs


class Available:
    def __init__(self, available):
        self.available = available


def answer(probe):
    try:
        return probe()
    except Exception:
        return traceback.format_exc()


PROBES = (
    import_seconds, on_the_cpu, everything_moves, under_inference_mode, pressure, memory_is_asked_for, out_of_memory,
    interrupts, previews, folders, cache_weights, handles_go_first,
)  # fmt: skip
print(json.dumps({probe.__name__: answer(probe) for probe in PROBES}))
