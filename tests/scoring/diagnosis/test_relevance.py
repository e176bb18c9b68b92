"""Relevance of latent numbers: ARD-VAE's own numbers, and slopes of real decoders."""

import json

import numpy as np
import pytest
import torch
from trilemma.models.generators.base import Posterior
from trilemma.models.generators.loading import load_generator
from trilemma.models.generators.vae import conv_vae
from trilemma.models.scoring.diagnosis.relevance import (
    IMAGES,
    Moments,
    Relevance,
    passes,
    slopes,
    slopes_bytes,
    strength,
)
from trilemma.models.steps import quiet
from trilemma.tests import reference_kit
from trilemma.tests.closeness import assert_close
from trilemma.tests.peak_memory import peak_bytes

CASES = json.loads((reference_kit.KIT / "ard_vae" / "golden_dev.json").read_text())["cases"]


def scales(case):
    """Of each axis: of the means, of the log variances, of the slopes, as the kit's NOTES.md has them."""
    kind, count = case["kind"], case["L"]
    i = np.arange(count)
    inside = i < case.get("k", 0)
    return {
        "clean": (np.where(inside, 1, 0.02), np.where(inside, -3, -6), np.where(inside, 1, 0.05)),
        "decay": (np.exp(-0.25 * i), np.full(count, -4), np.exp(-0.1 * i)),
        "collapse": (np.where(inside, 1.5, 0.001), np.where(inside, -2, 0), np.where(inside, 1, 1e-4)),
        "one": (np.where(i == 0, 10, 0.01), np.full(count, -6), np.where(i == 0, 1, 0.01)),
        "flat": (np.ones(count), np.full(count, -3), np.ones(count)),
        "variance_only": (np.where(i % 2, 0.3, 3), np.full(count, -3), np.where(i % 2, 1, 0.01)),
    }[kind]


def made(golden):
    """Means, log variances [N, L], and slopes [100, 40, L] of a case."""
    case, random = golden["case"], np.random.default_rng(golden["seed"])
    count, size = golden["N"], case["L"]
    mean, slope = random.standard_normal((count, size)), random.standard_normal((100, golden["D"], size))
    log_variance, order = 0.1 * random.standard_normal((count, size)), random.permutation(size)
    scale, base, heeded = (each[order] for each in scales(case))
    mean, log_variance = mean * scale + 0.2 * case.get("shift", 0), base + log_variance
    slope = slope * heeded
    found = [mean.sum(), log_variance.sum(), np.abs(slope).sum()]
    np.testing.assert_allclose(found, golden["checksum"], rtol=1e-9)
    return (torch.from_numpy(each) for each in (mean, log_variance, slope))


@pytest.mark.parametrize("golden", CASES, ids=lambda golden: golden["case"]["name"])
def test_the_numbers_are_the_authors(golden):
    mean, log_variance, jacobian = made(golden)
    slope = strength(jacobian)
    np.testing.assert_allclose(slope, golden["grad_norm"], rtol=1e-9)
    moments = Moments()
    zeros = torch.zeros_like(mean)
    for part in range(0, len(mean), 300):
        rows = slice(part, part + 300)
        moments.add(Posterior(mean[rows], log_variance[rows], zeros[rows], zeros[rows]))
    np.testing.assert_allclose(moments.moment, golden["est_var_closed_form_mean2_plus_sigma2"], rtol=1e-9)
    # Of the authors' own draws from the posteriors.
    theirs = Relevance(torch.tensor(golden["est_var"], dtype=torch.float64), slope)
    percent = golden["case"]["perc"]
    np.testing.assert_allclose(theirs.values, golden["relevance"], rtol=1e-9)
    np.testing.assert_allclose(theirs.shares, golden["cumulative_percent"], rtol=1e-9)
    assert theirs.count(percent) == golden["n_relevant"]
    assert theirs.relevant(percent) == golden["relevant_axes"]


@pytest.fixture(scope="module")
def generator(tmp_path_factory):
    return load_generator(conv_vae.FAMILY.tiny(tmp_path_factory.mktemp("vae")))


@pytest.mark.slow
@pytest.mark.parametrize("inference", [False, True])
def test_slopes_are_those_of_the_decoder(generator, inference):
    """By reverse derivatives, value by value; also in a graph's inference mode."""
    shape = generator.descriptor.latent_shape
    steps = []

    def on_step(done, preview=None):
        steps.append(done)

    with torch.inference_mode(inference):
        latents = torch.randn(2, *shape, generator=torch.Generator().manual_seed(3))
        found = slopes(generator, latents, on_step)
    assert steps == list(range(1, passes(generator) + 1))
    (network,) = generator.modules
    each = [
        torch.autograd.functional.jacobian(lambda z: network.pictures(z[None]).flatten(), row.clone())
        for row in latents.clone()
    ]
    expected = torch.stack(each).flatten(2).double().abs().mean(0).square().sum(0)
    assert_close(found, expected, 1e-4)


@pytest.mark.slow
def test_memory_is_no_more_than_was_foreseen(generator):
    latents = torch.randn(IMAGES, *generator.descriptor.latent_shape)
    peak = peak_bytes(lambda: slopes(generator, latents, quiet))
    assert 0.4 * slopes_bytes(generator) < peak <= slopes_bytes(generator)


def test_latents_of_the_first_images_are_kept():
    moments = Moments()
    for count in (3, IMAGES):
        mean = torch.arange(count * 2.0).reshape(count, 2)
        moments.add(Posterior(mean, torch.full_like(mean, -30), torch.zeros_like(mean), torch.zeros_like(mean)))
    assert moments.latents.shape == (IMAGES, 2)
    assert_close(moments.latents[:3], torch.arange(6.0).reshape(3, 2), 1e-5)
