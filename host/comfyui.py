"""The seam inside ComfyUI: its model management, progress bars, interrupts and folders (0.3.64 and later)."""

# ComfyUI's own modules: nowhere on the path until it runs this file.
# pyright: reportMissingImports=false

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import comfy.model_management as management
import comfy.utils
import comfyui_version
import folder_paths
import torch
from comfy.cli_args import args
from comfy.model_patcher import ModelPatcher
from PIL import Image
from torch import nn

from . import clip, model_folders, sampling, vision
from .batches import halve
from .handles import Handle, OnStep, Slot
from .image_reading import PILLOW, PYAV

T = TypeVar("T")
PREVIEW_SIZE = 512


def hold(model: Any, modules: Sequence[nn.Module]) -> Handle:
    """Puts the networks of a model (dtype already final) into ComfyUI's care. Once, where the model is loaded."""
    device = management.get_torch_device()
    offload = management.unet_offload_device()
    with without_inference_mode():
        # Not CoreModelPatcher: with dynamic VRAM it streams layers of comfy.ops only, and ours are plain ones.
        patchers = tuple(ModelPatcher(Slot(module), device, offload) for module in modules)
    return Handle(model, patchers)


@contextmanager
def placed(*handles: Handle, memory: int) -> Iterator[torch.device]:
    """Has every network of all the handles on the compute device at once, with `memory` bytes free beside them.

    One call for all that must coexist: a second call may evict what the first one loaded.
    """
    patchers = [patcher for handle in handles for patcher in handle.patchers]
    with without_inference_mode(), torch.no_grad():
        # Partial loading moves leaf layers only, and leaves plain modules' own parameters behind on the CPU.
        management.load_models_gpu(patchers, memory_required=memory, force_full_load=True)
    yield compute_device()


def compute_device() -> torch.device:
    """Where networks run."""
    return management.get_torch_device()


def compute_dtype(params: int) -> torch.dtype:
    """The dtype that ComfyUI advises for a network of so many parameters: float16, bfloat16, or float32 on a CPU."""
    device = compute_device()
    if management.should_use_fp16(device, model_params=params):
        return torch.float16
    if management.should_use_bf16(device, model_params=params):
        return torch.bfloat16
    return torch.float32


def intermediate(tensor: torch.Tensor) -> torch.Tensor:
    """The tensor as float32 on the device where ComfyUI keeps values between nodes."""
    return tensor.to(management.intermediate_device(), torch.float32)


@contextmanager
def progress(total: int) -> Iterator[OnStep]:
    """Gives `on_step(done, preview=None)`: moves the node's bar, shows `preview` (`[H, W, 3]` 0..1) on the node,
    and raises ComfyUI's interrupt once the user has pressed cancel."""
    bar = comfy.utils.ProgressBar(total)

    def on_step(done: int, preview: torch.Tensor | None = None) -> None:
        # The bar's own check is skipped when it throttles.
        check_interrupted()
        bar.update_absolute(done, total, None if preview is None else _preview(preview))

    yield on_step


def _preview(image: torch.Tensor) -> tuple[str, Image.Image, int]:
    pixels = image.detach().float().clamp(0, 1).mul(255).round().to("cpu", torch.uint8)
    # ComfyUI would enlarge a smaller picture to the size given.
    return "JPEG", Image.fromarray(pixels.numpy()), min(PREVIEW_SIZE, max(pixels.shape[:2]))


def interrupt() -> None:
    """Presses cancel: the next step or node raises ComfyUI's interrupt."""
    management.interrupt_current_processing()


def check_interrupted() -> None:
    """Raises ComfyUI's interrupt if the user has pressed cancel."""
    management.throw_exception_if_processing_interrupted()


def halving(run: Callable[[int], T], batch_size: int) -> T:
    """`run(batch_size)`; when the device runs out of memory, again with half the batch, down to one."""
    return halve(run, batch_size, _is_out_of_memory, management.soft_empty_cache)


def _is_out_of_memory(error: Exception) -> bool:
    # Up to 0.3.64 the interrupt is an Exception, and without torch.OutOfMemoryError OOM_EXCEPTION is Exception too.
    if isinstance(error, management.InterruptProcessingException):
        return False
    if hasattr(management, "is_oom"):
        return management.is_oom(error)
    return isinstance(error, management.OOM_EXCEPTION)


def without_inference_mode() -> torch.inference_mode:
    """For building networks: made under the inference mode of a prompt, they could never serve a gradient."""
    return torch.inference_mode(False)


checkpoint_sampler = sampling.checkpoint_sampler
sampler_names = sampling.sampler_names
scheduler_names = sampling.scheduler_names
vision_encoder = vision.vision_encoder
vision_network = vision.vision_network
image_tower = clip.image_tower
text_tower = clip.text_tower


def model_files(key: str, extensions: Collection[str], folders: bool = False) -> list[str]:
    """Entries of a model folder for a loader's list, with forward slashes; `folders` adds whole model folders."""
    if key in model_folders.BORROWED:
        files = model_folders.walk_files(_roots(key))
    else:
        files = [name.replace("\\", "/") for name in folder_paths.get_filename_list(key)]
    whole_folders = model_folders.walk_model_folders(_roots(key)) if folders else []
    return model_folders.choices(files, whole_folders, extensions)


def model_path(key: str, name: str) -> Path:
    """Path of an entry of `model_files`; MissingFile names the folder."""
    return model_folders.find(_roots(key), name, key)


def model_folder(key: str) -> Path:
    """The folder where a user is told to put files of this kind."""
    return _roots(key)[0]


def input_folder() -> Path:
    """Where the user's pictures are."""
    return Path(folder_paths.get_input_directory())


def output_folder() -> Path:
    """Where results go."""
    return Path(folder_paths.get_output_directory())


def temp_folder() -> Path:
    """Where previews go."""
    return Path(folder_paths.get_temp_directory())


def has_page() -> bool:
    """Whether anybody can see what a node shows on itself."""
    return True


def image_reader() -> str:
    """What reads the files of ComfyUI's own Load Image: PyAV, or Pillow as until 0.3.64."""
    import nodes  # here, for ComfyUI may still be at it when it imports the pack

    return PYAV if "VideoFromFile" in nodes.LoadImage.load_image.__code__.co_names else PILLOW


def version() -> str:
    """What runs the graph, for reports."""
    return f"ComfyUI {comfyui_version.__version__}"


def keeps_metadata() -> bool:
    """Whether saved pictures may hold the graph; false after `--disable-metadata`."""
    return not args.disable_metadata


def _roots(key: str) -> list[Path]:
    if key in model_folders.BORROWED:
        own, known = str(Path(folder_paths.models_dir) / key), folder_paths.folder_names_and_paths.get(key, ((), ()))
        return [Path(folder) for folder in dict.fromkeys((*known[0], own))]
    return [Path(folder) for folder in folder_paths.get_folder_paths(key)]


def _register_folders() -> None:
    for key, extensions in model_folders.FOLDER_KEYS.items():
        known = key in folder_paths.folder_names_and_paths
        folder_paths.add_model_folder_path(key, str(Path(folder_paths.models_dir) / key))
        if not known:
            roots, _ = folder_paths.folder_names_and_paths[key]
            folder_paths.folder_names_and_paths[key] = (roots, set(extensions))


_register_folders()
