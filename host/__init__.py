"""The one seam to ComfyUI: devices, memory, progress, interrupts and folders.

Inside ComfyUI they are ComfyUI's own; alone, this package serves them itself. Both modules have the same functions.
"""

import sys

from .handles import Handle, Slot

# ComfyUI imports its model management before any custom node. To try the import instead would wake up the CUDA
# driver of a checkout that merely lies on sys.path.
if "comfy.model_management" in sys.modules:
    from . import comfyui as _host
else:
    from . import standalone as _host

check_interrupted = _host.check_interrupted
checkpoint_sampler = _host.checkpoint_sampler
compute_device = _host.compute_device
compute_dtype = _host.compute_dtype
halving = _host.halving
has_page = _host.has_page
hold = _host.hold
image_reader = _host.image_reader
image_tower = _host.image_tower
input_folder = _host.input_folder
intermediate = _host.intermediate
interrupt = _host.interrupt
keeps_metadata = _host.keeps_metadata
model_files = _host.model_files
model_folder = _host.model_folder
model_path = _host.model_path
output_folder = _host.output_folder
placed = _host.placed
progress = _host.progress
sampler_names = _host.sampler_names
scheduler_names = _host.scheduler_names
temp_folder = _host.temp_folder
text_tower = _host.text_tower
version = _host.version
vision_encoder = _host.vision_encoder
vision_network = _host.vision_network
without_inference_mode = _host.without_inference_mode

__all__ = [
    "Handle",
    "Slot",
    "check_interrupted",
    "checkpoint_sampler",
    "compute_device",
    "compute_dtype",
    "halving",
    "has_page",
    "hold",
    "image_reader",
    "image_tower",
    "input_folder",
    "intermediate",
    "interrupt",
    "keeps_metadata",
    "model_files",
    "model_folder",
    "model_path",
    "output_folder",
    "placed",
    "progress",
    "sampler_names",
    "scheduler_names",
    "temp_folder",
    "text_tower",
    "version",
    "vision_encoder",
    "vision_network",
    "without_inference_mode",
]
