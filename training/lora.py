"""LoRAs of the starter inpainter: each teaches it one object that it does not know.

`python -m training.lora penguin` writes models/starter/emoji_loras/penguin.safetensors in kohya-ss' layout. What was
interrupted is resumed from `--runs`.
"""

import argparse
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from . import inpainter, scenes
from .inpainter_text import write_prompt
from .loop import Schedule, train

TARGET = inpainter.TARGET.with_name("emoji_loras")
LEARNED = ("penguin", "rocket")
RANKS = {"linear": 3, "convolution": 2}
EXAMPLES = 1_500
SCHEDULE = Schedule(steps=600, rate=3e-3, warmup=30, betas=(0.9, 0.98), weight_decay=0.0)
BATCH = 8


class Adapted(nn.Module):
    """A layer with what a LoRA adds to it."""

    def __init__(self, layer: nn.Linear | nn.Conv2d) -> None:
        super().__init__()
        self.layer = layer.requires_grad_(False)
        if isinstance(layer, nn.Linear):
            rank = RANKS["linear"]
            self.down: Any = nn.Linear(layer.in_features, rank, bias=False)
            self.up: Any = nn.Linear(rank, layer.out_features, bias=False)
        else:
            sizes: dict[str, Any] = {"kernel_size": layer.kernel_size, "stride": layer.stride, "padding": layer.padding}
            rank = RANKS["convolution"]
            self.down = nn.Conv2d(layer.in_channels, rank, bias=False, **sizes)
            self.up = nn.Conv2d(rank, layer.out_channels, 1, bias=False)
        nn.init.zeros_(self.up.weight)

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x) + self.up(self.down(x))


def adapt(unet: nn.Module) -> dict[str, Adapted]:
    """Put an `Adapted` in place of every linear layer and convolution but the first and last; by its path."""
    paths = [
        path
        for path, layer in unet.named_modules()
        if isinstance(layer, (nn.Linear, nn.Conv2d)) and path.startswith(("down_blocks", "up_blocks"))
    ]
    found = {}
    for path in paths:
        parent, _, name = path.rpartition(".")
        holder = unet.get_submodule(parent)
        found[path] = Adapted(getattr(holder, name))
        setattr(holder, name, found[path])
    return found


def in_kohyas_layout(adapted: Mapping[str, Adapted]) -> dict[str, Tensor]:
    """Tensors of a file, in half precision; without alpha, which stands for that of the rank."""
    tensors = {}
    for path, layer in adapted.items():
        name = "lora_unet_" + path.replace(".", "_")
        tensors[f"{name}.lora_down.weight"] = layer.down.weight.detach().half().contiguous()
        tensors[f"{name}.lora_up.weight"] = layer.up.weight.detach().half().contiguous()
    return tensors


def main() -> None:
    from diffusers import StableDiffusionInpaintPipeline

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", choices=LEARNED)
    parser.add_argument("--data", type=Path, default=scenes.DATA)
    parser.add_argument("--runs", type=Path, default=inpainter.RUNS)
    parser.add_argument("--target", type=Path, default=TARGET)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(arguments.seed)
    sprites = scenes.load_sprites(arguments.data)
    pipeline: Any = StableDiffusionInpaintPipeline.from_pretrained(
        inpainter.TARGET, safety_checker=None, torch_dtype=torch.float32
    )
    examples = inpainter.encode_examples(pipeline.vae, sprites, EXAMPLES, arguments.seed, (arguments.name,))
    adapted = adapt(pipeline.unet)
    learned = nn.ModuleList(nn.ModuleList([layer.down, layer.up]) for layer in adapted.values())
    print(sum(parameter.numel() for parameter in learned.parameters()), "parameters", flush=True)
    pipeline.text_encoder.requires_grad_(False)
    scheduler = inpainter.build_scheduler()

    def predict(latents: Tensor, steps: Tensor, ids: Tensor) -> Tensor:
        return pipeline.unet(latents, steps, pipeline.text_encoder(ids).last_hidden_state).sample

    def losses_at(step: int) -> Mapping[str, Tensor]:
        rng = np.random.default_rng((arguments.seed, 2, step))
        chosen = rng.integers(len(examples.names), size=BATCH)
        prompts = [write_prompt(rng, arguments.name) for _ in chosen]
        ids = inpainter.tokenize(pipeline.tokenizer, prompts)
        generator = torch.Generator().manual_seed(arguments.seed + step)
        return inpainter.velocity_losses(predict, scheduler, examples, torch.from_numpy(chosen), ids, generator)

    checkpoint = arguments.runs / f"lora_{arguments.name}.pt"
    checkpoint.parent.mkdir(parents=True, exist_ok=True)
    train(learned, losses_at, SCHEDULE, checkpoint, save_every=50)
    arguments.target.mkdir(parents=True, exist_ok=True)
    metadata = {"ss_base_model_version": "starter emoji inpainter", "trilemma": json.dumps({"name": arguments.name})}
    file = arguments.target / f"{arguments.name}.safetensors"
    save_file(in_kohyas_layout(adapted), file, metadata)
    file.chmod(0o644)


if __name__ == "__main__":
    main()
