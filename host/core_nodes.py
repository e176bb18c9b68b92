"""ComfyUI's own nodes that example graphs use, for running without ComfyUI: same names, inputs and results."""

import json
import mimetypes
import os
import re
import threading
from pathlib import Path
from typing import Any

import psutil
import torch
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from ..models.errors import BadInput, CannotDo, MissingFile
from ..models.files.paths import SHOWN, file_inside, path_inside
from . import standalone
from .filenames import filled
from .image_reading import read_image

# Nodes of ComfyUI that common graphs use and that only ComfyUI can run.
NEEDS_COMFYUI = frozenset(
    {
        "BasicGuider", "BasicScheduler", "CFGGuider", "CLIPLoader", "CLIPSetLastLayer", "CLIPTextEncode",
        "CLIPTextEncodeFlux", "CLIPTextEncodeSDXL", "CLIPVisionEncode", "CLIPVisionLoader", "CheckpointLoader",
        "CheckpointLoaderSimple", "ConditioningCombine", "ConditioningConcat", "ConditioningSetMask",
        "ConditioningZeroOut", "ControlNetApply", "ControlNetApplyAdvanced", "ControlNetLoader", "CreateBoundingBoxes",
        "DiffusersLoader", "DifferentialDiffusion", "DrawBBoxes", "DualCLIPLoader", "EmptyLatentImage",
        "EmptySD3LatentImage", "FluxGuidance", "ImageUpscaleWithModel", "InpaintModelConditioning", "KSampler",
        "KSamplerAdvanced", "KSamplerSelect", "LatentUpscale", "LatentUpscaleBy", "LoraLoader", "LoraLoaderModelOnly",
        "ModelSamplingFlux", "ModelSamplingSD3", "RTDETR_detect", "RandomNoise", "RepeatLatentBatch", "SAM3_Detect",
        "SamplerCustom", "SamplerCustomAdvanced", "SetLatentNoiseMask", "UNETLoader", "UpscaleModelLoader", "VAEDecode",
        "VAEDecodeTiled", "VAEEncode", "VAEEncodeForInpaint", "VAEEncodeTiled", "VAELoader",
    }
)  # fmt: skip

MAX_RESOLUTION = 16384
CHANNELS = ["red", "green", "blue", "alpha"]


def image_path(name: Any) -> Path:
    """Path of "sub/name.png", in the input folder or in the one that a suffix names: "name.png [output]".

    BadInput for what is no text, or leads out of the folder, MissingFile if there is no such file.
    """
    if not isinstance(name, str):
        raise BadInput(f"image: {repr(name)[:SHOWN]} is no name of a picture; choose one of the list.")
    folders = {
        "input": standalone.input_folder(),
        "output": standalone.output_folder(),
        "temp": standalone.temp_folder(),
    }
    annotated = re.search(r" ?\[(input|output|temp)\]\Z", name)
    plain = name[: annotated.start()] if annotated else name
    folder = folders[annotated.group(1) if annotated else "input"].resolve()
    path = path_inside(folder, plain, "image")
    if not path.is_file():
        raise MissingFile(f"image: there is no picture {plain[:SHOWN]!r} in {folder}; choose one of the list.")
    return path


def is_picture(name: str) -> bool:
    """Whether a file's ending names a kind of picture, as the list of the host's Load Image goes by."""
    return (mimetypes.guess_type(name, strict=False)[0] or "").startswith("image/")


class LoadImage:
    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        folder = standalone.input_folder()
        files = folder.iterdir() if folder.is_dir() else ()
        names = sorted(file.name for file in files if is_picture(file.name))
        return {"required": {"image": (names, {"image_upload": True})}}

    RETURN_TYPES = ("IMAGE", "MASK")
    FUNCTION = "run"

    @classmethod
    def VALIDATE_INPUTS(cls, image: str | None = None) -> bool | str:
        if image is None:  # missing or wired: the host says the one, and `run` judges the other
            return True
        try:
            image_path(image)
        except (BadInput, MissingFile) as error:
            return str(error)
        return True

    def run(self, image: str) -> tuple[torch.Tensor, torch.Tensor]:
        return read_image(image_path(image))


