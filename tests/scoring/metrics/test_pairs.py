"""Pairs of images: broadcast, what is too small, what is wrong, and the library's own numbers."""

import json
import math

import pytest
import torch
from trilemma.models.errors import BadInput
from trilemma.models.scoring.metrics import pairs, ssim
from trilemma.models.scoring.reports import pairs_report
from trilemma.models.scoring.reports.difference import difference_map
from trilemma.tests.peak_memory import peak_bytes

pytestmark = pytest.mark.slow


def pictures(count=1, height=40, width=48, channels=3, seed=0):
    return torch.rand(count, height, width, channels, generator=torch.Generator().manual_seed(seed))


def compared(reference, image, **options):
    return pairs.compare(pairs.match_pairs(reference, image), **options)


def test_known_errors_have_known_psnr():
    reference = torch.full((1, 8, 8, 3), 0.5)
    comparison = compared(reference, torch.cat([reference + 0.1, reference - 0.01]))
    assert comparison.values["psnr"] == pytest.approx((20, 40), abs=1e-4)
    assert comparison.mean("psnr") == pytest.approx(30, abs=1e-4)


def test_the_same_images_are_perfect():
    comparison = compared(pictures(height=176, width=180), pictures(height=176, width=180))
    assert comparison.values["psnr"] == (math.inf,)
    assert comparison.values["ssim"] == comparison.values["ms_ssim"] == (1.0,)
    assert comparison.identical == (True,)
    assert "PSNR infinite (identical)" in pairs_report.describe(comparison)
    image = json.loads(pairs_report.to_json(comparison))["images"][0]
    assert image == {"image": 0, "identical": True, "psnr": None, "ssim": 1.0, "ms_ssim": 1.0, "lpips": None}


@pytest.mark.parametrize("grey", [0.37, 0.1, 0.999])
def test_an_even_ground_is_like_itself_too(grey):
    """In float32 its variance is off by more than SSIM's constant, and an even picture would be 0.9999 like itself."""
    even = torch.full((1, 180, 176, 3), grey)
    comparison = compared(even, even)
    for metric in ("ssim", "ms_ssim"):
        assert comparison.values[metric] == (1.0,)
    other = compared(even, even * 0.9)
    means = grey * grey * 0.9, grey * grey * (1 + 0.81)
    assert other.mean("ssim") == pytest.approx((2 * means[0] + 1e-4) / (means[1] + 1e-4), abs=1e-6)


def test_structure_counts_where_noise_of_the_same_energy_does_not():
    """SSIM forgives a change of brightness that PSNR sees as much as noise."""
    reference = pictures(height=64, width=64) * 0.5 + 0.2
    noise = torch.randn(reference.shape, generator=torch.Generator().manual_seed(1)) * 0.05
    brighter, noisy = compared(reference, reference + noise.std()), compared(reference, reference + noise)
    assert brighter.mean("psnr") == pytest.approx(noisy.mean("psnr"), abs=0.1)
    assert brighter.mean("ssim") > noisy.mean("ssim") + 0.005


def test_numbers_are_the_librarys_for_whole_batches():
    functional = pytest.importorskip("torchmetrics.functional.image")
    reference, image = pictures(3, 176, 190), pictures(3, 176, 190, seed=1)
    comparison = compared(reference, image)
    first, second = reference.movedim(-1, 1), image.movedim(-1, 1)
    settings = {"data_range": 1.0, "reduction": "none"}
    ssim = functional.structural_similarity_index_measure(second, first, **settings)
    ms_ssim = functional.multiscale_structural_similarity_index_measure(second, first, **settings)
    psnr = functional.peak_signal_noise_ratio(second, first, dim=(1, 2, 3), **settings)
    for metric, expected in (("psnr", psnr), ("ssim", ssim), ("ms_ssim", ms_ssim)):
        assert comparison.values[metric] == pytest.approx(expected.tolist(), abs=1e-5), metric


@pytest.mark.parametrize("strip", [1, 1000, ssim.STRIP])
@pytest.mark.parametrize(("height", "width"), [(176, 211), (240, 177)])
def test_similarity_is_the_librarys_strip_by_strip(height, width, strip, monkeypatch):
    functional = pytest.importorskip("torchmetrics.functional.image")
    monkeypatch.setattr(ssim, "STRIP", strip)
    reference = pictures(1, height, width)[0].movedim(-1, 0)
    image = (reference * 0.8 + 0.2 * pictures(1, height, width, seed=1)[0].movedim(-1, 0)).clamp(0, 1)
    pair = image[None].double(), reference[None].double()
    expected = functional.structural_similarity_index_measure(*pair, data_range=1.0)
    assert ssim.ssim(reference, image) == pytest.approx(float(expected), abs=1e-10)
    expected = functional.multiscale_structural_similarity_index_measure(*pair, data_range=1.0)
    # The library holds the exponents in float32.
    assert ssim.ms_ssim(reference, image) == pytest.approx(float(expected), abs=1e-8)


@pytest.mark.parametrize("side", [6, 7, 11, 12])
def test_similarity_of_the_smallest_is_the_librarys(side):
    functional = pytest.importorskip("torchmetrics.functional.image")
    reference, image = (pictures(1, side, side + 3, seed=seed)[0].movedim(-1, 0) for seed in (0, 1))
    expected = functional.structural_similarity_index_measure(
        image[None].double(), reference[None].double(), data_range=1.0
    )
    assert ssim.ssim(reference, image) == pytest.approx(float(expected), abs=1e-10)


def test_opposite_pictures_have_no_similarity_of_scales():
    functional = pytest.importorskip("torchmetrics.functional.image")
    reference = pictures(1, 176, 176)[0].movedim(-1, 0)
    expected = functional.multiscale_structural_similarity_index_measure(
        1 - reference[None].double(), reference[None].double(), data_range=1.0
    )
    assert ssim.ms_ssim(reference, 1 - reference) == float(expected) == 0


