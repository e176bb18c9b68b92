"""The optimisation loop that the starter models share: AdamW, warm-up, one cosine, checkpoints to resume from."""

import math
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn


class Schedule(NamedTuple):
    """How long and how fast to learn.

    The rate rises linearly over `warmup` steps and falls as a cosine that would end after `horizon` steps (None: after
    `steps`). A training that stops before its horizon is cooled down: between the knots (step, factor) of `cooldown` a
    further factor changes linearly; it is 1 before the first knot.
    """

    steps: int
    rate: float
    horizon: int | None = None
    cooldown: tuple[tuple[int, float], ...] = ()
    warmup: int = 200
    betas: tuple[float, float] = (0.9, 0.98)
    weight_decay: float = 0.01
    clip: float = 1.0

    def rate_at(self, step: int) -> float:
        rising = min(1.0, (step + 1) / self.warmup)
        cosine = (1 + math.cos(math.pi * step / (self.horizon or self.steps))) / 2
        knots, factors = zip((0, 1.0), *self.cooldown, strict=True)
        return self.rate * rising * cosine * float(np.interp(step, knots, factors))


def train(
    module: nn.Module,
    losses_at: Callable[[int], Mapping[str, Tensor]],
    schedule: Schedule,
    checkpoint: Path,
    log_every: int = 50,
    save_every: int = 200,
) -> None:
    """Train `module` in place and leave its last state in `checkpoint`; an earlier checkpoint there is resumed.

    losses_at: step -> named scalar losses, whose sum is minimised. Its data must depend on nothing but the step,
        so that a resumed run is the same run.
    """
    optimizer = torch.optim.AdamW(
        module.parameters(), lr=schedule.rate, betas=schedule.betas, weight_decay=schedule.weight_decay, fused=True
    )
    first = _resume(module, optimizer, checkpoint)
    sums: dict[str, float] = {}
    began = time.process_time()
    for step in range(first, schedule.steps):
        optimizer.param_groups[0]["lr"] = schedule.rate_at(step)
        losses = losses_at(step)
        optimizer.zero_grad(set_to_none=True)
        sum(losses.values()).backward()
        torch.nn.utils.clip_grad_norm_(module.parameters(), schedule.clip)
        optimizer.step()
        for name, loss in losses.items():
            sums[name] = sums.get(name, 0.0) + loss.item()
        done = step + 1
        if done % log_every == 0:
            means = " ".join(f"{name} {total / log_every:.4f}" for name, total in sums.items())
            minutes = (time.process_time() - began) / 60
            print(f"{checkpoint.stem} step {done}/{schedule.steps} cpu {minutes:.1f} min {means}", flush=True)
            sums.clear()
        if done % save_every == 0 or done == schedule.steps:
            _save(module, optimizer, done, checkpoint)


def _resume(module: nn.Module, optimizer: torch.optim.Optimizer, checkpoint: Path) -> int:
    if not checkpoint.exists():
        return 0
    state = torch.load(checkpoint, weights_only=True)
    module.load_state_dict(state["module"])
    optimizer.load_state_dict(state["optimizer"])
    return state["step"]


def _save(module: nn.Module, optimizer: torch.optim.Optimizer, step: int, checkpoint: Path) -> None:
    checkpoint.parent.mkdir(parents=True, exist_ok=True)
    partial = checkpoint.with_suffix(".partial")
    torch.save({"module": module.state_dict(), "optimizer": optimizer.state_dict(), "step": step}, partial)
    partial.replace(checkpoint)
