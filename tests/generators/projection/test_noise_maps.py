import torch
from trilemma.models.generators.projection.noise_maps import correlation, normalise


def by_hand(plane):
    """Of one map [side, side], as the paper writes it."""
    total, side = 0.0, len(plane)
    while True:
        for rolled in (torch.roll(plane, 1, 0), torch.roll(plane, 1, 1)):
            total += float((plane * rolled).mean()) ** 2
        if side <= 8:
            return total
        side //= 2
        plane = plane.reshape(side, 2, side, 2).mean(dim=(1, 3))


def test_correlation_is_the_papers():
    maps = [torch.randn(3, 1, side, side, dtype=torch.float64) for side in (4, 8, 32)]
    expected = [sum(by_hand(each[one, 0]) for each in maps) for one in range(3)]
    torch.testing.assert_close(correlation(maps), torch.tensor(expected, dtype=torch.float64))
    striped = torch.ones(1, 1, 16, 16)
    striped[..., ::2] = -1
    assert float(correlation([striped])) == 2.0


def test_maps_are_brought_back_to_unit_variance():
    maps = [3 + 5 * torch.randn(2, 1, side, side) for side in (4, 16)]
    normalise(maps)
    for each in maps:
        torch.testing.assert_close(each.mean(dim=(1, 2, 3)), torch.zeros(2), rtol=0, atol=1e-6)
        torch.testing.assert_close(each.square().mean(dim=(1, 2, 3)), torch.ones(2))
