#!/usr/bin/env bash
# One would guess: DiT as diffusers builds it, filled with the authors' published weights, computes what the authors' code
# computes; those weights are what its DiT folders hold.
# What happens (diffusers 0.42.1, torch 2.14.1): DiTTransformer2DModel tells its blocks the time by sinusoids whose
# frequencies fall from 1 to 1/10000, the last one reached (`downscale_freq_shift=1` is written into its embedding). The
# published code, as the ADM that it took this from, divides by the number of frequencies instead of one less, and never
# reaches the last (Peebles and Xie 2023; Dhariwal and Nichol 2021). The two agree at time 0 alone: at time 999 they
# differ in sinusoids by up to 2, the whole range, though every tensor of the weights fits. Diffusers' other U-Nets have a
# setting for it (`freq_shift`, 0 for ADM's kind); DiT has none.
# Why it matters: a picture by the folder is not the picture by the file, seed for seed, and no error says so; a table that
# compares DiT by its folder does not measure the published network.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet diffusers==0.42.1 torch==2.14.1 numpy==2.3.5
cd "$folder"
"$folder/venv/bin/python" - <<'PYTHON'
import inspect
import math
from importlib.metadata import version

import torch
from diffusers import DiTTransformer2DModel

print("diffusers", version("diffusers"), "torch", version("torch"))
network = DiTTransformer2DModel(num_attention_heads=2, attention_head_dim=8, num_layers=1, sample_size=8, in_channels=4,
                                out_channels=8, num_embeds_ada_norm=1000)
asked = network.transformer_blocks[0].norm1.emb.time_proj
CHANNELS = asked.num_channels
HALF = CHANNELS // 2


def published(time: torch.Tensor) -> torch.Tensor:
    """Cosines, then sines, of frequencies 10000^(-i / half)."""
    angles = time.float()[:, None] * torch.exp(-math.log(10_000) * torch.arange(HALF) / HALF)
    return torch.cat([angles.cos(), angles.sin()], dim=1)


slowest = math.exp(-math.log(10_000) * (HALF - 1) / (HALF - asked.downscale_freq_shift))
print(f"{CHANNELS} sinusoids, slowest frequency {slowest:.3e} by diffusers, {10_000 ** (-(HALF - 1) / HALF):.3e} as published")
found = {time: (asked(torch.tensor([time])) - published(torch.tensor([time]))).abs().max().item() for time in (0, 1, 250, 999)}
for time, apart in found.items():
    print(f"time {time:3}: sinusoids apart by at most {apart:.3f}")
assert asked.downscale_freq_shift == 1 and math.isclose(slowest, 1e-4, rel_tol=1e-6)
assert found[0] == 0 and found[1] > 1e-3 and found[250] > 0.5 and found[999] > 1.5
assert not {"freq_shift", "downscale_freq_shift"} & set(inspect.signature(DiTTransformer2DModel.__init__).parameters)
PYTHON
echo "as described"
