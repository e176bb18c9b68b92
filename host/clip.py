"""What ComfyUI's CLIP and CLIP_VISION make of prompts and images, as plain functions, and where they came from."""

# ComfyUI's own modules: nowhere on the path until it runs this file.
# pyright: reportMissingImports=false

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import comfy.utils
import folder_paths
import torch

from .identity import model_identity

TEXT_FOLDERS = ("text_encoders", "checkpoints")
IMAGE_FOLDERS = ("clip_vision", "checkpoints")
TEXT_NAMES = ("text_projection", "text_projection.weight")
IMAGE_NAMES = ("visual_projection.weight", "visual.proj")


class Tower(NamedTuple):
    """One half of a CLIP.

    embed: a prompt -> [1, D], or images [N, H, W, C], 0..1 -> [N, D]; float32, CPU. ComfyUI places the network.
    projection: the weight [D, width] of the layer into the common space; None where the model has none.
    identity: of the weights and patches of the model that it is a half of.
    files: names of what it was loaded from, empty where ComfyUI does not tell. in_files: one of them has such a layer.
    """

    embed: Callable[[Any], torch.Tensor]
    projection: torch.Tensor | None
    identity: str
    files: tuple[str, ...]
    in_files: bool


def text_tower(clip: Any, graph: Any = None, node_id: str | None = None) -> Tower:
    """A CLIP. graph, node_id: the hidden DYNPROMPT and UNIQUE_ID of the node whose input `clip` it is."""
    project = _text_projection(clip)

    def embed(prompt: str) -> torch.Tensor:
        pooled = _pooled(clip, prompt)
        assert project is not None and pooled is not None  # without a projection, nodes refuse before they embed
        return project(pooled.to(clip.patcher.load_device)).float().cpu()

    paths = _remembered_files(clip) or _files_above(graph, node_id, "clip", TEXT_FOLDERS)
    identity = model_identity(clip.cond_stage_model, clip.patcher)
    return _tower(embed, None if project is None else project.weight, identity, TEXT_NAMES, paths)


def image_tower(clip_vision: Any, graph: Any = None, node_id: str | None = None) -> Tower:
    """A CLIP_VISION; the same of the input `clip_vision`. Images are cropped to a square in the middle."""

    def embed(images: torch.Tensor) -> torch.Tensor:
        return clip_vision.encode_image(images, crop=True)["image_embeds"].float().cpu()

    # Where a vision model has none (DINOv2, SigLIP), this is a plain function or missing.
    projection = getattr(getattr(clip_vision.model, "visual_projection", None), "weight", None)
    identity = model_identity(clip_vision.model, clip_vision.patcher)
    return _tower(embed, projection, identity, IMAGE_NAMES, _files_above(graph, node_id, "clip_vision", IMAGE_FOLDERS))


def _text_projection(clip: Any) -> torch.nn.Linear | None:
    """The last layer of the network whose pooled output this CLIP gives; None if that is no network of a CLIP."""
    pooled = _pooled(clip, "")
    for encoder in clip.cond_stage_model.modules():
        layer = getattr(getattr(encoder, "transformer", None), "text_projection", None)
        if pooled is not None and isinstance(layer, torch.nn.Linear) and layer.in_features == pooled.shape[-1]:
            return layer
    return None


def _pooled(clip: Any, prompt: str) -> torch.Tensor | None:
    """[1, width], not yet projected: most of ComfyUI's encoders never are, since diffusion models want them so."""
    _, pooled = clip.encode_from_tokens(clip.tokenize(prompt), return_pooled="unprojected")
    return pooled


def _tower(
    embed: Callable[[Any], torch.Tensor],
    projection: torch.Tensor | None,
    identity: str,
    names: tuple[str, ...],
    paths: list[Path],
) -> Tower:
    if projection is None:
        return Tower(embed, None, identity, tuple(path.name for path in paths), False)
    # A projection may be stored transposed.
    shapes = {tuple(projection.shape), tuple(projection.shape)[::-1]}
    in_files = any(name.endswith(names) and shape in shapes for path in paths for name, shape in _shapes(path))
    # Quantized weights cannot be looked at under the inference mode of a prompt.
    with torch.inference_mode(False), torch.no_grad():
        weight = projection.detach().to("cpu", torch.float32, copy=True)
    return Tower(embed, weight, identity, tuple(path.name for path in paths), in_files)


def _shapes(path: Path) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Names and shapes of the tensors of a file."""
    if path.suffix.lower() in (".safetensors", ".sft"):
        from safetensors import safe_open

        with safe_open(path, framework="pt") as file:
            for name in file.keys():  # noqa: SIM118 (not a mapping)
                yield name, tuple(file.get_slice(name).get_shape())
    else:
        for name, value in comfy.utils.load_torch_file(str(path), safe_load=True).items():
            yield name, tuple(getattr(value, "shape", ()))


def _remembered_files(clip: Any) -> list[Path]:
    """The files that ComfyUI would load this CLIP from again; it remembers them since 0.28."""
    recipe = getattr(clip.patcher, "cached_patcher_init", None)
    first = recipe[1][0] if recipe and recipe[1] else []
    return [Path(path) for path in ([first] if isinstance(first, (str, Path)) else first) if Path(path).is_file()]


def _files_above(graph: Any, node_id: str | None, name: str, folders: tuple[str, ...]) -> list[Path]:
    """The model files that are named above the input `name` of a node."""
    if graph is None or node_id is None:
        return []
    found: list[Path] = []
    waiting, seen = [graph.get_node(node_id)["inputs"].get(name)], set()
    while waiting:
        value = waiting.pop()
        if isinstance(value, list) and len(value) == 2 and str(value[0]) not in seen:
            seen.add(str(value[0]))
            waiting += graph.get_node(str(value[0]))["inputs"].values()
        elif isinstance(value, str):
            paths = (folder_paths.get_full_path(folder, value) for folder in folders)
            found += [Path(path) for path in paths if path]
    return found
