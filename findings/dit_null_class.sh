#!/usr/bin/env bash
# One would guess: DiTPipeline guides away from "no class", the entry that its network keeps beside its classes: one that was
# trained on 10 classes keeps it as its eleventh (`num_embeds_ada_norm=10` makes a table of 11).
# What happens (diffusers 0.42.1, torch 2.14.1): the pipeline writes the label 1000 for it, whatever the network was trained
# on, for that is ImageNet's. A network of 10 classes draws without guidance, and with it (`guidance_scale` above 1, and 4 is
# the default) ends in an IndexError from inside of an embedding. A network of 2000 classes draws both ways, with no word that
# it was guided away from its class 1000, a real one, in place of the entry that it was trained for.
# Why it matters: who trains a DiT on data of their own, as the model's class allows, gets either an error that names nothing
# or samples guided away from one of their classes, and a table of scores by guidance that measures that.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet diffusers==0.42.1 torch==2.14.1 numpy==2.3.5
cd "$folder"
"$folder/venv/bin/python" - <<'PYTHON'
from importlib.metadata import version

import numpy as np
import torch
from diffusers import AutoencoderKL, DDIMScheduler, DiTPipeline, DiTTransformer2DModel

print("diffusers", version("diffusers"), "torch", version("torch"))
torch.manual_seed(0)
autoencoder = AutoencoderKL(block_out_channels=(8,), norm_num_groups=4, latent_channels=4)


def tables(network: torch.nn.Module) -> list[torch.nn.Embedding]:
    return [part for part in network.modules() if isinstance(part, torch.nn.Embedding)]


def pipeline(classes: int) -> DiTPipeline:
    network = DiTTransformer2DModel(num_attention_heads=2, attention_head_dim=8, num_layers=1, sample_size=8,
                                    in_channels=4, out_channels=8, num_embeds_ada_norm=classes)
    for weights in network.parameters():
        torch.nn.init.normal_(weights, std=0.2)
    # As loading a folder does: a network that trains drops labels at random.
    made = DiTPipeline(network.eval(), autoencoder, DDIMScheduler())
    made.set_progress_bar_config(disable=True)
    return made


def draw(made: DiTPipeline, guidance: float) -> np.ndarray:
    noise = torch.Generator().manual_seed(0)
    return made(class_labels=[3], guidance_scale=guidance, num_inference_steps=2, generator=noise, output_type="np").images


own = pipeline(10)
print("10 classes: a table of", [len(table.weight) for table in tables(own.transformer)])
assert all(len(table.weight) == 11 for table in tables(own.transformer))
print("without guidance:", draw(own, 1.0).shape)
try:
    draw(own, 4.0)
    raise SystemExit("guided by its own entry: fixed")
except IndexError as error:
    print("with guidance:", type(error).__name__, error)

many = pipeline(2000)
before = draw(many, 4.0)
with torch.no_grad():
    for table in tables(many.transformer):
        table.weight[2000] += 5
no_class = abs(draw(many, 4.0) - before).max()
with torch.no_grad():
    for table in tables(many.transformer):
        table.weight[1000] += 5
class_1000 = abs(draw(many, 4.0) - before).max()
print(f"2000 classes, a picture of class 3: moved by {no_class} when the entry for no class changes, by {class_1000:.3f} "
      "when class 1000 does")
assert no_class == 0
assert class_1000 > 0.01
PYTHON
