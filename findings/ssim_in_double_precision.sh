#!/usr/bin/env bash
# One would guess: SSIM of two pictures takes some copies of them: in double precision, which an even ground asks for (in single
# precision it is not quite like itself), twice the memory and time of single precision.
# What happens (torchmetrics 1.9.0, torch 2.14.1, on a CPU): the Gaussian window of 11 x 11 is one convolution in two dimensions,
# which PyTorch has a direct kernel for in single precision alone. In double precision every pixel's window is unfolded, 121
# numbers for each of the five maps and three channels: for a pair of 512 pixels a side 1.3 GB, seven times the memory of
# single precision and thirteen times its time; for one of 4,096 pixels it would be some 80 GB. The window is a product of a row
# and a column, and does not need it.
# Why it matters: who scores edits or upscaled pictures at their own size loses the process to the system, with no error of
# Python's; who stays in single precision gets less than 1 for an even picture beside itself.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet torchmetrics==1.9.0 torch==2.14.1 numpy==2.3.5
cd "$folder"
cat > measure.py <<'PYTHON'
import resource
import sys
import time

import torch
from torchmetrics.functional.image import structural_similarity_index_measure as ssim

torch.set_num_threads(1)
dtype = getattr(torch, sys.argv[1])
one, other = torch.rand(2, 1, 3, 512, 512).to(dtype)
ssim(one[..., :64, :64], other[..., :64, :64], data_range=1.0)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
start = time.process_time()
ssim(one, other, data_range=1.0)
seconds = time.process_time() - start
even = torch.full((1, 3, 64, 64), 0.37, dtype=dtype)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before, seconds, float(ssim(even, even, data_range=1.0)))
PYTHON
"$folder/venv/bin/python" - <<'PYTHON'
import subprocess
import sys
from importlib.metadata import version

print("torchmetrics", version("torchmetrics"), "torch", version("torch"))
found = {}
for dtype in ("float32", "float64"):
    told = subprocess.run([sys.executable, "measure.py", dtype], check=True, capture_output=True, text=True).stdout
    found[dtype] = [float(each) for each in told.split()]
    kilobytes, seconds, even = found[dtype]
    print(f"{dtype}: {kilobytes / 1e3:,.0f} MB more, {seconds:.2f} s, an even picture beside itself {even:.7f}")
assert found["float64"][0] > 4 * found["float32"][0]
assert found["float64"][0] > 800_000
assert found["float32"][2] < 1 - 1e-6 <= found["float64"][2]
PYTHON
