"""The game of a generator and a discriminator on pictures of classes: networks, losses and the loop of both.

Projection discriminator (Miyato & Koyama 2018) with minibatch standard deviation (Karras et al. 2017), non-saturating
loss (Goodfellow et al. 2014), lazy R1 penalty (Mescheder et al. 2018; Karras et al. 2019), and differentiable
augmentation of real and drawn pictures (Zhao et al. 2020).
"""

import time
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

GROUP = 4
SHIFT = 4
HOLE = 12


class Rules(NamedTuple):
    """rates: of Adam, for each group of parameters. They fall linearly over the last `cooldown` steps.

    penalty: weight of R1 at the steps that have it, one in `every`. ema: decay of the generator's moving average.
    colours: whether pictures are augmented in brightness and contrast too; not where colours are what is learned.
    augmented: whether at all; not where noise does as much.
    """

    steps: int
    batch: int = 32
    betas: tuple[float, float] = (0.0, 0.99)
    cooldown: int = 500
    penalty: float = 0.3
    every: int = 8
    ema: float = 0.998
    colours: bool = True
    augmented: bool = True

    def factor_at(self, step: int) -> float:
        return min(1.0, (self.steps - step) / self.cooldown)


class Discriminator(nn.Module):
    """Pictures [B, 3, 32, 32] in -1..1 and classes int64 [B] to scores [B]; B is a multiple of GROUP."""

    def __init__(self, num_classes: int, channels: Sequence[int] = (32, 64, 96, 128)) -> None:
        super().__init__()
        first, *_, last = channels
        self.first = nn.Conv2d(3, first, 3, padding=1)
        self.halvings = nn.ModuleList(
            nn.Conv2d(inputs, outputs, 4, stride=2, padding=1) for inputs, outputs in pairwise(channels)
        )
        self.last = nn.Conv2d(last + 1, last, 3, padding=1)
        self.dense = nn.Linear(last * 16, last)
        self.score = nn.Linear(last, 1)
        self.classes = nn.Embedding(num_classes, last)

    def forward(self, images: Tensor, labels: Tensor) -> Tensor:
        x = _leaky(self.first(images))
        for halving in self.halvings:
            x = _leaky(halving(x))
        x = _leaky(self.last(torch.cat([x, spread(x)], dim=1)))
        x = _leaky(self.dense(x.flatten(1)))
        return self.score(x)[:, 0] + (self.classes(labels) * x).mean(dim=1)


def _leaky(x: Tensor) -> Tensor:
    return F.leaky_relu(x, 0.2)


def spread(x: Tensor) -> Tensor:
    """[B, 1, H, W]: the mean standard deviation over groups of GROUP pictures of [B, C, H, W]."""
    groups = x.unflatten(0, (GROUP, -1))  # [GROUP, B / GROUP, C, H, W]
    deviation = (groups.var(dim=0, unbiased=False) + 1e-8).sqrt().mean(dim=(1, 2, 3))
    return deviation.repeat(GROUP)[:, None, None, None].expand(-1, 1, *x.shape[2:])


