"""What one module of a LoRA file adds to the weights of a layer, by the kinds of LoRA.

LoRA (Hu et al., 2021, arXiv 2106.09685), for convolutions LoCon; LoHa (Hyeon-Woo et al., 2022, arXiv 2108.06098) and
LoKr (Yeh et al., 2024, arXiv 2309.14859), with Tucker's core for kernels; DoRA (Liu et al., 2024, arXiv 2402.09353).
"""

from __future__ import annotations

from collections.abc import Mapping

import torch

Module = Mapping[str, torch.Tensor]
"""Tensors by what they are: `down`, `up`, `mid`, `alpha`, `dora_scale`, `hada_*`, `lokr_*`, `diff`, `diff_b`."""


def weight_delta(module: Module, shape: torch.Size) -> torch.Tensor | None:
    """What a module adds to the weight of a layer at full strength, float32 of this shape; None where it has only to
    do with the bias.

    Raises:
        KeyError: a tensor of its kind is missing.
        ValueError, RuntimeError: the tensors do not fit together, or not the shape.
    """
    if "diff" in module:
        return _shaped(module["diff"].float(), shape)
    if "up" in module or "down" in module:
        return _shaped(_low_rank(module) * _scale(module, module["down"].shape[0]), shape)
    if any(name.startswith("hada_") for name in module):
        delta = _product(module, "1") * _product(module, "2")
        return _shaped(delta * _scale(module, module["hada_w1_b"].shape[0]), shape)
    if any(name.startswith("lokr_") for name in module):
        return _shaped(_kronecker(module), shape)
    return None


def merged(weight: torch.Tensor, module: Module, strength: float) -> torch.Tensor:
    """A layer's weight, float32, with a module at a strength. With DoRA the way to the rescaled weight is gone by that
    share, as ComfyUI does."""
    delta = weight_delta(module, weight.shape)
    if delta is None:
        return weight
    if "dora_scale" not in module:
        return weight + strength * delta.to(weight.device)
    whole = weight + delta.to(weight.device)
    scale = module["dora_scale"].float().to(weight.device)
    rows = scale.numel() == weight.shape[0] and (scale.ndim < 2 or scale.shape[0] == weight.shape[0])
    axis = 0 if rows else 1
    others = [place for place in range(weight.ndim) if place != axis]
    sides = [-1 if place == axis else 1 for place in range(weight.ndim)]
    decomposed = whole * scale.reshape(sides) / whole.square().sum(dim=others, keepdim=True).sqrt()
    return weight + strength * (decomposed - weight)


def _scale(module: Module, rank: int) -> float:
    """alpha / rank; 1 where there is no alpha, or none but 0."""
    alpha = float(module["alpha"]) if "alpha" in module else 0.0
    return alpha / rank if alpha else 1.0


def _shaped(delta: torch.Tensor, shape: torch.Size) -> torch.Tensor:
    if delta.shape[0] != shape[0] or delta.numel() != shape.numel():
        raise ValueError(f"it makes {tuple(delta.shape)} for {tuple(shape)}")
    return delta.reshape(shape)


def _low_rank(module: Module) -> torch.Tensor:
    """[out, in, ...]; kernels lie in `down`, of Tucker's in `mid`."""
    up, down = module["up"].float(), module["down"].float()
    if "mid" in module:
        return torch.einsum("oa,abkl,bi->oikl", up.flatten(1), module["mid"].float(), down.flatten(1))
    return (up.flatten(1) @ down.flatten(1)).view(up.shape[0], *down.shape[1:])


def _product(module: Module, which: str) -> torch.Tensor:
    """One of LoHa's two factors: [out, in * k * k], of Tucker's [out, in, k, k]."""
    first, second = module[f"hada_w{which}_a"].float(), module[f"hada_w{which}_b"].float()
    if f"hada_t{which}" in module:
        return torch.einsum("abkl,bi,ao->oikl", module[f"hada_t{which}"].float(), second, first)
    return first @ second


def _kronecker(module: Module) -> torch.Tensor:
    """LoKr, scaled: by the inner dimension of whichever factor is a product; where none is, alpha says nothing."""
    rank = 0

    def factor(which: str) -> torch.Tensor:
        nonlocal rank
        if f"lokr_w{which}" in module:
            return module[f"lokr_w{which}"].float()
        first, second = module[f"lokr_w{which}_a"].float(), module[f"lokr_w{which}_b"].float()
        rank = second.shape[0]
        if f"lokr_t{which}" in module:
            return torch.einsum("abkl,bi,ao->oikl", module[f"lokr_t{which}"].float(), second, first)
        return (first @ second.flatten(1)).view(first.shape[0], *second.shape[1:])

    first, second = factor("1"), factor("2")
    first = first.view(*first.shape, *[1] * (second.ndim - first.ndim))
    # torch.kron takes no tensor whose axes einsum has left in another order.
    return torch.kron(first, second.contiguous()) * (_scale(module, rank) if rank else 1.0)
