import numpy as np
import pytest
import torch
from trilemma.models.generators.projection.distances import SEEN, perceptual, pyramid

TAPS = np.array([1, 4, 6, 4, 1]) / 16


def by_hand(difference):
    """Of one plane [side, side], side a power of two: blurred and halved, enlarged bilinearly, differences averaged."""
    total = 0.0
    while len(difference) > 4:
        padded = np.pad(difference, 2, mode="reflect")
        rows = sum(tap * padded[place : place + len(difference)] for place, tap in enumerate(TAPS))
        blurred = sum(tap * rows[:, place : place + len(difference)] for place, tap in enumerate(TAPS))
        half = len(difference) // 2
        coarse = blurred.reshape(half, 2, half, 2).mean(axis=(1, 3))
        places = np.clip((np.arange(2 * half) + 0.5) / 2 - 0.5, 0, half - 1)
        matrix = np.maximum(0, 1 - np.abs(places[:, None] - np.arange(half)))
        total += np.abs(difference - matrix @ coarse @ matrix.T).mean()
        difference = coarse
    return total + np.abs(difference).mean()


def test_a_pyramid_of_differences():
    one, other = torch.rand(2, 3, 32, 32), torch.rand(2, 3, 32, 32)
    expected = [np.mean([by_hand((one - other)[n, c].double().numpy()) for c in range(3)]) for n in range(2)]
    torch.testing.assert_close(pyramid(one, other), torch.tensor(expected).float())
    assert not pyramid(one, one).any()


def test_a_shift_in_brightness_is_a_difference_of_the_coarsest_level_alone():
    images = torch.rand(1, 3, 16, 16)
    torch.testing.assert_close(pyramid(images, images + 0.25), torch.tensor([0.25]), rtol=0, atol=1e-6)


@pytest.mark.parametrize("size", [(28, 28), (4, 4), (2, 2), (33, 17), (6, 5)])
def test_sizes_of_every_kind(size):
    images = torch.rand(1, 3, *size, requires_grad=True)
    pyramid(images, torch.rand(1, 3, *size)).sum().backward()
    assert images.grad is not None and bool(torch.isfinite(images.grad).all()) and bool(images.grad.any())


def test_large_pictures_are_seen_smaller():
    def distance(images, others):
        assert images.shape == others.shape == (1, 3, SEEN, SEEN)
        return (images - others).abs().mean(dim=(1, 2, 3))

    images = torch.rand(1, 3, 2 * SEEN, 2 * SEEN)
    halved = images.reshape(1, 3, SEEN, 2, SEEN, 2).mean(dim=(3, 5))
    torch.testing.assert_close(perceptual(distance)(images, 0 * images), halved.mean()[None])
    assert float(perceptual(lambda one, other: one.new_tensor([one.shape[-1]]))(images[..., :31, :31], images)) == 31