class LoadImageMask(LoadImage):
    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        types = super().INPUT_TYPES()
        return {"required": {**types["required"], "channel": (["alpha", "red", "green", "blue"],)}}

    RETURN_TYPES = ("MASK",)

    def run(self, image: str, channel: str) -> tuple[torch.Tensor]:
        pixels, mask = read_image(image_path(image))
        return (mask if channel == "alpha" else pixels[..., CHANNELS.index(channel)].clone(),)


class SaveImage:
    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {
            "required": {"images": ("IMAGE",), "filename_prefix": ("STRING", {"default": "ComfyUI"})},
            "hidden": {"prompt": "PROMPT", "extra_pnginfo": "EXTRA_PNGINFO"},
        }

    RETURN_TYPES = ("IMAGE",)
    FUNCTION = "run"
    OUTPUT_NODE = True

    def run(
        self,
        images: torch.Tensor,
        filename_prefix: str = "ComfyUI",
        prompt: dict[str, Any] | None = None,
        extra_pnginfo: dict[str, Any] | None = None,
    ) -> dict[str, Any]:
        height, width = images.shape[1:3]
        prefix = filled(filename_prefix, width, height, prompt, (extra_pnginfo or {}).get("workflow"))
        files = write_images(images, standalone.output_folder(), prefix, prompt, extra_pnginfo)
        return {"ui": {"images": [{**file, "type": "output"} for file in files]}, "result": (images,)}


class PreviewImage(SaveImage):
    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {
            "required": {"images": ("IMAGE",)},
            "hidden": {"prompt": "PROMPT", "extra_pnginfo": "EXTRA_PNGINFO", "node_id": "UNIQUE_ID"},
        }

    def run(
        self,
        images: torch.Tensor,
        prompt: dict[str, Any] | None = None,
        extra_pnginfo: dict[str, Any] | None = None,
        node_id: str = "",
    ) -> dict[str, Any]:
        prefix = f"preview_{node_id.replace(':', '-')}"
        files = write_images(images, standalone.temp_folder(), prefix, prompt, extra_pnginfo)
        return {"ui": {"images": [{**file, "type": "temp"} for file in files]}, "result": (images,)}


def write_images(
    images: torch.Tensor,
    folder: Path,
    prefix: str,
    prompt: dict[str, Any] | None,
    extra_pnginfo: dict[str, Any] | None,
) -> list[dict[str, str]]:
    """Writes `[B, H, W, 1|3|4]` 0..1 as `prefix_00001_.png`, ... after the highest number in the folder.

    Each file appears whole or not at all.
    The graph goes into the text chunks that ComfyUI's page reads when a picture is dropped on it.
    """
    target = file_inside(folder.resolve(), prefix, "filename_prefix", "run/picture")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _untold(target.parent.name, target.parent.parent, error) from error
    _sweep(target.parent)
    numbered = re.compile(re.escape(target.name) + r"_(\d+)_")
    taken = [int(match[1]) for file in target.parent.iterdir() if (match := numbered.match(file.name))]
    metadata = PngInfo()
    for key, value in ({} if prompt is None else {"prompt": prompt} | (extra_pnginfo or {})).items():
        metadata.add_text(key, json.dumps(value))
    written, number = [], max(taken, default=0)
    for image in images:
        pixels = image.float().mul(255).clamp(0, 255).to("cpu", torch.uint8).numpy()
        picture = Image.fromarray(pixels.squeeze(-1) if pixels.shape[-1] == 1 else pixels)
        name = f"{target.name}_{number + 1:05}_.png"
        part = target.parent / f".{name}.{threading.get_ident()}.{os.getpid()}.part"
        try:
            picture.save(part, "PNG", pnginfo=metadata, compress_level=4)
            number = _number(part, target, number + 1)
            name = f"{target.name}_{number:05}_.png"
        except OSError as error:
            raise _untold(name, target.parent, error) from error
        finally:
            part.unlink(missing_ok=True)
        subfolder = target.parent.relative_to(folder.resolve()).as_posix()
        written.append({"filename": name, "subfolder": "" if subfolder == "." else subfolder})
    return written


def _number(part: Path, target: Path, number: int) -> int:
    """Puts the picture where nobody else has put one since the numbers were read; its number."""
    while True:
        file = target.parent / f"{target.name}_{number:05}_.png"
        try:
            # No other way to make a file of a name fails where it is there.
            os.link(part, file)
        except FileExistsError:
            number += 1
            continue
        except OSError:
            # A file system without links.
            os.replace(part, file)
        return number