def augment(images: Tensor, generator: torch.Generator, colours: bool = True) -> Tensor:
    """Other brightness and contrast (if `colours`) and place, and a grey square, for each of [B, C, S, S];
    differentiable."""
    count, _, side, _ = images.shape

    def drawn() -> Tensor:
        return torch.rand(count, 1, 1, 1, generator=generator)

    if colours:
        images = images + drawn() - 0.5
        mean = images.mean(dim=(1, 2, 3), keepdim=True)
        images = (images - mean) * (drawn() + 0.5) + mean
    places = torch.arange(side)
    corners = torch.randint(0, 2 * SHIFT + 1, (2, count, 1), generator=generator)
    rows, columns = (corners + places).unbind()  # [B, S] each
    padded = F.pad(images, (SHIFT,) * 4)
    images = padded[torch.arange(count)[:, None, None], :, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)
    starts = torch.randint(-HOLE // 2, side - HOLE // 2, (2, count, 1), generator=generator)
    rows, columns = ((places >= starts) & (places < starts + HOLE)).unbind()
    return images.masked_fill((rows[:, :, None] & columns[:, None, :])[:, None], 0.0)


def r1(scores: Tensor, real: Tensor) -> Tensor:
    """Mean squared gradient of scores [B] by the real pictures [B, ...] that they are of."""
    (gradient,) = torch.autograd.grad(scores.sum(), real, create_graph=True)
    return gradient.square().flatten(1).sum(dim=1).mean()


class Game(nn.Module):
    """What is trained, and the moving average of the generator, which is what ships."""

    def __init__(self, generator: nn.Module, average: nn.Module, discriminator: nn.Module) -> None:
        super().__init__()
        self.generator = generator
        self.average = average.requires_grad_(False)
        self.discriminator = discriminator

    @torch.no_grad()
    def follow(self, step: int, ema: float) -> None:
        """Move the average towards the generator; it forgets faster at the start."""
        decay = min(ema, (1 + step) / (10 + step))
        for average, weight in zip(self.average.parameters(), self.generator.parameters(), strict=True):
            average.lerp_(weight, 1 - decay)


Draw = Callable[[Tensor, Tensor, torch.Generator], Tensor]


def play(
    game: Game,
    draw: Draw,
    batch_at: Callable[[int], tuple[Tensor, Tensor]],
    optimizers: Mapping[str, torch.optim.Optimizer],
    rules: Rules,
    checkpoint: Path,
    log_every: int = 50,
    save_every: int = 100,
) -> None:
    """Train `game` in place and leave its last state in `checkpoint`; an earlier checkpoint there is resumed.

    draw: (real pictures, their classes int64 [B], generator of random numbers) -> pictures by `game.generator`.
    batch_at: step -> real pictures and their classes. Nothing may depend on more than the step, so that a resumed
        run is the same run.
    optimizers: "generator" and "discriminator".
    """
    rates = {name: [group["lr"] for group in optimizer.param_groups] for name, optimizer in optimizers.items()}
    first = _resume(game, optimizers, checkpoint)
    sums: dict[str, float] = {}
    began = time.process_time()
    for step in range(first, rules.steps):
        for name, optimizer in optimizers.items():
            for group, rate in zip(optimizer.param_groups, rates[name], strict=True):
                group["lr"] = rate * rules.factor_at(step)
        losses = _turn(game, draw, *batch_at(step), optimizers, rules, step)
        game.follow(step, rules.ema)
        for name, loss in losses.items():
            sums[name] = sums.get(name, 0.0) + loss
        done = step + 1
        if done % log_every == 0:
            means = " ".join(f"{name} {total / log_every:.3f}" for name, total in sums.items())
            minutes = (time.process_time() - began) / 60
            print(f"{checkpoint.stem} step {done}/{rules.steps} cpu {minutes:.1f} min {means}", flush=True)
            sums.clear()
        if done % save_every == 0 or done == rules.steps:
            _save(game, optimizers, done, checkpoint)


def _turn(
    game: Game,
    draw: Draw,
    real: Tensor,
    labels: Tensor,
    optimizers: Mapping[str, torch.optim.Optimizer],
    rules: Rules,
    step: int,
) -> dict[str, float]:
    """One step of the discriminator, then one of the generator, on the same pictures."""
    numbers = torch.Generator().manual_seed(step)
    penalised = step % rules.every == 0
    drawn = draw(real, labels, numbers)
    real.requires_grad_(penalised)

    def seen(pictures: Tensor) -> Tensor:
        return augment(pictures, numbers, rules.colours) if rules.augmented else pictures

    true_scores = game.discriminator(seen(real), labels)
    false_scores = game.discriminator(seen(drawn.detach()), labels)
    loss = F.softplus(-true_scores).mean() + F.softplus(false_scores).mean()
    penalty = rules.penalty * r1(true_scores, real) if penalised else torch.zeros([])
    optimizers["discriminator"].zero_grad(set_to_none=True)
    (loss + penalty).backward()
    optimizers["discriminator"].step()

    game.discriminator.requires_grad_(False)
    fooled = F.softplus(-game.discriminator(seen(drawn), labels)).mean()
    optimizers["generator"].zero_grad(set_to_none=True)
    fooled.backward()
    optimizers["generator"].step()
    game.discriminator.requires_grad_(True)
    return {
        "discriminator": loss.item(),
        "penalty": penalty.item() * rules.every,
        "generator": fooled.item(),
        "real": true_scores.detach().mean().item(),
    }


def _resume(game: Game, optimizers: Mapping[str, torch.optim.Optimizer], checkpoint: Path) -> int:
    if not checkpoint.exists():
        return 0
    state = torch.load(checkpoint, weights_only=True)
    game.load_state_dict(state["game"])
    for name, optimizer in optimizers.items():
        optimizer.load_state_dict(state[name])
    return state["step"]


def _save(game: Game, optimizers: Mapping[str, torch.optim.Optimizer], step: int, checkpoint: Path) -> None:
    checkpoint.parent.mkdir(parents=True, exist_ok=True)
    partial = checkpoint.with_suffix(".partial")
    states = {name: optimizer.state_dict() for name, optimizer in optimizers.items()}
    torch.save({"game": game.state_dict(), **states, "step": step}, partial)
    partial.replace(checkpoint)
