"""Several LoRAs at once, each in its own region of the picture: LoRA-Composer's attention within regions (Yang et al.,
2024, arXiv 2403.11627), without its optimisation of latents.

What a LoRA adds to a layer counts only where its mask is, at the layer's own resolution; cross-attention in a region
reads the region's prompt, through the LoRA's keys and values; and in self-attention no region sees another one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, Final, NamedTuple, cast

import torch
import torch.nn.functional as F
from torch import nn

from ...errors import BadInput, is_out_of_memory
from ...pictures.images import check_masks
from ...weights import some
from .. import prompts
from ..prompts import Encoded
from ..stable_diffusion import StableDiffusion
from . import deltas, lora
from .deltas import Module
from .lora import Weighted
from .lora_file import LoRA

TIME: Final = ".time_emb_proj"
"""Layers of residual blocks that see no place: what they give is added to every place before `norm2`."""
OF_TEXT: Final = (".attn2.to_k", ".attn2.to_v")
"""Layers that see the prompt."""
INSIDE: Final = 0.5
"""Weight from which on a place belongs to a region, where attention is kept apart."""


class Region(NamedTuple):
    """A LoRA's place.

    loras: laid over one another there. mask: float32 [M, H, W], 0..1, stretched to the picture; image i of a run takes
    mask i, the first again after the last. prompt: what its places attend to; empty: what all do.
    """

    loras: tuple[Weighted, ...]
    mask: torch.Tensor
    prompt: str = ""


def region(loras: Sequence[Weighted], mask: torch.Tensor, prompt: str = "") -> Region:
    """A `Region`.

    Raises:
        BadInput: the mask is none.
    """
    return Region(tuple(loras), check_masks(mask).float().clamp(0, 1), prompt.strip())


class Delta(nn.Module):
    """What one LoRA adds to the output of a linear layer or convolution: factors where it has two, else a weight."""

    def __init__(self, layer: nn.Module, module: Module, strength: float, dtype: torch.dtype) -> None:
        """
        Raises:
            KeyError, ValueError, RuntimeError: the module does not fit the layer.
        """
        super().__init__()
        weight, factors = cast(torch.Tensor, layer.weight), _factors(layer, module)
        down, up, bias = None, None, None
        if factors is not None:
            down, up = factors[0].to(dtype), (strength * factors[1]).to(dtype)
        else:
            before = weight.detach().float().cpu()
            down = (deltas.merged(before, module, strength) - before).to(dtype)
        if "diff_b" in module:
            bias = (strength * module["diff_b"].float()).to(dtype).flatten()
        for name, tensor in (("down", down), ("up", up), ("bias", bias)):
            # A copy: what was read under an inference mode would stay of that kind.
            self.register_buffer(name, None if tensor is None else tensor.contiguous().clone())

    def added(self, layer: nn.Module, x: torch.Tensor) -> torch.Tensor:
        """To the layer's output for `x`."""
        found = cast(torch.Tensor, self.down)
        up, bias = (cast("torch.Tensor | None", getattr(self, name)) for name in ("up", "bias"))
        last = bias if up is None else None
        if isinstance(layer, nn.Conv2d):
            found = F.conv2d(x, found, last, layer.stride, cast(Any, layer.padding), layer.dilation, layer.groups)
            return found if up is None else F.conv2d(found, up, bias)
        found = F.linear(x, found, last)
        return found if up is None else F.linear(found, up, bias)


def _factors(layer: nn.Module, module: Module) -> tuple[torch.Tensor, torch.Tensor] | None:
    """Down and up of a plain LoRA in the shapes of the layer, the second scaled by alpha; None of any other kind."""
    if not {"down", "up"} <= module.keys() or {"mid", "dora_scale"} & module.keys():
        return None
    weight = cast(torch.Tensor, layer.weight)
    # Says whether they fit.
    deltas.weight_delta(module, weight.shape)
    down, up = module["down"].float(), module["up"].float()
    rank = down.shape[0]
    if isinstance(layer, nn.Conv2d):
        if layer.groups != 1 or down.numel() != rank * weight[0].numel():
            return None
        down, up = down.view(rank, *weight.shape[1:]), up.view(weight.shape[0], rank, 1, 1)
    else:
        down, up = down.flatten(1), up.flatten(1)
    alpha = float(module["alpha"]) if "alpha" in module else 0.0
    return down, up * (alpha / rank if alpha else 1.0)