def _untold(name: str, folder: Path, error: OSError) -> CannotDo:
    reason = error.strerror or str(error)
    return CannotDo(f"{name} cannot be written into {folder} ({reason}); make room there, or choose another folder.")


def _sweep(folder: Path) -> None:
    """Takes away the unfinished pictures of processes that were killed."""
    for part in folder.glob(".*_.png*.part"):
        writer = re.search(r"_\.png\.(?:\d+\.)?(\d+)\.part\Z", part.name)
        if part.is_file() and not (writer and psutil.pid_exists(int(writer[1]))):
            part.unlink(missing_ok=True)


class PreviewAny:
    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {"required": {"source": ("*", {})}}

    RETURN_TYPES = ("STRING",)
    FUNCTION = "run"
    OUTPUT_NODE = True

    def run(self, source: Any = None) -> dict[str, Any]:
        try:
            text = source if isinstance(source, str) else json.dumps(source, indent=4)
        except TypeError:
            text = str(source)
        return {"ui": {"text": [text]}, "result": (text,)}


class MaskToImage:
    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {"required": {"mask": ("MASK",)}}

    RETURN_TYPES = ("IMAGE",)
    FUNCTION = "run"

    def run(self, mask: torch.Tensor) -> tuple[torch.Tensor]:
        return (mask.reshape(-1, *mask.shape[-2:], 1).expand(-1, -1, -1, 3),)


class ImageToMask:
    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {"required": {"image": ("IMAGE",), "channel": (CHANNELS,)}}

    RETURN_TYPES = ("MASK",)
    FUNCTION = "run"

    def run(self, image: torch.Tensor, channel: str) -> tuple[torch.Tensor]:
        if CHANNELS.index(channel) >= image.shape[-1]:
            raise BadInput(f"channel {channel!r} of an image with {image.shape[-1]} channels; choose one it has.")
        return (image[..., CHANNELS.index(channel)],)


class InvertMask:
    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {"required": {"mask": ("MASK",)}}

    RETURN_TYPES = ("MASK",)
    FUNCTION = "run"

    def run(self, mask: torch.Tensor) -> tuple[torch.Tensor]:
        return (1 - mask,)


class SolidMask:
    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        size = {"default": 512, "min": 1, "max": MAX_RESOLUTION}
        value = {"default": 1.0, "min": 0.0, "max": 1.0, "step": 0.01}
        return {"required": {"value": ("FLOAT", value), "width": ("INT", size), "height": ("INT", size)}}

    RETURN_TYPES = ("MASK",)
    FUNCTION = "run"

    def run(self, value: float, width: int, height: int) -> tuple[torch.Tensor]:
        return (torch.full((1, height, width), value),)


class EmptyImage:
    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        size = {"default": 512, "min": 1, "max": MAX_RESOLUTION}
        return {
            "required": {
                "width": ("INT", size),
                "height": ("INT", size),
                "batch_size": ("INT", {"default": 1, "min": 1, "max": 4096}),
                "color": ("INT", {"default": 0, "min": 0, "max": 0xFFFFFF, "display": "color"}),
            }
        }

    RETURN_TYPES = ("IMAGE",)
    FUNCTION = "run"

    def run(self, width: int, height: int, batch_size: int = 1, color: int = 0) -> tuple[torch.Tensor]:
        rgb = torch.tensor([color >> 16 & 255, color >> 8 & 255, color & 255]) / 255
        return (rgb.expand(batch_size, height, width, 3).clone(),)


NODES: dict[str, type] = {
    node.__name__: node
    for node in (
        LoadImage,
        LoadImageMask,
        SaveImage,
        PreviewImage,
        PreviewAny,
        MaskToImage,
        ImageToMask,
        InvertMask,
        SolidMask,
        EmptyImage,
    )
}
DISPLAY_NAMES = {
    "LoadImage": "Load Image",
    "LoadImageMask": "Load Image (as Mask)",
    "SaveImage": "Save Image",
    "PreviewImage": "Preview Image",
    "PreviewAny": "Preview as Text",
    "MaskToImage": "Convert Mask to Image",
    "ImageToMask": "Convert Image to Mask",
    "InvertMask": "Invert Mask",
    "SolidMask": "Create Solid Mask",
    "EmptyImage": "EmptyImage",
}
