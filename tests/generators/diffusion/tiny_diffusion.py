"""Random U-Nets of a few thousand parameters, and what all tests of diffusion generators ask."""

from collections.abc import Sequence
from typing import Any

import torch
from trilemma.models.diffusion.tiny import unconditional_unet
from trilemma.models.generators import binding, noise
from trilemma.models.generators.base import Condition, Generator
from trilemma.models.generators.binding import Bound
from trilemma.models.steps import quiet
from trilemma.tests.closeness import is_close

OWN_OPTIONS = {"sampler": "model's own", "steps": 0, "eta": 0.0, "guidance_scale": 0.0, "spacing": "model's own"}


def unet(classes: int | None = None, channels: int = 3, seed: int = 0) -> Any:
    """diffusers' UNet2DModel of two levels with attention in the lower one."""
    torch.manual_seed(seed)
    return unconditional_unet(classes, channels)


def bound(generator: Generator, texts: Sequence[str] = ("",), negative: str = "", **options) -> Bound:
    conditions = [Condition(text, negative) for text in texts]
    made = Bound(generator).with_options("diffusion", {**OWN_OPTIONS, **options})
    return made.with_conditions(conditions)


def images(made: Bound, count: int, seed: int = 0, batch_size: int = 8, on_step=quiet) -> torch.Tensor:
    return torch.cat([batch.images for batch in binding.sample(made, count, seed, batch_size, on_step)])


def first_inputs(network: torch.nn.Module, made: Bound, count: int, batch_size: int) -> tuple[torch.Tensor, ...]:
    """The pictures, and what the network is given for them in the first call of each batch, [count, ...]."""
    seen = []
    hook = network.register_forward_pre_hook(lambda module, arguments: seen.append(arguments[0]))
    drawn = images(made, count, batch_size=batch_size)
    hook.remove()
    calls = len(seen) // -(-count // batch_size)
    # With guidance the second half of a call is given the condition.
    rows = made.generator.evaluations(made.settings) // calls
    return drawn, torch.cat([given.chunk(rows)[-1] for given in seen[::calls]])


def does_not_depend_on_the_batch(made: Bound, network: torch.nn.Module, tolerance: float) -> None:
    """Initial noise bit-identical, pictures within a tolerance, at batch sizes 1, 3 and 8."""
    (alone, noise_alone), *others = (first_inputs(network, made, 8, size) for size in (1, 3, 8))
    for drawn, given in others:
        assert torch.equal(given, noise_alone)
        assert torch.allclose(drawn, alone, atol=tolerance, rtol=0)
    assert not is_close(alone[0], alone[1])


def requests(made: Bound, count: int, seed: int = 0):
    return noise.requests(count, seed, made.conditions)


def last_alpha(config) -> torch.Tensor:
    """The share of signal at the noisiest step."""
    from diffusers import DDIMScheduler

    return DDIMScheduler(config["num_train_timesteps"], beta_schedule=config["beta_schedule"]).alphas_cumprod[-1]


def starter_unet():
    """The network of training/ddpm.py, random, without classes."""
    from diffusers import UNet2DModel

    return UNet2DModel(
        sample_size=32,
        block_out_channels=(24, 48, 96),
        layers_per_block=1,
        down_block_types=("DownBlock2D", "DownBlock2D", "AttnDownBlock2D"),
        up_block_types=("AttnUpBlock2D", "UpBlock2D", "UpBlock2D"),
        norm_num_groups=8,
        attention_head_dim=8,
    ).eval()
