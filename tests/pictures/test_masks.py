"""Mask operations against scipy, and against the algorithms of other nodes that the benchmark writes down."""

import numpy as np
import pytest
import torch
from scipy import ndimage
from trilemma.models.errors import BadInput
from trilemma.models.pictures import masks
from trilemma.tests.benchmarks import masks as benchmark


def random_masks(seed, levels):
    """A small batch of odd sizes; `levels` values, or many when 0."""
    rng = np.random.default_rng(seed)
    batch = rng.random((rng.integers(1, 3), *rng.integers(1, 20, 2)), dtype=np.float32)
    return torch.from_numpy(batch if levels == 0 else np.floor(batch * levels, dtype=np.float32) / max(1, levels - 1))


@pytest.mark.slow
@pytest.mark.parametrize("levels", [0, 1, 2, 5])
@pytest.mark.parametrize("tapered_corners", [False, True])
@pytest.mark.parametrize("pixels", [-30, -7, -1, 0, 1, 2, 3, 8, 30])
def test_grow_is_the_hosts(pixels, tapered_corners, levels):
    for seed in range(4):
        batch = random_masks(seed, levels)
        expected = benchmark.grow_step_by_step(batch, pixels, tapered_corners)
        before = batch.clone()
        assert torch.equal(masks.grow(batch, pixels, tapered_corners), expected)
        assert torch.equal(batch, before)


@pytest.mark.slow
@pytest.mark.parametrize("soft", [False, True])
@pytest.mark.parametrize("tapered_corners", [False, True])
@pytest.mark.parametrize("pixels", [-66, 5])
def test_grow_across_tiles_and_however_memory_lies(pixels, tapered_corners, soft):
    draw = torch.rand(1, 270, 530, generator=torch.Generator().manual_seed(0))
    specks = torch.where(draw < 0.0001, draw * 10000 if soft else 1, 0)
    batch = specks if pixels > 0 else 1 - specks
    expected = benchmark.grow_step_by_step(batch, pixels, tapered_corners)
    assert len(expected.unique()) > (3 if soft else 1)
    assert torch.equal(masks.grow(batch, pixels, tapered_corners).view(torch.int32), expected.view(torch.int32))
    assert torch.equal(masks.grow(batch.transpose(1, 2), pixels, tapered_corners), expected.transpose(1, 2))


@pytest.mark.parametrize(
    "values",
    [(0.3,), (-0.0, 0.0), (-0.0, 0.0, 1.0), (-2.5, -1.5), (-3e38, -1e-45, -0.0, 0.0, 1e-45, 0.5, 3e38, float("inf"))],
    ids=["constant", "zeros", "signed zeros", "two negative", "all kinds"],
)
@pytest.mark.parametrize("tapered_corners", [False, True])
@pytest.mark.parametrize("pixels", [-9, -2, 1, 4])
def test_grow_takes_any_values(pixels, tapered_corners, values):
    which = torch.randint(len(values), (2, 40, 23), generator=torch.Generator().manual_seed(0))
    batch = torch.tensor(values)[which]
    expected = benchmark.grow_step_by_step(batch, pixels, tapered_corners)
    assert torch.equal(masks.grow(batch, pixels, tapered_corners), expected)


def test_grow_beyond_every_border():
    batch = torch.zeros(2, 5, 9)
    batch[0, 2, 2] = 0.7
    assert torch.equal(masks.grow(batch, 16384), torch.tensor([0.7, 0.0])[:, None, None].expand(2, 5, 9))


@pytest.mark.parametrize("sigma", [0.3, 1, 2.5, 40])
def test_soften_is_a_gaussian(sigma):
    for seed in range(3):
        batch = random_masks(seed, 0)
        expected = [ndimage.gaussian_filter(mask.astype(np.float64), sigma, mode="nearest") for mask in batch.numpy()]
        np.testing.assert_allclose(masks.soften(batch, sigma), np.stack(expected), atol=2e-6)


def test_soften_across_blocks_and_by_nothing():
    batch = (torch.rand(1, 3, 2 * masks.BLOCK + 5, generator=torch.Generator().manual_seed(0)) > 0.5).float()
    expected = ndimage.gaussian_filter(batch[0].numpy().astype(np.float64), 3, mode="nearest")
    np.testing.assert_allclose(masks.soften(batch, 3)[0], expected, atol=2e-6)
    assert torch.equal(masks.soften(batch, 0), batch)
    assert masks.soften(torch.ones(1, 4, 4), 2).eq(1).all()


def filled_at_every_level(mask):
    filled = mask.copy()
    for level in np.unique(mask):
        filled = np.maximum(filled, np.where(ndimage.binary_fill_holes(mask >= level), level, 0))
    return filled


@pytest.mark.parametrize("sigma", [float("nan"), float("inf")])
def test_soften_by_no_number_is_refused(sigma):
    with pytest.raises(BadInput, match=r"^soften: (nan|inf) is no number of pixels"):
        masks.soften(torch.zeros(1, 4, 4), sigma)


@pytest.mark.slow
@pytest.mark.parametrize("levels", [0, 2, 3, 6])
def test_fill_holes_is_the_filling_at_every_level(levels):
    for seed in range(40):
        batch = random_masks(seed, levels)
        expected = np.stack([filled_at_every_level(mask) for mask in batch.numpy()])
        found = masks.fill_holes(batch)
        assert found.dtype == torch.float32
        np.testing.assert_array_equal(found, expected)


def test_a_hole_is_filled_and_a_bay_is_not():
    ring = torch.zeros(1, 7, 7)
    ring[0, 1:6, 1:6] = 1
    ring[0, 2:5, 2:5] = 0
    closed = ring.clone()
    closed[0, 2:5, 2:5] = 1
    assert torch.equal(masks.fill_holes(ring), closed)
    ring[0, 1, 3] = 0
    assert torch.equal(masks.fill_holes(ring), ring)


def test_water_stands_as_high_as_the_lowest_way_out():
    ring = torch.zeros(1, 7, 7)
    ring[0, 1:6, 1:6] = 0.9
    ring[0, 1, 3] = 0.4
    ring[0, 2:5, 2:5] = 0.1
    assert masks.fill_holes(ring)[0, 2:5, 2:5].eq(0.4).all()


@pytest.mark.slow
@pytest.mark.parametrize("min_area", [1, 3, 5.5, 1000])
def test_drop_islands(min_area):
    for seed in range(20):
        batch = random_masks(seed, 5)
        batch = torch.where(batch > 0.6, batch, 0)
        for mask, found in zip(batch.numpy(), masks.drop_islands(batch, min_area).numpy(), strict=True):
            island, count = ndimage.label(mask > 0, np.ones((3, 3)))
            areas = ndimage.sum_labels(mask.astype(np.float64), island, np.arange(count + 1))
            np.testing.assert_array_equal(found, np.where((areas >= min_area)[island], mask, 0))
