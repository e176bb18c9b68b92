"""LoRAs laid over a Stable Diffusion model: copies of the networks that they change, with their weights merged in."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

import torch
from torch import nn

from ...errors import BadInput, is_out_of_memory
from ...weights import some
from .. import single_file
from ..stable_diffusion import StableDiffusion
from . import deltas
from .deltas import Module
from .lora_file import LoRA

TEXT_PREFIX: Final = "text_model."
ATTENTION: Final = {"to_q": "q_proj", "to_k": "k_proj", "to_v": "v_proj", "to_out": "out_proj"}
"""diffusers' names of a text encoder's attention in LoRA files, and its own."""
WIDTHS: Final = {768: "Stable Diffusion 1.x", 1024: "Stable Diffusion 2.x", 2048: "Stable Diffusion XL"}
"""Of what their U-Nets attend to."""
OTHERS: Final = {
    "double_blocks": "Flux",
    "single_transformer_blocks": "Flux",
    "joint_blocks": "Stable Diffusion 3",
    "transformer_blocks_0_attn_add_k": "Stable Diffusion 3 or Flux",
    "transformer.transformer_blocks": "Stable Diffusion 3, Flux or Qwen-Image",
}
SECOND: Final = ("lora_te1_", "lora_te2_", "text_encoder_2.")
"""How only modules of Stable Diffusion XL are named."""


class Weighted(NamedTuple):
    """A LoRA and its strength: 1 as it was trained, 0 nothing, less than 0 the opposite."""

    lora: LoRA
    strength: float


class Target(NamedTuple):
    """A layer that a module is for. part: of the model. path: of the layer in it, in its network's own words."""

    part: str
    path: str


def apply(parts: StableDiffusion, loras: Sequence[Weighted], base: str) -> StableDiffusion:
    """The model with all of these LoRAs in its weights. Networks that none of them changes are the same objects.

    base: what the model is, for messages. Sums are taken in float32.

    Raises:
        BadInput: a LoRA is for another model; says for which.
    """
    networks, table = _networks(parts), _table(parts)
    changes: dict[str, dict[str, torch.Tensor]] = {}
    for lora, strength in loras:
        for name, target in _placed(table, parts, lora, base).items():
            of_part = changes.setdefault(target.part, {})
            try:
                _merge(of_part, networks[target.part], target.path, lora.modules[name], strength)
            except (KeyError, ValueError, RuntimeError) as error:
                if is_out_of_memory(error):
                    raise
                raise BadInput(foreign(lora, base, parts, f"{name} does not fit ({error})")) from error
    changed = {part: _replaced(networks[part], tensors) for part, tensors in changes.items()}
    second = parts.second
    if second is not None and "text_encoder_2" in changed:
        second = second._replace(encoder=changed.pop("text_encoder_2"))
    return parts._replace(**changed, second=second)


def placed(parts: StableDiffusion, lora: LoRA, base: str) -> dict[str, Target]:
    """The layer of each module of a LoRA, by its name.

    Raises:
        BadInput: the LoRA is for another model; says for which.
    """
    return _placed(_table(parts), parts, lora, base)


def _placed(table: Mapping[str, Target], parts: StableDiffusion, lora: LoRA, base: str) -> dict[str, Target]:
    found = {name: target for name in lora.modules if (target := _target(table, name)) is not None}
    unknown = [name for name in lora.modules if name not in found]
    if unknown:
        raise BadInput(foreign(lora, base, parts, f"{len(unknown)} of its modules are not there ({some(unknown)})"))
    return found


def _table(parts: StableDiffusion) -> dict[str, Target]:
    return {
        name: Target(part, path) for part, network in _networks(parts).items() for name, path in _names(part, network)
    }


def _networks(parts: StableDiffusion) -> dict[str, nn.Module]:
    found: dict[str, nn.Module] = {"unet": parts.unet, "text_encoder": parts.text_encoder}
    return found if parts.second is None else {**found, "text_encoder_2": parts.second.encoder}


