"""What guided pictures lose, and how far their pixels may go."""

import torch
from trilemma.models.generators import noise
from trilemma.models.generators.base import Condition
from trilemma.models.generators.guidance.critic import Critic
from trilemma.models.generators.guidance.guide import Guide, clamped, coloured, streams_of, variation


class Mean(Critic):
    """The mean of the pixels."""

    name = identity = "mean"

    def scores(self, pictures, requests, streams):
        return pictures.mean(dim=(1, 2, 3))

    def memory_bytes(self, height, width):
        return 0


def test_derivatives_lead_back_into_range():
    """Of a loss: where a step against them leads further out they are none."""
    pixels = torch.tensor([-0.5, -0.5, 0.5, 0.5, 1.5, 1.5], requires_grad=True)
    weights = torch.tensor([1.0, -1.0, 1.0, -1.0, 1.0, -1.0])
    kept = clamped(pixels)
    assert kept.tolist() == [0, 0, 0.5, 0.5, 1, 1]
    (found,) = torch.autograd.grad((kept * weights).sum(), pixels)
    assert found.tolist() == [0, -1, 1, -1, 1, 0]


def test_the_loss_is_the_score_and_the_variation():
    pictures = torch.rand(2, 1, 4, 5, generator=torch.Generator().manual_seed(0))
    guide = Guide(Mean(), 3.0, 10.0, (), ())
    down, right = (pictures[:, 0, 1:] - pictures[:, 0, :-1]), (pictures[:, 0, :, 1:] - pictures[:, 0, :, :-1])
    rough = down.square().mean(dim=(1, 2)) + right.square().mean(dim=(1, 2))
    torch.testing.assert_close(variation(pictures), rough)
    torch.testing.assert_close(guide.losses(pictures), -3 * pictures.mean(dim=(1, 2, 3)) + 10 * rough)


def test_critics_see_three_channels():
    assert coloured(torch.rand(1, 1, 2, 2)).shape == coloured(torch.rand(1, 4, 2, 2)).shape == (1, 3, 2, 2)


def test_what_critics_draw_is_of_the_seed_and_not_the_samples_own():
    wanted = noise.requests(3, 2**64 - 2, [Condition()])
    drawn = [torch.rand(4, generator=stream) for stream in streams_of(wanted)]
    own = [torch.rand(4, generator=stream) for stream in noise.generators(wanted)]
    assert torch.equal(torch.rand(4, generator=streams_of(wanted[1:2])[0]), drawn[1])
    assert len({tuple(each.tolist()) for each in (*drawn, *own)}) == 6
