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
BAND_BYTES: Final = 4 * 2**20
"""What the rows that are worked on together may take within a bottleneck or an MLP: what fits a processor's caches."""
DEVICE_BAND_BYTES: Final = 256 * 2**20
"""The same on other devices, which want much to do at once."""
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


class Bottleneck(nn.Module):
    """A convolution of single places, one of 3 x 3 of each channel, and one of single places again, on maps
    [B, inputs, H, W]. What lies between them is larger than the maps, so it is made for a band of rows at a time."""

    def __init__(self, inputs: int, hidden: int, outputs: int, stride: int = 1) -> None:
        super().__init__()
        self.conv1 = Convolution(inputs, hidden)
        self.conv2 = Convolution(hidden, hidden, 3, stride, groups=hidden)
        self.conv3 = Convolution(hidden, outputs)

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        places = maps.permute(0, 2, 3, 1)
        bands = [self.finish(self._band(places, rows), places[:, slice(*rows)]) for rows in self._bands(places)]
        return torch.cat(bands, dim=1).permute(0, 3, 1, 2)

    def finish(self, changed: torch.Tensor, before: torch.Tensor) -> torch.Tensor:
        """What becomes of a band [B, h, w, outputs] that was made of rows [B, H, W, inputs]."""
        return changed

    def _bands(self, places: torch.Tensor) -> Iterator[tuple[int, int]]:
        """First row and end of each."""
        batch, height, width, _ = places.shape
        row_bytes = batch * width * self.conv1.out_channels * places.element_size()
        at_once = max(2, band_bytes(places.device) // row_bytes // 2 * 2)
        return ((start, min(start + at_once, height)) for start in range(0, height, at_once))

    def _band(self, places: torch.Tensor, rows: tuple[int, int]) -> torch.Tensor:
        """Of rows from an even one on; those beside the first and the last that is read around are seen too."""
        above = rows[0] - 1
        below = rows[1] + (self.conv2.stride[0] == 1 or rows[1] % 2)
        seen = places[:, max(above, 0) : min(below, places.shape[1])]
        inner = F.gelu(_pointwise(self.conv1, seen)).permute(0, 3, 1, 2)
        beyond = (max(-above, 0), max(below - places.shape[1], 0))
        if any(beyond):
            inner = F.pad(inner, (0, 0, *beyond))
        depthwise = self.conv2
        inner = F.conv2d(inner, depthwise.weight, depthwise.bias, depthwise.stride, (0, 1), groups=depthwise.groups)
        return _pointwise(self.conv3, F.gelu(inner).permute(0, 2, 3, 1))


def band_bytes(device: torch.device) -> int:
    """The most memory for what lies within a bottleneck or an MLP at one time."""
    return BAND_BYTES if device.type == "cpu" else DEVICE_BAND_BYTES


def _pointwise(convolution: nn.Conv2d, places: torch.Tensor) -> torch.Tensor:
    """A convolution of single places, [..., inputs] to [..., outputs]."""
    return F.linear(places, convolution.weight.flatten(1), convolution.bias)


class MBConv(Bottleneck):
    """An inverted bottleneck (Howard et al. 2017) on maps [B, width, H, W]."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__(width, hidden, width)

    def finish(self, changed: torch.Tensor, before: torch.Tensor) -> torch.Tensor:
        return F.gelu(before + changed)


class PatchMerging(Bottleneck):
    """Maps [B, inputs, H, W] to [B, outputs, H / stride, W / stride]."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__(inputs, outputs, outputs, stride)


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
        each = places.flatten(0, -2)
        at_once = max(1, band_bytes(places.device) // (self.fc1.out_features * places.element_size()))
        changed = [self.fc2(F.gelu(self.fc1(self.norm(some)))) for some in each.split(at_once)]
        return torch.cat(changed).view(places.shape)


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
        self.widths, self.hidden_first, self.window = tuple(widths), hidden_first, windows[0]
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
        """Activation memory, with the pictures'. The peak is reached where patches are cut, or where the second
        stage, at an eighth of the pictures' height and width, cuts windows."""
        parameter = next(self.parameters())
        patches = 3 * self.image_size**2 + (self.image_size // 2) ** 2 * self.widths[0]
        grid = self.image_size // 8
        padded = (-(-grid // self.window) * self.window / grid) ** 2
        windows = 3 * self.image_size**2 + grid**2 * round((5 + 6 * padded) * self.widths[1])
        band = min(band_bytes(parameter.device), (self.image_size // 4) ** 2 * self.hidden_first * 4)
        return batch_size * parameter.element_size() * max(patches, windows) + 2 * band


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
