"""Guided diffusion's U-Net, classifier and loop as its authors' code computes them, written down here in other words.

Norms are taken in float32 of contiguous pictures, activations make new tensors, the time's embedding is made for every
sample, attention is two products with a softmax between them, and each step looks its numbers up in arrays of NumPy.
"""

from __future__ import annotations

import copy
import math
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn
from trilemma.models.generators.diffusion.adm.network import (
    Attention,
    AttentionPool,
    Classifier,
    Resample,
    Residual,
    UNet,
    embedding,
)
from trilemma.models.generators.diffusion.adm.process import SpacedSampler


def _normed(norm: nn.Module, x: torch.Tensor) -> torch.Tensor:
    return norm(x.float()).type(x.dtype)


def _activated(x: torch.Tensor) -> torch.Tensor:
    return F.silu(x)


def _attended(qkv: torch.Tensor, heads: int, grouped: bool) -> torch.Tensor:
    """qkv: [N, 3 width, tokens]."""
    count, channels, tokens = qkv.shape
    each = channels // (3 * heads)
    if grouped:
        q, k, v = qkv.reshape(count * heads, 3 * each, tokens).split(each, dim=1)
    else:
        q, k, v = (part.reshape(count * heads, each, tokens) for part in qkv.chunk(3, dim=1))
    scale = 1 / math.sqrt(math.sqrt(each))
    weight = torch.einsum("bct,bcs->bts", q * scale, k * scale)
    weight = torch.softmax(weight.float(), dim=-1).type(weight.dtype)
    return torch.einsum("bts,bcs->bct", weight, v).reshape(count, -1, tokens)


def _attention(block: Attention, x: torch.Tensor) -> torch.Tensor:
    count, width, *sides = x.shape
    rows = x.reshape(count, width, -1)
    made = block.proj_out(_attended(block.qkv(_normed(block.norm, rows)), block.heads, block.grouped))
    return (rows + made).reshape(count, width, *sides)


def _residual(block: Residual, x: torch.Tensor, embedded: torch.Tensor) -> torch.Tensor:
    h = _activated(_normed(block.in_layers[0], x))
    if block.resample == "up":
        h, x = (F.interpolate(each, scale_factor=2, mode="nearest") for each in (h, x))
    elif block.resample:
        h, x = F.avg_pool2d(h, 2), F.avg_pool2d(x, 2)
    h = block.in_layers[2](h)
    scale, shift = block.emb_layers(embedded).type(h.dtype)[..., None, None].chunk(2, dim=1)
    h = _normed(block.out_layers[0], h) * (1 + scale) + shift
    return block.skip_connection(x) + block.out_layers[1:](h)


def _through(parts: Any, x: torch.Tensor, embedded: torch.Tensor) -> torch.Tensor:
    for part in parts:
        if isinstance(part, Residual):
            x = _residual(part, x, embedded)
        elif isinstance(part, Attention):
            x = _attention(part, x)
        else:
            assert not isinstance(part, Resample), "ADM's own halve and double in residual blocks"
            x = nn.Conv2d.forward(part, x)
    return x


def _pooled(pool: AttentionPool, x: torch.Tensor) -> torch.Tensor:
    rows = x.reshape(len(x), x.shape[1], -1)
    rows = torch.cat([rows.mean(dim=-1, keepdim=True), rows], dim=-1) + pool.positional_embedding[None]
    return pool.c_proj(_attended(pool.qkv_proj(rows), pool.heads, False))[:, :, 0]


def as_theirs(network: Any) -> Any:
    """A copy whose weights lie as a checkpoint has them."""
    return copy.deepcopy(network).to(memory_format=torch.contiguous_format)


def foreseen(network: UNet, x: torch.Tensor, times: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """times: [N]."""
    embedded = network.time_embed(embedding(times, network.sizes.channels)) + network.label_emb(labels)
    made = []
    for block in network.input_blocks:
        x = _through(block, x, embedded)
        made.append(x)
    x = _through(network.middle_block, x, embedded)
    for block in network.output_blocks:
        x = _through(block, torch.cat([x, made.pop()], dim=1), embedded)
    return network.out[2](_activated(_normed(network.out[0], x)))


def logits(network: Classifier, x: torch.Tensor, times: torch.Tensor) -> torch.Tensor:
    embedded = network.time_embed(embedding(times, network.sizes.channels))
    for block in network.input_blocks:
        x = _through(block, x, embedded)
    x = _through(network.middle_block, x, embedded)
    pool: Any = network.out[2]
    return _pooled(pool, _activated(_normed(network.out[0], x)))


def _at(values: np.ndarray, places: torch.Tensor, shape: torch.Size) -> torch.Tensor:
    return torch.from_numpy(values)[places].float()[:, None, None, None].expand(shape)


class Loop:
    """Ancestral sampling by a sampler's times, with learned variances, steered by a classifier if there is one."""

    def __init__(self, network: UNet, sampler: SpacedSampler, classifier: Classifier | None = None, scale: float = 1):
        self.network, self.classifier, self.scale = network, classifier, scale
        self.times = sampler.timesteps.flip(0)
        self.betas = sampler.betas.numpy()
        signals = np.cumprod(1 - self.betas)
        before = np.append(1.0, signals[:-1])
        small = self.betas * (1 - before) / (1 - signals)
        self.small = np.log(np.append(small[1], small[1:]))
        self.by_foreseen = self.betas * np.sqrt(before) / (1 - signals)
        self.by_noisy = (1 - before) * np.sqrt(1 - self.betas) / (1 - signals)
        self.root, self.root_less_one = np.sqrt(1 / signals), np.sqrt(1 / signals - 1)

    @torch.no_grad()
    def drawn(self, x: torch.Tensor, labels: torch.Tensor, streams: list[torch.Generator]) -> torch.Tensor:
        for place in reversed(range(len(self.times))):
            places = torch.full((len(x),), place)
            x = self.step(x, places, labels, streams)
        return x

    def step(
        self, x: torch.Tensor, places: torch.Tensor, labels: torch.Tensor, streams: list[torch.Generator]
    ) -> torch.Tensor:
        times = self.times[places]
        noise, values = foreseen(self.network, x, times, labels).split(x.shape[1], dim=1)
        low, high = _at(self.small, places, x.shape), _at(np.log(self.betas), places, x.shape)
        share = (values + 1) / 2
        log_variance = share * high + (1 - share) * low
        variance = torch.exp(log_variance)
        clean = _at(self.root, places, x.shape) * x - _at(self.root_less_one, places, x.shape) * noise
        clean = clean.clamp(-1, 1)
        mean = _at(self.by_foreseen, places, x.shape) * clean + _at(self.by_noisy, places, x.shape) * x
        if self.classifier is not None:
            with torch.enable_grad():
                seen = x.detach().requires_grad_(True)
                found = F.log_softmax(logits(self.classifier, seen, times), dim=-1)[range(len(x)), labels]
                gradient = torch.autograd.grad(found.sum(), seen)[0] * self.scale
            mean = mean.float() + variance * gradient.float()
        fresh = torch.stack([torch.randn(x.shape[1:], generator=stream) for stream in streams])
        moves = (places != 0).float()[:, None, None, None]
        return mean + moves * torch.exp(0.5 * log_variance) * fresh