class Composition(nn.Module):
    """The regions of a model, with all tensors that they need, so that these move with it and tell it from others.

    regions: how many. paths: of each, the layers of the U-Net that it changes.
    """

    def __init__(
        self,
        changes: Sequence[dict[str, list[Delta]]],
        masks: Sequence[torch.Tensor],
        texts: Sequence[Encoded | None],
        isolate: bool,
    ) -> None:
        super().__init__()
        self.regions = len(masks)
        self.paths = tuple(tuple(each) for each in changes)
        self.isolate = isolate
        self.deltas = nn.ModuleList(nn.ModuleList(nn.ModuleList(every) for every in each.values()) for each in changes)
        for place, (mask, text) in enumerate(zip(masks, texts, strict=True)):
            self.register_buffer(f"mask_{place}", mask)
            self.register_buffer(f"text_{place}", None if text is None else text.states)

    def deltas_at(self, path: str) -> list[tuple[int, nn.ModuleList]]:
        """Which regions change a layer, and by what."""
        return [
            (place, cast(nn.ModuleList, cast(nn.ModuleList, self.deltas[place])[paths.index(path)]))
            for place, paths in enumerate(self.paths)
            if path in paths
        ]

    def mask(self, place: int) -> torch.Tensor:
        """[M, H, W] of a region."""
        return self.get_buffer(f"mask_{place}")

    def text(self, place: int) -> torch.Tensor | None:
        """[T, D], the prompt of a region."""
        return cast("torch.Tensor | None", getattr(self, f"text_{place}"))


@torch.no_grad()
def compose(parts: StableDiffusion, regions: Sequence[Region], base: str, isolate: bool = True) -> StableDiffusion:
    """The model with LoRAs in regions; its own networks stay as they are. The text encoder has to be in its place.

    base: what the model is, for messages. isolate: whether regions are kept apart in self-attention.

    Raises:
        BadInput: a LoRA is for another model, or changes a layer that sees no place; the model is of another kind.
    """
    if parts.second is not None:
        raise BadInput("regions: LoRAs are composed over Stable Diffusion 1.x and 2.x, this model is XL.")
    changes = [_changes(parts, each, base) for each in regions]
    texts = [_text(parts, each, base) for each in regions]
    made = Composition(changes, [each.mask.clone() for each in regions], texts, isolate)
    return parts._replace(composition=made.requires_grad_(False))


def _changes(parts: StableDiffusion, region: Region, base: str) -> dict[str, list[Delta]]:
    found: dict[str, list[Delta]] = {}
    for each, strength in region.loras:
        placed = lora.placed(parts, each, base)
        blind = [name for name, target in placed.items() if target.part == "unet" and not _seen(parts, target.path)]
        if blind:
            raise BadInput(
                f"regions: {each.name} changes layers that see no place of the picture ({some(blind)}), so that it "
                "cannot be kept in a region; take Apply LoRA, or another file."
            )
        for name, target in placed.items():
            if target.part != "unet":
                continue
            layer = parts.unet.get_submodule(target.path)
            try:
                made = Delta(layer, each.modules[name], strength, parts.unet.dtype)
            except (KeyError, ValueError, RuntimeError) as error:
                if is_out_of_memory(error):
                    raise
                raise BadInput(lora.foreign(each, base, parts, f"{name} does not fit ({error})")) from error
            found.setdefault(target.path, []).append(made)
    return found


def _seen(parts: StableDiffusion, path: str) -> bool:
    """Whether what a layer gives has a place in the picture, or can be given one."""
    layer = parts.unet.get_submodule(path)
    if not isinstance(layer, (nn.Linear, nn.Conv2d)):
        return False
    if path.endswith(TIME):
        block: Any = parts.unet.get_submodule(path.removesuffix(TIME))
        return block.time_embedding_norm == "default"
    return not path.startswith(("time_embedding", "class_embedding", "add_embedding"))


def _text(parts: StableDiffusion, region: Region, base: str) -> Encoded | None:
    """The region's prompt as the text encoder with its LoRAs reads it."""
    if not region.prompt:
        return None
    of_text: list[Weighted] = []
    for each, strength in region.loras:
        placed = lora.placed(parts, each, base)
        modules = {name: each.modules[name] for name, target in placed.items() if target.part != "unet"}
        if modules:
            of_text.append(Weighted(LoRA(each.name, modules, each.told, each.path), strength))
    adapted = lora.apply(parts, of_text, base) if of_text else parts
    return prompts.encoded(adapted, region.prompt)


