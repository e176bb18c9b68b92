"""A VQGAN guided by an embedding, against the loop of VQGAN-CLIP's notebooks (Crowson et al. 2022), written down here
in other words.

Theirs takes the nearest codes by a product with one row of zeros and a one for each, whose distances it keeps for
derivatives that nobody asks for, and hands the decoder codes whose memory lies by channels, in which the derivatives of
norms are slow on a CPU; brings every cutout to the network's side by adaptive pooling, slow there and back; and decodes
by taming-transformers' activation, x times sigmoid(x), in two operations, which keep both.
"""

from __future__ import annotations

import copy
from typing import Any, Final

import torch
import torch.nn.functional as F
from torch import nn
from trilemma.models.generators import noise
from trilemma.models.generators.autoregressive.vq_model import VQModelCoder, autoencoder
from trilemma.models.generators.base import Condition
from trilemma.models.generators.binding import Bound
from trilemma.models.generators.guidance.embedding_critic import CLIP_MEAN, CLIP_STD, EmbeddingCritic, VisionEmbedder
from trilemma.models.generators.guidance.guide import clamped
from trilemma.models.generators.guidance.guided import guided
from trilemma.models.scoring.extractors.dinov2_network import HEAD_SIZE, DINOv2, Sizes
from trilemma.models.steps import quiet
from trilemma.tests.benchmarks.timing import Comparison, compare

STEPS = 6
"""Of the hundred and more that a picture takes; each costs the same."""
CUTOUTS = 32
SIDE: Final = 224
CODES: Final = 16_384
RATE: Final = 0.1
AT_LEAST = 1.15


class Swish(nn.Module):
    """taming-transformers' activation."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * torch.sigmoid(x)


def networks() -> tuple[VQModelCoder, DINOv2]:
    """A VQGAN of 256 px in the layout of the published ones, of a quarter of their widths; and a small transformer in
    CLIP's place, at its size."""
    from diffusers import VQModel

    torch.manual_seed(0)
    network = VQModel(
        down_block_types=("DownEncoderBlock2D",) * 5,
        up_block_types=("UpDecoderBlock2D",) * 5,
        block_out_channels=(32, 32, 64, 64, 128),
        layers_per_block=2,
        latent_channels=64,
        num_vq_embeddings=CODES,
    )
    nn.init.normal_(network.quantize.embedding.weight)
    judge = DINOv2(Sizes(HEAD_SIZE, 1, 14, 16, 0, 4 * HEAD_SIZE, False))
    for name, parameter in judge.named_parameters():
        if parameter.ndim > 1:
            nn.init.normal_(parameter, std=2 * parameter[0].numel() ** -0.5)
        else:
            nn.init.constant_(parameter, float("bias" not in name))
    return VQModelCoder(network.eval()).requires_grad_(False), judge.eval().requires_grad_(False)


def with_swish(network: Any) -> Any:
    """A copy that decodes as taming-transformers does."""
    made = copy.deepcopy(network)
    for module in list(made.modules()):
        for name, child in module.named_children():
            if isinstance(child, nn.SiLU):
                setattr(module, name, Swish())
    return made


class _Swapped(torch.autograd.Function):
    """The first, with the derivatives for the second."""

    @staticmethod
    def forward(ctx: Any, seen: torch.Tensor, moved: torch.Tensor) -> torch.Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        return seen.view_as(seen)

    @staticmethod
    def backward(ctx: Any, derivative: torch.Tensor) -> tuple[None, torch.Tensor]:  # pyright: ignore[reportIncompatibleMethodOverride]
        return None, derivative


def notebooks_loop(
    network: Any, judge: nn.Module, target: torch.Tensor, start: torch.Tensor, steps: int = STEPS
) -> torch.Tensor:
    """So many steps of Adam from latents [1, C, h, w]: the last picture, [1, 3, H, W]. target: [D], of unit length."""
    book, stream = network.quantize.embedding.weight, torch.Generator().manual_seed(0)
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (CLIP_MEAN, CLIP_STD))
    latents = start.clone().requires_grad_()
    optimiser = torch.optim.Adam([latents], lr=RATE)

    def synthesised() -> torch.Tensor:
        rows = latents.movedim(1, 3)
        squares = rows.square().sum(dim=-1, keepdim=True) + book.square().sum(dim=1)
        nearest = (squares - 2 * rows @ book.T).argmin(dim=-1)
        codes = _Swapped.apply(F.one_hot(nearest, len(book)).to(book.dtype) @ book, rows)
        return clamped((network.decode(codes.movedim(3, 1), force_not_quantize=True).sample + 1) / 2)

    for _ in range(steps):
        picture = synthesised()
        side = min(picture.shape[2:])
        squares = []
        for _ in range(CUTOUTS):
            size = int(torch.rand((), generator=stream) * (side - side // 2) + side // 2)
            left, top = (int(torch.randint(side - size + 1, (), generator=stream)) for _ in range(2))
            squares.append(F.adaptive_avg_pool2d(picture[:, :, top : top + size, left : left + size], SIDE))
        vectors = F.normalize(judge((torch.cat(squares) - mean) / std), dim=1)
        loss = (vectors - target).norm(dim=1).div(2).arcsin().square().mul(2).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    with torch.no_grad():
        return synthesised()


def compare_loops(repeats: int = 2) -> Comparison:
    """Both take the same number of steps from the same start, whose picture is the same by both."""
    coder, judge = networks()
    generator = autoencoder("VQGAN", coder, {}, "x")
    embedder = VisionEmbedder("judge", "x", SIDE, judge, lambda count: 10**6 * count)
    with torch.no_grad():
        wanted = embedder.vectors(torch.rand(1, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(1)))
    critic = EmbeddingCritic("image", embedder, wanted, ("noise",), CUTOUTS)
    requests = noise.requests(1, 0, [Condition()])
    bound = Bound(guided(generator, critic, 1000.0, STEPS, RATE, 0.0))
    start = generator.starts(requests, bound.settings)
    theirs, target = with_swish(coder.network), F.normalize(wanted[0], dim=0)
    begun = generator.decode(start, requests, bound.settings).movedim(-1, 1)
    torch.testing.assert_close(notebooks_loop(theirs, judge, target, start.values, 0), begun, rtol=0, atol=1e-4)

    return compare(
        lambda: notebooks_loop(theirs, judge, target, start.values),
        lambda: bound.generator.draw(requests, bound.settings, quiet),
        repeats,
    )


def rows() -> list[tuple[str, Comparison, float]]:
    """What is compared, the times, and the least ratio that is promised."""
    what = f"{STEPS} steps of a guided VQGAN, 256 px, a quarter of the usual widths, {CUTOUTS} cutouts"
    return [(what, compare_loops(), AT_LEAST)]
