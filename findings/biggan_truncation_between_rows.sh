#!/usr/bin/env bash
# One would guess: BigGAN's statistics for a truncation between two of their 51 rows are those of the nearer row, but for a
# small share of the other, so that pictures change smoothly with the truncation.
# What happens (pytorch-pretrained-biggan 0.1.1, torch 2.14.1): the two shares are the wrong way round. A hundredth of the way
# from row 20 (truncation 0.4) to row 21, the norm takes 99 % of row 21; just before row 21, 99 % of row 20. At the rows
# themselves it is right. With tables that hold their truncations, 0.4002 is normalised by 0.4198, and 0.4198 by 0.4002.
# Why it matters: a re-implementation with the plain interpolation agrees at 0.4, 0.5 and 1, and is off between them by up to
# a whole row; a sweep over truncations zigzags.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet pytorch-pretrained-biggan==0.1.1 torch==2.14.1 numpy==2.3.5 scipy==1.17.1 boto3==1.42.1
cd "$folder"
"$folder/venv/bin/python" - <<'PYTHON'
from importlib.metadata import version

import torch
from pytorch_pretrained_biggan.model import BigGANBatchNorm

print("pytorch-pretrained-biggan", version("pytorch-pretrained-biggan"), "torch", version("torch"))
norm = BigGANBatchNorm(1, n_stats=51, eps=0.0, conditional=False)
norm.running_means.copy_(torch.linspace(0, 1, 51)[:, None])
norm.weight.data.fill_(1)
norm.bias.data.zero_()


@torch.no_grad()
def mean_at(truncation: float) -> float:
    """The mean that it subtracts; its tables hold the truncation of each row."""
    return -norm(torch.zeros(1, 1, 1, 1), truncation).item()


for truncation, expected in ((0.4, 0.4), (0.4002, 0.4198), (0.41, 0.41), (0.4198, 0.4002), (0.42, 0.42)):
    found = mean_at(truncation)
    print(f"truncation {truncation:.4f}: the statistics of {found:.4f}")
    assert abs(found - expected) < 1e-5
PYTHON
echo "as described"