class Composing:
    """The regions of one batch.

    composition: of the model. rows: the prompts of the batch's rows. negative: which of them say what shall not be
    seen, and stay as they are in regions too. frames: which image of the run each row is. size: of the pictures, which
    are padded to `padded`.
    """

    def __init__(
        self,
        composition: Composition,
        rows: Sequence[Encoded],
        negative: Sequence[bool],
        frames: Sequence[int],
        size: tuple[int, int],
        padded: tuple[int, int],
    ) -> None:
        self._composition = composition
        self._weights = _weights(composition, frames, size, padded)
        self._active = [bool(self._weights[:, place].any()) for place in range(composition.regions)]
        self._contexts = [_contexts(composition.text(place), rows, negative) for place in range(composition.regions)]
        self._at: dict[tuple[int, int], torch.Tensor] = {}
        self._apart: dict[int, torch.Tensor | None] = {}
        self._sizes: dict[int, tuple[int, int]] = {}
        self._rows: Sequence[int] = ()
        self._times: dict[str, torch.Tensor] = {}

    @contextmanager
    def on(self, unet: Any, rows: Sequence[int], cells: tuple[int, int]) -> Iterator[None]:
        """The U-Net with the regions of some rows of the batch, for one call; afterwards it is as it was.

        cells: height and width of the latents.
        """
        if list(rows) != list(self._rows):
            self._at, self._apart, self._rows = {}, {}, list(rows)
        levels = len(unet.config.block_out_channels)
        sizes = [(-(-cells[0] // 2**level), -(-cells[1] // 2**level)) for level in range(levels)]
        self._sizes = {height * width: (height, width) for height, width in sizes}
        hooks: list[Any] = []
        processors: list[tuple[Any, Any]] = []
        try:
            if any(self._active):
                self._register(unet, hooks, processors)
            yield
        finally:
            for hook in hooks:
                hook.remove()
            for attention, processor in processors:
                attention.processor = processor
            self._times.clear()

    def _register(self, unet: Any, hooks: list[Any], processors: list[tuple[Any, Any]]) -> None:
        changed = dict.fromkeys(path for paths in self._composition.paths for path in paths)
        for path in changed:
            if path.endswith(OF_TEXT):
                continue
            layer, block = unet.get_submodule(path), path.removesuffix(TIME)
            if path.endswith(TIME):
                hooks.append(layer.register_forward_hook(partial(self._remember, block)))
                norm = unet.get_submodule(f"{block}.norm2")
                hooks.append(norm.register_forward_pre_hook(partial(self._add_time, block, layer)))
            else:
                hooks.append(layer.register_forward_hook(partial(self._add, path)))
        for path, module in unet.named_modules():
            if path.endswith(".attn2") or (path.endswith(".attn1") and self._composition.isolate):
                attention: Any = module
                processors.append((attention, attention.processor))
                crosses = path.endswith(".attn2")
                attention.processor = partial(self._cross, path) if crosses else self._within

    def _active_at(self, path: str) -> list[tuple[int, nn.ModuleList]]:
        return [(place, every) for place, every in self._composition.deltas_at(path) if self._active[place]]

    def _add(self, path: str, layer: nn.Module, given: tuple[torch.Tensor, ...], output: torch.Tensor) -> torch.Tensor:
        for place, every in self._active_at(path):
            weight = self._weight(place, output)
            for each in every:
                output = output + weight * cast(Delta, each).added(layer, given[0])
        return output

    def _remember(self, block: str, layer: nn.Module, given: tuple[torch.Tensor, ...], output: torch.Tensor) -> None:
        self._times[block] = given[0]

    def _add_time(self, block: str, layer: nn.Module, norm: nn.Module, given: tuple[torch.Tensor, ...]) -> Any:
        (hidden,) = given
        for place, every in self._active_at(block + TIME):
            weight = self._weight(place, hidden)
            for each in every:
                hidden = hidden + weight * cast(Delta, each).added(layer, self._times[block])[:, :, None, None]
        return (hidden,)

    def _maps(self, size: tuple[int, int]) -> torch.Tensor:
        """[R, K, h, w] of the rows at hand at a layer's resolution."""
        if size not in self._at:
            self._at[size] = F.adaptive_avg_pool2d(self._weights[list(self._rows)], size)
        return self._at[size]

    def _weight(self, place: int, output: torch.Tensor) -> torch.Tensor:
        """How much a region counts at each place of a layer's output, [R, C, h, w] or [R, N, C]."""
        if output.ndim == 4:
            return self._maps((output.shape[2], output.shape[3]))[:, place, None].to(output.dtype)
        return self._tokens(output.shape[1])[:, place, :, None].to(output.dtype)

    def _tokens(self, count: int) -> torch.Tensor:
        """[R, K, N] of so many places."""
        return self._maps(self._sizes[count]).flatten(2)

    def _kept_apart(self, count: int) -> torch.Tensor | None:
        """bool [R, 1, N, N], which places see which: all, but one of a region none that is of other regions alone."""
        if count not in self._apart:
            inside = self._tokens(count) >= INSIDE
            alone = ~inside.any(dim=1)
            shared = torch.einsum("rkn,rkm->rnm", inside.float(), inside.float()) > 0
            sees = shared | alone[:, :, None] | alone[:, None, :]
            self._apart[count] = None if bool(sees.all()) else sees[:, None]
        return self._apart[count]

    def _within(self, attention: Any, hidden: torch.Tensor, **without: Any) -> torch.Tensor:
        """Self-attention that keeps regions apart."""
        query = _heads(attention, attention.to_q(hidden))
        key, value = (_heads(attention, layer(hidden)) for layer in (attention.to_k, attention.to_v))
        found = F.scaled_dot_product_attention(query, key, value, attn_mask=self._kept_apart(hidden.shape[1]))
        return _out(attention, found)

    def _cross(
        self,
        path: str,
        attention: Any,
        hidden: torch.Tensor,
        encoder_hidden_states: torch.Tensor,
        attention_mask: torch.Tensor | None = None,
        **without: Any,
    ) -> torch.Tensor:
        """Cross-attention: every region to its own prompt through its LoRA, what is left to that of all."""
        query = _heads(attention, attention.to_q(hidden))
        key, value = (_heads(attention, layer(encoder_hidden_states)) for layer in (attention.to_k, attention.to_v))
        bias = None if attention_mask is None else attention_mask[:, None]
        weights = self._tokens(hidden.shape[1]).to(hidden.dtype)
        used = [place for place, active in enumerate(self._active) if active]
        left = (1 - weights[:, used].sum(dim=1)).clamp(min=0)
        found = F.scaled_dot_product_attention(query, key, value, attn_mask=bias) * left[:, None, :, None]
        for place in used:
            context, mask = self._contexts[place]
            states = context[list(self._rows)].to(hidden.device, hidden.dtype)
            seen = None if mask is None else mask[list(self._rows), None, None].to(hidden.device)
            key, value = (
                _heads(attention, self._projected(place, f"{path}.{name}", layer, states))
                for name, layer in (("to_k", attention.to_k), ("to_v", attention.to_v))
            )
            own = F.scaled_dot_product_attention(query, key, value, attn_mask=seen)
            found = found + own * weights[:, place, None, :, None]
        return _out(attention, found)

    def _projected(self, place: int, path: str, layer: nn.Module, states: torch.Tensor) -> torch.Tensor:
        found = layer(states)
        for other, every in self._composition.deltas_at(path):
            if other == place:
                for each in every:
                    found = found + cast(Delta, each).added(layer, states)
        return found


def _heads(attention: Any, x: torch.Tensor) -> torch.Tensor:
    return x.unflatten(2, (attention.heads, -1)).transpose(1, 2)


def _out(attention: Any, found: torch.Tensor) -> torch.Tensor:
    project: Callable[[torch.Tensor], torch.Tensor] = attention.to_out[0]
    return project(found.transpose(1, 2).flatten(2))


def _weights(
    composition: Composition, frames: Sequence[int], size: tuple[int, int], padded: tuple[int, int]
) -> torch.Tensor:
    """float32 [R, K, H, W]: masks of each row, of the padded size; where they overlap by more than 1, their shares."""
    masks = []
    for place in range(composition.regions):
        mask = composition.mask(place)
        chosen = mask[[frame % len(mask) for frame in frames]].float()
        masks.append(F.interpolate(chosen[:, None], size=size, mode="area"))
    weights = torch.cat(masks, dim=1)
    weights = weights / weights.sum(dim=1, keepdim=True).clamp(min=1)
    return F.pad(weights, (0, padded[1] - size[1], 0, padded[0] - size[0]), mode="replicate")


def _contexts(
    text: torch.Tensor | None, rows: Sequence[Encoded], negative: Sequence[bool]
) -> tuple[torch.Tensor, torch.Tensor | None]:
    """What each row attends to in a region, [R, T, D], and bool [R, T] where shorter ones are filled up."""
    device = rows[0].states.device
    states = [
        row.states if text is None or stays else text.to(device, row.states.dtype)
        for row, stays in zip(rows, negative, strict=True)
    ]
    lengths = torch.tensor([len(each) for each in states], device=device)
    together = nn.utils.rnn.pad_sequence(states, batch_first=True)
    if bool((lengths == lengths[0]).all()):
        return together, None
    return together, torch.arange(together.shape[1], device=device) < lengths[:, None]