def test_memory_of_similarity_hardly_grows_with_the_picture():
    reference, image = (pictures(1, 1024, 1024, seed=seed)[0].movedim(-1, 0) for seed in (0, 1))
    assert peak_bytes(lambda: ssim.ms_ssim(reference, image)) < 150_000_000


def test_scores_do_not_depend_on_the_batch():
    reference, image = pictures(3), pictures(3, seed=1)
    together = compared(reference, image)
    alone = [compared(reference[[i]], image[[i]]) for i in range(3)]
    for metric in ("psnr", "ssim"):
        assert together.values[metric] == tuple(one.values[metric][0] for one in alone)


@pytest.mark.parametrize(("first", "second"), [(1, 3), (3, 1), (3, 3)])
def test_one_image_serves_all(first, second):
    comparison = compared(pictures(first), pictures(second, seed=1))
    assert len(comparison.values["psnr"]) == len(comparison.identical) == 3
    assert len(json.loads(pairs_report.to_json(comparison))["images"]) == 3


def test_alpha_is_ignored_and_values_are_clamped():
    reference, image = pictures(), pictures(seed=1)
    with_alpha = torch.cat([image, torch.zeros(1, 40, 48, 1)], dim=-1)
    assert compared(reference, with_alpha) == compared(reference, image)
    assert compared(reference.new_ones(1, 8, 8, 3), torch.full((1, 8, 8, 3), 1.5)).identical == (True,)


def test_half_precision_is_compared_as_float32():
    half = pictures().half()
    assert compared(half, half.float()).identical == (True,)


@pytest.mark.parametrize(
    ("side", "left_out"), [(176, {"lpips"}), (175, {"ms_ssim", "lpips"}), (5, {"ssim", "ms_ssim", "lpips"})]
)
def test_what_a_picture_is_too_small_for_is_left_out_with_the_reason(side, left_out):
    comparison = compared(pictures(height=side, width=200), pictures(height=side, width=200, seed=1))
    missing = {metric for metric, values in comparison.values.items() if math.isnan(values[0])}
    assert missing == comparison.reasons.keys() == left_out
    report = pairs_report.describe(comparison)
    for metric in left_out - {"lpips"}:
        assert f"found 200 x {side}" in comparison.reasons[metric]
        assert comparison.reasons[metric] in report
        assert json.loads(pairs_report.to_json(comparison))["images"][0][metric] is None


def test_the_library_itself_takes_no_smaller_pictures():
    functional = pytest.importorskip("torchmetrics.functional.image")
    taken = (
        (functional.structural_similarity_index_measure, pairs.SSIM_SIDE),
        (functional.multiscale_structural_similarity_index_measure, pairs.MS_SSIM_SIDE),
    )
    for measure, side in taken:
        small = torch.rand(1, 3, side - 1, 200)
        with pytest.raises((ValueError, RuntimeError)):
            measure(small, small, data_range=1.0)


@pytest.mark.parametrize(
    ("reference", "image", "said"),
    [
        (pictures(), pictures(width=47), "reference of 48 x 40 and image of 47 x 40 pixels cannot be compared"),
        (pictures(2), pictures(3), "3 images for 2 of reference"),
        (pictures() * math.nan, pictures(), "reference: image 0 of the batch holds NaN"),
        (pictures(), pictures(0), "is empty"),
        (pictures(), pictures(channels=1), "expected images of shape"),
        (pictures(), pictures()[0], "expected images of shape"),
    ],
    ids=["sizes", "numbers", "NaN", "empty", "grey", "no batch"],
)
def test_bad_pairs_are_refused(reference, image, said):
    with pytest.raises(BadInput, match=said):
        pairs.match_pairs(reference, image)


def test_scores_carry_spread_and_reasons():
    reference = torch.full((1, 8, 8, 3), 0.5)
    scores = {s.metric: s for s in pairs.as_scores(compared(reference, torch.cat([reference + 0.1, reference - 0.01])))}
    assert scores["psnr"].spread == pytest.approx(200**0.5, abs=1e-3)
    assert math.isnan(scores["ms_ssim"].value) and "176" in scores["ms_ssim"].note
    (psnr, *_) = pairs.as_scores(compared(reference, reference))
    assert psnr.value == math.inf and "identical" in psnr.note


def test_lpips_is_taken_by_the_network_that_is_given():
    comparison = compared(pictures(2), pictures(2, seed=1), lpips=lambda a, b: float((a - b).abs().mean()))
    assert "lpips" not in comparison.reasons
    expected = (pictures(2) - pictures(2, seed=1)).abs().mean(dim=(1, 2, 3)).tolist()
    assert comparison.values["lpips"] == pytest.approx(expected)
    small = compared(pictures(), pictures(), lpips=lambda a, b: 0.0, lpips_side=64)
    assert "64 x 64" in small.reasons["lpips"]


def test_the_difference_map_brightens_with_the_difference():
    reference = torch.zeros(1, 1, 5, 3)
    image = torch.tensor([0, 0.1, 0.2, 0.3, 0.9])[None, None, :, None].expand(1, 1, 5, 3)
    shown = difference_map(pairs.match_pairs(reference, image), gain=2.0)
    luma = (shown * torch.tensor([0.2126, 0.7152, 0.0722])).sum(dim=-1)[0, 0]
    assert shown.shape == (1, 1, 5, 3)
    assert bool((luma.diff() > 0.02).all())
    assert shown[0, 0, 0].tolist() == pytest.approx([0, 0, 4 / 255])
    assert shown[0, 0, 4].tolist() == pytest.approx([252 / 255, 1, 164 / 255])
