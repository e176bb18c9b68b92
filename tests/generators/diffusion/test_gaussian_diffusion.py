"""The spaced diffusion process: against the numbers of guided diffusion and of GLIDE."""

import numpy as np
import pytest
import torch
from trilemma.models.errors import BadInput
from trilemma.models.generators.diffusion import gaussian_diffusion
from trilemma.models.generators.diffusion.gaussian_diffusion import COSINE, LINEAR, GaussianDiffusion, spaced
from trilemma.tests import reference_kit
from trilemma.tests.closeness import assert_close

CASES = [
    ("guided_diffusion", "golden_small_a", "ddim25", COSINE),
    ("glide", "golden_small_base", "100", COSINE),
    ("glide", "golden_small_upsample", "fast27", LINEAR),
]


def process(schedule, steps, clip=True):
    return GaussianDiffusion(gaussian_diffusion.trained_betas(schedule), spaced(steps), clip)


@pytest.mark.parametrize(("system", "name", "steps", "schedule"), CASES)
def test_steps_and_their_betas_are_the_references(system, name, steps, schedule):
    row = reference_kit.case(system, name)
    inputs, golden = reference_kit.inputs(row), reference_kit.golden(row)
    made = process(schedule, steps)
    times = inputs["ddim25_timesteps" if steps == "ddim25" else f"timesteps_{steps}"]
    assert list(made.times) == times.tolist()
    expected = golden["ddim25_betas" if steps == "ddim25" else f"betas_{steps}"]
    np.testing.assert_allclose(made.betas.numpy(), expected, rtol=1e-9 if expected.dtype == np.float64 else 1e-6)


def test_betas_of_the_training_are_the_references():
    expected = reference_kit.golden(reference_kit.case("guided_diffusion", "golden_small_a"))["betas"]
    np.testing.assert_allclose(gaussian_diffusion.trained_betas(COSINE).numpy(), expected, rtol=1e-9)
    linear = gaussian_diffusion.trained_betas(LINEAR)
    assert_close(linear[[0, -1]], torch.tensor([1e-4, 0.02], dtype=torch.float64))


def test_answers_are_the_references():
    """Means and foreseen pictures of the first sample, of which the kit holds the same places as of its outputs."""
    row = reference_kit.case("guided_diffusion", "golden_small_a")
    inputs = {key: torch.from_numpy(np.asarray(value)) for key, value in reference_kit.inputs(row).items()}
    # Every seventh number is stored, of outputs [2, 6, 64, 64] and answers [2, 3, 64, 64]; no place has a variance too.
    with np.load(reference_kit.KIT / row["golden_dev"]) as stored:
        outputs = torch.full((2 * 6 * 64 * 64,), torch.nan)
        outputs[::7] = torch.from_numpy(stored["out.model_out.sub"])
        expected = {name: torch.from_numpy(stored[f"out.{name}.sub"]) for name in ("p_mean", "pred_xstart")}
    found = process(COSINE, "1000").foresee(outputs.reshape(2, 6, 64, 64), inputs["x"], inputs["t"])
    for name, values in (("p_mean", found.mean), ("pred_xstart", found.clean)):
        known = values.flatten()[::7]
        there = ~known.isnan()
        assert there.sum() > 1000
        assert_close(known[there], expected[name][there])


def test_steps_without_fresh_noise_are_those_of_one_picture():
    """A network that knows the picture comes to it, by each kind of step, and from every respacing."""
    picture = torch.rand(2, 3, 4, 4, generator=torch.Generator().manual_seed(0)) * 2 - 1
    start = torch.randn(2, 3, 4, 4, generator=torch.Generator().manual_seed(1))
    for steps, ancestral in (("ddim25", False), ("10", True), ("1", True), ("fast27", False)):
        made = process(LINEAR, steps)

        def knowing(noised, time, made=made):
            return torch.cat([made.noise(noised, picture, made.times.index(int(time[0]))), noised], dim=1)

        told = []
        found = made.denoise(
            knowing,
            start,
            [torch.Generator().manual_seed(seed) for seed in (0, 1)],
            lambda calls, preview, told=told: told.append(calls),
            ancestral,
        )
        assert told == [*range(1, len(made.times) + 1)]
        assert_close(found, picture)


def test_what_is_known_is_put_in_before_clipping():
    made = process(LINEAR, "10")
    found = made.foresee(torch.zeros(1, 6, 2, 2), torch.ones(1, 3, 2, 2), 5, lambda clean: torch.full_like(clean, 7))
    assert_close(found.clean, torch.ones(1, 3, 2, 2))


def test_variance_lies_between_the_posterior_and_beta():
    made = process(LINEAR, "10")
    for share, table in ((-1.0, "_least"), (1.0, "_most")):
        output = torch.cat([torch.zeros(1, 3, 2, 2), torch.full((1, 3, 2, 2), share)], dim=1)
        found = made.foresee(output, torch.zeros(1, 3, 2, 2), 4).log_variance
        assert_close(found, getattr(made, table)[4].float().expand(1, 3, 2, 2))


@pytest.mark.parametrize("steps", ["1001", "0", "ddim999", "600,10"])
def test_steps_that_the_training_has_not_are_refused(steps):
    with pytest.raises(BadInput, match="steps"):
        spaced(steps)
