"""The seam without ComfyUI: one process, one graph, CUDA if there is one and else the CPU.

Folders: below a home folder (the environment variable TRILEMMA_HOME, else the current one) `input/`, `output/`,
`temp/`, and `model_files/<key>/` with ComfyUI's folder keys, so that ComfyUI's own `models` folder serves as well:
`headless.py --models` or the environment variable TRILEMMA_MODELS point to it.
"""

import threading
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import torch
from torch import nn

from ..models.errors import CannotDo
from . import environment, model_folders
from .batches import halve
from .handles import Handle, OnStep, Slot
from .image_reading import reader

T = TypeVar("T")

_places: dict[str, Path] = {
    **{name: environment.HOME / name for name in ("input", "output", "temp")},
    "models": environment.MODELS,
}
_interrupt = threading.Event()


class Interrupted(KeyboardInterrupt):
    """The user has asked to stop. No Exception, so that no retry swallows it."""


def use_folders(**places: Path | None) -> None:
    """Replaces `input`, `output`, `temp` or `models` for the rest of the process; None keeps what is set."""
    _places.update({name: Path(place) for name, place in places.items() if place is not None})


def interrupt() -> None:
    """Asks the running graph to stop; the next step or node raises Interrupted."""
    _interrupt.set()


def check_interrupted() -> None:
    """Raises Interrupted, once, if somebody has called `interrupt`."""
    if _interrupt.is_set():
        _interrupt.clear()
        raise Interrupted("interrupted by the user")


def hold(model: Any, modules: Sequence[nn.Module]) -> Handle:
    """A model with its networks (dtype already final) ready for `placed`."""
    return Handle(model, tuple(Slot(module) for module in modules))


@contextmanager
def placed(*handles: Handle, memory: int) -> Iterator[torch.device]:
    """Has every network of all the handles on the compute device for the length of the block.

    Nothing else holds the device here, so nothing has to make room for `memory`, the bytes needed beside the weights.
    """
    device = compute_device()
    slots = [slot for handle in handles for slot in handle.patchers]
    try:
        # Under a graph's inference mode copies could never serve a gradient.
        with without_inference_mode():
            for slot in slots:
                slot.to(device)
        yield device
    finally:
        with without_inference_mode():
            for slot in slots:
                slot.to("cpu")


def compute_device() -> torch.device:
    """Where networks run."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def compute_dtype(params: int) -> torch.dtype:
    """float16 on CUDA, float32 on a CPU, whatever the number of parameters."""
    return torch.float16 if compute_device().type == "cuda" else torch.float32


def intermediate(tensor: torch.Tensor) -> torch.Tensor:
    """The tensor as float32 on the CPU, where values between nodes are kept."""
    return tensor.to("cpu", torch.float32)


@contextmanager
def progress(total: int) -> Iterator[OnStep]:
    """Gives `on_step(done, preview=None)`: moves a bar on stderr (previews are for a page only) and raises
    Interrupted once somebody has called `interrupt`."""
    from tqdm import tqdm

    with tqdm(total=total, leave=False) as bar:
        # Its own clock may be set back: it would tell hours below none, or stand still for as long.
        bar._time = time.monotonic  # pyright: ignore[reportAttributeAccessIssue]  (it has no other way to be told)
        bar.start_t = bar.last_print_t = time.monotonic()

        def on_step(done: int, preview: torch.Tensor | None = None) -> None:
            check_interrupted()
            bar.update(done - bar.n)

        yield on_step


def halving(run: Callable[[int], T], batch_size: int) -> T:
    """`run(batch_size)`; when the device runs out of memory, again with half the batch, down to one."""
    return halve(run, batch_size, _is_out_of_memory, torch.cuda.empty_cache)


def _is_out_of_memory(error: Exception) -> bool:
    return isinstance(error, torch.cuda.OutOfMemoryError)


def without_inference_mode() -> torch.inference_mode:
    """For building networks: made under the inference mode of a graph, they could never serve a gradient."""
    return torch.inference_mode(False)


def sampler_names() -> list[str]:
    """Names that every ComfyUI has, so that the node can be read here."""
    return ["euler", "euler_ancestral", "heun", "dpm_2", "dpmpp_2m", "dpmpp_2m_sde", "ddpm", "ddim", "uni_pc"]


def scheduler_names() -> list[str]:
    """Names that every ComfyUI has."""
    return ["simple", "sgm_uniform", "karras", "exponential", "ddim_uniform", "beta", "normal"]


def checkpoint_sampler(*arguments: Any) -> NoReturn:
    """Raises CannotDo: only ComfyUI loads a MODEL."""
    raise CannotDo("model: only ComfyUI samples its models; run this there, or by headless.py --comfyui.")


def text_tower(*arguments: Any) -> NoReturn:
    """Raises CannotDo: only ComfyUI loads a CLIP."""
    raise CannotDo("clip: only ComfyUI runs its CLIP models; run this there, or by headless.py --comfyui.")


def image_tower(*arguments: Any) -> NoReturn:
    """Raises CannotDo: only ComfyUI loads a CLIP_VISION."""
    raise CannotDo("clip_vision: only ComfyUI runs its CLIP models; run this there, or by headless.py --comfyui.")


def vision_encoder(*arguments: Any) -> NoReturn:
    """Raises CannotDo: only ComfyUI loads a CLIP_VISION."""
    raise CannotDo("clip_vision: only ComfyUI runs its vision models; run this there, or by headless.py --comfyui.")


def vision_network(*arguments: Any) -> NoReturn:
    """Raises CannotDo: only ComfyUI loads a CLIP_VISION."""
    raise CannotDo("clip_vision: only ComfyUI runs its vision models; run this there, or by headless.py --comfyui.")


def model_files(key: str, extensions: Collection[str], folders: bool = False) -> list[str]:
    """Entries of a model folder for a loader's list, with forward slashes; `folders` adds whole model folders."""
    roots = [model_folder(key)]
    whole_folders = model_folders.walk_model_folders(roots) if folders else []
    return model_folders.choices(model_folders.walk_files(roots), whole_folders, extensions)


def model_path(key: str, name: str) -> Path:
    """Path of an entry of `model_files`; MissingFile names the folder."""
    return model_folders.find([model_folder(key)], name, key)


def model_folder(key: str) -> Path:
    """The folder where files of this kind are looked for."""
    return _places["models"] / key


def input_folder() -> Path:
    """Where the user's pictures are."""
    return _places["input"]


def output_folder() -> Path:
    """Where results go."""
    return _places["output"]


def temp_folder() -> Path:
    """Where previews go."""
    return _places["temp"]


def has_page() -> bool:
    """Whether anybody can see what a node shows on itself: nobody."""
    return False


def image_reader() -> str:
    """What reads the files of Load Image: PyAV, or Pillow."""
    return reader()


def version() -> str:
    """What runs the graph, for reports."""
    return "no host"


def keeps_metadata() -> bool:
    """Whether saved pictures may hold the graph: always."""
    return True