def _names(part: str, network: Any) -> Iterator[tuple[str, str]]:
    """Every name that LoRA files have for a layer of this network, and the layer's path."""
    blocks = network.config.up_block_types if part == "unet" else ()
    number = {"text_encoder": ("lora_te_", "lora_te1_"), "text_encoder_2": ("lora_te2_",)}
    for path, layer in network.named_modules():
        if not isinstance(getattr(layer, "weight", None), torch.Tensor):
            continue
        if part != "unet":
            bare = path if path == "text_projection" else TEXT_PREFIX + path.removeprefix(TEXT_PREFIX)
            for prefix in number[part]:
                yield prefix + bare.replace(".", "_"), path
            yield f"{part}.{bare}", path
            continue
        attends = path.startswith("up_blocks.") and "Attn" in blocks[int(path.split(".")[1])]
        original = single_file.original_unet_name(path, network.config.layers_per_block, attends)
        flat = path.replace(".", "_")
        for prefix in ("lora_unet_", "lycoris_"):
            yield prefix + flat, path
            yield prefix + original.replace(".", "_"), path
        for name in (path, f"unet.{path}", f"diffusion_model.{original}"):
            yield name, path


def _target(table: Mapping[str, Target], name: str) -> Target | None:
    """The layer of a module, also by the names of diffusers' attention processors."""
    plain = name.replace(".processor.", ".")
    found = table.get(plain) or table.get(f"{plain}.0")
    if found is None:
        head, _, last = plain.rpartition(".")
        found = table.get(f"{head}.{ATTENTION.get(last, last)}")
    return found


def _merge(changed: dict[str, torch.Tensor], network: nn.Module, path: str, module: Module, strength: float) -> None:
    """Put what a layer's tensors become into `changed`, in float32 on the CPU."""
    layer = network.get_submodule(path)
    weight = layer.get_parameter("weight")
    name = f"{path}.weight"
    changed[name] = deltas.merged(changed.get(name, weight.detach().float().cpu()), module, strength)
    if "diff_b" in module:
        bias, name = layer.get_parameter("bias"), f"{path}.bias"
        before = changed.get(name, bias.detach().float().cpu())
        changed[name] = before + strength * module["diff_b"].float().view_as(before)


def _replaced(network: Any, tensors: Mapping[str, torch.Tensor]) -> Any:
    """A copy of a network on the CPU with other tensors, in the dtype of its own."""
    # Parameters are copied once: where the network is on a device, no second one is made there.
    memo: dict[int, Any] = {}
    for name, parameter in network.named_parameters():
        value = tensors[name] if name in tensors else parameter.detach()
        # Always a copy: the network may be moved, and `tensors` is in float32.
        memo[id(parameter)] = nn.Parameter(value.to("cpu", parameter.dtype, copy=True), requires_grad=False)
    for buffer in network.buffers():
        memo[id(buffer)] = buffer.detach().to("cpu", copy=True)
    return copy.deepcopy(network, memo)


def foreign(lora: LoRA, base: str, parts: StableDiffusion, why: str) -> str:
    """The message of a LoRA that is for another model."""
    width = parts.unet.config.cross_attention_dim
    made_for = _base_of(lora)
    for_it = f"a LoRA of {made_for}" if made_for else "a LoRA of another model"
    return (
        f"loras: {lora.name} is {for_it}, but it is to be laid over {base}, whose U-Net attends to {width} numbers: "
        f"{why}. Choose a LoRA that was trained on this family."
    )


def _base_of(lora: LoRA) -> str:
    """What a LoRA was trained on, by its metadata, the names of its modules, or what they take; empty where nothing
    tells."""
    if lora.told:
        return lora.told
    names = "\n".join(lora.modules)
    other = next((what for sign, what in OTHERS.items() if sign in names), None)
    if other is not None:
        return other
    if any(sign in names for sign in SECOND):
        return WIDTHS[2048]
    for name, module in lora.modules.items():
        if "attn2" in name and name.endswith(("to_k", "to_v")) and "down" in module:
            width = module["down"].shape[1]
            return WIDTHS.get(width, f"a model that attends to {width} numbers")
    return ""
