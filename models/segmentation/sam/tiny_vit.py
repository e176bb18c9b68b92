"""TinyViT (Wu et al. 2022) as the image encoder of MobileSAM (Zhang et al. 2023) and of the light HQ-SAM.

Files have a batch norm after every convolution; here both are one convolution, which `folded` makes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import torch
import torch.nn.functional as F
from torch import nn

from .vit import from_windows, into_windows, neck

EPS: Final = 1e-5
"""Of layer norms and batch norms."""
STRIDE: Final = 16
"""Pixels of a side of the last map's places."""
CLASSIFIER: Final = frozenset(
    f"image_encoder.{layer}.{kind}" for layer in ("norm_head", "head") for kind in ("weight", "bias")
)
"""Tensors that name the 1,000 classes that it was trained on: in files, all or none, and of no use here."""
COUNTER: Final = ".num_batches_tracked"
STATISTICS: Final = ("weight", "bias", "running_mean", "running_var")
"""Of a batch norm."""


class Convolution(nn.Conv2d):
    """A convolution with the batch norm that follows it in files."""

    def __init__(self, inputs: int, outputs: int, side: int = 1, stride: int = 1, groups: int = 1) -> None:
        super().__init__(inputs, outputs, side, stride, side // 2, groups=groups)


class PatchEmbed(nn.Module):
    """Pictures [B, 3, H, W] to maps [B, width, H / 4, W / 4]."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.seq = nn.Sequential(Convolution(3, width // 2, 3, 2), nn.GELU(), Convolution(width // 2, width, 3, 2))

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        return self.seq(pixels)


class MBConv(nn.Module):
    """An inverted bottleneck (Howard et al. 2017) on maps [B, width, H, W]."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.conv1 = Convolution(width, hidden)
        self.conv2 = Convolution(hidden, hidden, 3, groups=hidden)
        self.conv3 = Convolution(hidden, width)

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        changed = self.conv3(F.gelu(self.conv2(F.gelu(self.conv1(maps)))))
        return F.gelu(maps + changed)


class PatchMerging(nn.Module):
    """Maps [B, inputs, H, W] to [B, outputs, H / stride, W / stride]."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1 = Convolution(inputs, outputs)
        self.conv2 = Convolution(outputs, outputs, 3, stride, groups=outputs)
        self.conv3 = Convolution(outputs, outputs)

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        return self.conv3(F.gelu(self.conv2(F.gelu(self.conv1(maps)))))


class Attention(nn.Module):
    """Attention within windows [N, side, side, C]. The score of two places has an offset for how far apart their rows
    and their columns are: number `rows * side + columns` of `attention_biases`, [heads, side * side]."""

    def __init__(self, width: int, heads: int, side: int) -> None:
        super().__init__()
        self.heads, self.side = heads, side
        self.attention_biases = nn.Parameter(torch.empty(heads, side * side))
        self.norm = nn.LayerNorm(width, eps=EPS)
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """What each place of maps [B, H, W, C] reads."""
        height, width = maps.shape[1:3]
        # What lies beyond the map is 0 before the norm.
        windows = into_windows(self.qkv(self.norm(maps)), self.side, self.qkv(self.norm.bias))
        # The channels of a head are together: its queries, keys and values.
        split = windows.flatten(1, 2).unflatten(2, (self.heads, 3, -1)).permute(3, 0, 2, 1, 4)
        seen = F.scaled_dot_product_attention(*split.unbind(0), attn_mask=self._offsets())
        seen = seen.transpose(1, 2).reshape(len(windows), self.side, self.side, -1)
        return self.proj(from_windows(seen, height, width))

    def _offsets(self) -> torch.Tensor:
        """[1, heads, side * side, side * side]."""
        places = torch.arange(self.side, device=self.attention_biases.device)
        apart = (places[:, None] - places).abs()
        index = apart[:, None, :, None] * self.side + apart[None, :, None, :]
        return self.attention_biases[:, index.flatten(2).flatten(0, 1)][None]


class Mlp(nn.Module):
    """A norm and two layers on the last axis."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width, eps=EPS)
        self.fc1, self.fc2 = nn.Linear(width, hidden), nn.Linear(hidden, width)

    def forward(self, places: torch.Tensor) -> torch.Tensor:
        return self.fc2(F.gelu(self.fc1(self.norm(places))))


class Block(nn.Module):
    """A transformer block with a convolution between attention and MLP, on maps [B, C, H, W]."""

    def __init__(self, width: int, heads: int, hidden: int, side: int) -> None:
        super().__init__()
        self.attn = Attention(width, heads, side)
        self.mlp = Mlp(width, hidden)
        self.local_conv = Convolution(width, width, 3, groups=width)

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        places = maps.permute(0, 2, 3, 1)
        maps = self.local_conv((places + self.attn(places)).permute(0, 3, 1, 2))
        places = maps.permute(0, 2, 3, 1)
        return (places + self.mlp(places)).permute(0, 3, 1, 2)


class Stage(nn.Module):
    """Blocks, and what leads to the next stage."""

    def __init__(self, blocks: Sequence[nn.Module], downsample: nn.Module | None) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(blocks)
        if downsample is not None:
            self.downsample = downsample

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        for block in self.blocks:
            maps = block(maps)
        return self.downsample(maps) if hasattr(self, "downsample") else maps


class TinyVit(nn.Module):
    """Pictures [B, 3, S, S] to maps [B, outputs, S / 16, S / 16].

    widths, depths: of the four stages. heads, windows, hidden: of the last three, of attention in heads, within windows
    of so many places a side, and of MLPs. hidden_first: channels within the blocks of the first stage. image_size: S.
    """

    def __init__(
        self,
        widths: Sequence[int],
        depths: Sequence[int],
        heads: Sequence[int],
        windows: Sequence[int],
        hidden: Sequence[int],
        hidden_first: int,
        outputs: int,
        image_size: int,
    ) -> None:
        super().__init__()
        self.image_size = image_size
        self.widths, self.hidden_first = tuple(widths), hidden_first
        self.patch_embed = PatchEmbed(widths[0])
        stages: list[Sequence[nn.Module]] = [[MBConv(widths[0], hidden_first) for _ in range(depths[0])]]
        for width, depth, number, wide, side in zip(widths[1:], depths[1:], heads, hidden, windows, strict=True):
            stages.append([Block(width, number, wide, side) for _ in range(depth)])
        # The last step keeps the size, which cannot be detected.
        steps = zip(widths, widths[1:], (2,) * (len(widths) - 2) + (1,), strict=False)
        merging = [PatchMerging(before, after, stride) for before, after, stride in steps]
        self.layers = nn.ModuleList(
            Stage(blocks, downsample) for blocks, downsample in zip(stages, [*merging, None], strict=True)
        )
        self.neck = neck(widths[-1], outputs)

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        return self.with_early(pixels)[0]

    def with_early(self, pixels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The maps, and those [B, widths[2], S / 16, S / 16] after the second stage."""
        maps = self.patch_embed(pixels.contiguous(memory_format=torch.channels_last))
        early = maps
        for index, stage in enumerate(self.layers):
            maps = stage(maps)
            if index == 1:
                early = maps
        return self.neck(maps), early

    def peak_bytes(self, batch_size: int) -> int:
        """Activation memory, with the pictures' in two orders. The peak is reached in the first stage, at a quarter of
        their height and width."""
        values = 6 * self.image_size**2 + (self.image_size // 4) ** 2 * (2 * self.hidden_first + 2 * self.widths[0])
        return batch_size * next(self.parameters()).element_size() * values


def in_file(network: nn.ModuleDict, found: Mapping[str, torch.Tensor]) -> Iterator[tuple[str, torch.Size]]:
    """Names and shapes of the tensors that a network of SAM's kin has in a file, where TinyViT's convolutions and batch
    norms are apart; with the classifier if anything of it is in `found`, and without the counts of batches."""
    convolutions = {name for name, module in network.named_modules() if isinstance(module, Convolution)}
    for name, value in network.state_dict().items():
        layer, _, kind = name.rpartition(".")
        if layer not in convolutions:
            yield name, value.shape
        elif kind == "weight":
            yield f"{layer}.c.weight", value.shape
            yield from ((f"{layer}.bn.{each}", value.shape[:1]) for each in STATISTICS)
    encoder = network["image_encoder"]
    if isinstance(encoder, TinyVit) and found.keys() & CLASSIFIER:
        width = encoder.widths[-1]
        head = found.get("image_encoder.head.bias")
        classes = 1000 if head is None or head.ndim != 1 else len(head)
        yield from ((f"image_encoder.norm_head.{kind}", torch.Size([width])) for kind in ("weight", "bias"))
        yield "image_encoder.head.weight", torch.Size([classes, width])
        yield "image_encoder.head.bias", torch.Size([classes])


def folded(network: nn.Module, found: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The network's own tensors, of those in a file; float32 where a batch norm was folded into a convolution."""
    tensors = {}
    for name in network.state_dict():
        layer, _, kind = name.rpartition(".")
        if f"{layer}.c.weight" not in found:
            tensors[name] = found[name]
            continue
        weight, bias, mean, variance = (found[f"{layer}.bn.{each}"].double() for each in STATISTICS)
        gain = weight / (variance + EPS).sqrt()
        if kind == "weight":
            tensors[name] = (found[f"{layer}.c.weight"].double() * gain[:, None, None, None]).float()
        else:
            tensors[name] = (bias - mean * gain).float()
    return tensors


def without_counts(tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Those of a file that are not counts of batches, which it may lack."""
    return {name: value for name, value in tensors.items() if not name.endswith(COUNTER)}
