"""Sharpness against closed forms, and over a sweep of blurs with FID beside it."""

import math

import pytest
import torch
from trilemma.models.errors import BadInput
from trilemma.models.scoring.metrics.sharpness import HIGH, as_scores, describe, sharpness, spectrum


def noise(count=6, side=64, power=0.0, seed=0):
    """Images whose power falls as frequency^-power."""
    drawn = torch.randn(count, side, side, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    radii = torch.hypot(torch.fft.fftfreq(side)[:, None], torch.fft.rfftfreq(side)[None]).clamp(min=1 / side)
    grey = torch.fft.irfft2(torch.fft.rfft2(drawn) * radii ** (-power / 2), s=(side, side))
    grey = 0.5 + 0.1 * grey / grey.std()
    return grey[..., None].expand(-1, -1, -1, 3).float()


def blurred(images, sigma):
    """By a Gaussian, round the edges."""
    side = images.shape[1]
    squares = torch.fft.fftfreq(side)[:, None] ** 2 + torch.fft.rfftfreq(side)[None] ** 2
    kernel = torch.exp(-2 * (math.pi * sigma) ** 2 * squares)
    planes = images.movedim(-1, 1)
    return torch.fft.irfft2(torch.fft.rfft2(planes) * kernel, s=(side, side)).movedim(1, -1)


@pytest.mark.parametrize("power", [0.0, 1.0, 2.0])
def test_the_slope_is_that_of_the_power(power):
    found = sharpness(noise(power=power), noise(seed=1))
    assert found.slope == pytest.approx(-power, abs=0.1)
    assert sharpness(noise(power=power), noise(power=power)) == pytest.approx((0, found.spread, 0), abs=1e-9)


def test_a_blurs_loss_is_that_of_its_kernel():
    images, sigma = noise(40), 0.6
    of = spectrum(images)
    kept = torch.exp(-((2 * math.pi * sigma * of.frequencies) ** 2))
    parts = [(of.parts * weight) for weight in (kept, torch.ones_like(kept))]
    shares = [float(part[of.frequencies >= HIGH].sum() / part.sum()) for part in parts]
    # A ring is one place wide, and the kernel falls within it.
    assert sharpness(blurred(images, sigma), images).lost == pytest.approx(1 - shares[0] / shares[1], abs=0.02)


def test_brightness_and_contrast_are_no_sharpness():
    images = noise(power=1)
    assert sharpness(0.3 + 0.5 * images, images)[::2] == pytest.approx((0, 0), abs=1e-6)
    noisy = images + 0.15 * torch.randn(images.shape, generator=torch.Generator().manual_seed(2))
    assert sharpness(noisy, images).lost < -0.1


@pytest.mark.slow
def test_over_a_sweep_of_blurs_it_moves_evenly_where_fid_starts_late():
    """A blur that halves the finest details is seen at once; FID of the starter's features notices late."""
    from trilemma.models.files import catalog
    from trilemma.models.scoring.evaluation import score
    from trilemma.models.scoring.extractors.base import eight_bit
    from trilemma.models.scoring.extractors.loading import EXTRACTORS
    from trilemma.models.scoring.features.extraction import Named, accumulate

    starter = EXTRACTORS.load(catalog.starter_folder("extractor", "starter emoji classifier"))
    images, reference = noise(64, 32, 2, 3), noise(64, 32, 2, 4)

    def taken(pictures, name):
        named = (Named(f"{name} {place}", place, each) for place, each in enumerate(eight_bit(pictures)))
        return accumulate(starter, named, (starter.main,), name, 64)

    real = taken(reference, "real")
    sweep = [blurred(images, sigma) if sigma else images for sigma in (0, 0.4, 0.6, 0.9, 1.3)]
    found = [sharpness(each, reference) for each in sweep]
    fids = [score(taken(each.clamp(0, 1), f"{place}"), real).value("fid") for place, each in enumerate(sweep)]
    assert abs(found[0].lost) < 0.05
    assert [each.lost for each in found] == sorted(each.lost for each in found)
    assert [each.slope for each in found] == sorted((each.slope for each in found), reverse=True)
    # Half of the finest details are gone, and the distance has grown by a fiftieth of what the last blur adds.
    assert found[1].lost > 0.4
    assert fids[1] - fids[0] < 0.05 * (fids[4] - fids[0])


def test_what_has_no_spectrum_is_refused():
    with pytest.raises(BadInput, match="one size"):
        sharpness(noise(side=32), noise(side=64))
    with pytest.raises(BadInput, match="16 pixels or more"):
        spectrum(torch.zeros(1, 8, 40, 3))
    with pytest.raises(BadInput, match="one colour"):
        sharpness(noise(), torch.ones(2, 64, 64, 3))
    flat = sharpness(torch.ones(2, 64, 64, 3), noise())
    assert flat.lost == pytest.approx(1)
    assert [each.metric for each in as_scores(flat)] == ["spectral_slope", "high_frequencies_lost"]
    # What has no power falls by no slope; one of 0 would stand before all others.
    assert math.isnan(flat.slope) and as_scores(flat)[0].note == "the images are all of one colour"
    assert describe(flat).splitlines()[:2] == [
        "the images are softer than the reference",
        "spectral slope: none, the images are all of one colour",
    ]


def test_rounding_is_neither_softer_nor_sharper():
    assert describe(sharpness(noise().half(), noise())).startswith("the images are as sharp as the reference")


@pytest.mark.parametrize(
    ("spoilt", "message"),
    [
        (torch.full((2, 64, 64, 3), math.nan), "NaN or infinite"),
        (torch.zeros(2, 64, 64, 1), "expected images of shape"),
        (torch.zeros(64, 64, 3), "expected images of shape"),
        (torch.zeros(0, 64, 64, 3), "empty"),
    ],
)
def test_what_is_no_batch_of_images_is_named_on_either_side(spoilt, message):
    with pytest.raises(BadInput, match=f"images: .*{message}"):
        sharpness(spoilt, noise())
    with pytest.raises(BadInput, match=f"reference: .*{message}"):
        sharpness(noise(), spoilt)
