"""Every sampler leads from noise to what a perfect network foresees, and counts its calls."""

import pytest
import torch
from trilemma.models.diffusion import samplers, sampling
from trilemma.models.errors import BadInput, CannotDo
from trilemma.models.generators.options import OPTIONS
from trilemma.tests.closeness import assert_close

pytestmark = pytest.mark.slow

CONFIG = {"_class_name": "DDIMScheduler", "beta_schedule": "squaredcos_cap_v2", "clip_sample": False}
TARGET = torch.linspace(-0.9, 0.9, 2 * 3 * 4 * 4).reshape(2, 3, 4, 4)


def perfect(scheduler, prediction: str, target: torch.Tensor = TARGET) -> sampling.Predict:
    """What a network answers that knows the only picture there is (Salimans and Ho, 2022, appendix D)."""

    def predict(latents, time):
        alpha = scheduler.alphas_cumprod[int(time)]
        noise = (latents - alpha.sqrt() * target) / (1 - alpha).sqrt()
        return noise if prediction == "epsilon" else alpha.sqrt() * noise - (1 - alpha).sqrt() * target

    return predict


def nothing(calls: int, foreseen: torch.Tensor | None) -> None:
    pass


def run(config, sampler=samplers.OWN, steps=8, eta=0.0, scale=None, report=nothing):
    schedule = samplers.schedule(config, sampler, steps, eta)
    generators = [torch.Generator().manual_seed(seed) for seed in (0, 1)]
    noise = torch.stack([torch.randn(3, 4, 4, generator=generator) for generator in generators])
    targets = TARGET if scale is None else torch.cat([torch.zeros_like(TARGET), TARGET])
    predict = perfect(schedule.scheduler, config["prediction_type"], targets)
    if scale is not None:
        predict = sampling.guided(predict, scale)
    return sampling.denoise(predict, schedule, schedule.start(noise), generators, report, eta)


@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction"])
@pytest.mark.parametrize("schedule", ["linear", "squaredcos_cap_v2"])
@pytest.mark.parametrize(("sampler", "eta"), [*((name, 0.0) for name in samplers.SAMPLERS), ("DDIM", 1.0)])
def test_a_perfect_network_is_followed_to_its_picture(prediction, schedule, sampler, eta):
    config = {**CONFIG, "beta_schedule": schedule, "prediction_type": prediction}
    found = run(config, sampler, eta=eta)
    assert torch.allclose(found, TARGET, atol=0.02)


def test_guidance_leads_away_from_the_other_picture():
    """Away from a picture of zeros, by half of the way: the noise that is left makes it no exact 1.5."""
    config = {**CONFIG, "beta_schedule": "linear", "prediction_type": "v_prediction"}
    found = run(config, steps=1, scale=1.5)
    assert torch.allclose(found, 1.5 * TARGET, atol=0.02)


@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction", "sample"])
def test_losses_move_what_is_foreseen_by_their_derivative(prediction):
    """Dhariwal and Nichol, algorithm 2: the noise by sqrt(1 - a) times it, whatever the network foresees; it is by
    finite differences through the network."""
    schedule = samplers.schedule({**CONFIG, "prediction_type": prediction}, samplers.OWN, 8)
    scheduler, time = schedule.scheduler, schedule.times[3]
    random = torch.Generator().manual_seed(0)
    noised, way, mix = (torch.randn(2, 3, 4, 4, generator=random, dtype=torch.float64) for _ in range(3))

    def predict(latents, time):
        return torch.tanh(latents * mix) + 0.3 * latents

    def losses(clean):
        return (clean - mix).square().flatten(1).mean(dim=1)

    def foreseen(network, latents):
        return samplers.foresee(scheduler, network(latents, time), time, latents)

    steered = sampling.steered(predict, scheduler, losses)
    alpha = scheduler.alphas_cumprod[int(time)].double()
    change = foreseen(steered, noised) - foreseen(predict, noised)
    derivative = -change * alpha.sqrt() / (1 - alpha)
    step = 1e-6
    ahead, behind = (losses(foreseen(predict, noised + side * step * way)) for side in (1, -1))
    torch.testing.assert_close((derivative * way).flatten(1).sum(dim=1), (ahead - behind) / (2 * step))


def test_where_no_signal_is_left_nothing_is_moved():
    """Zero terminal SNR, where the factor would be infinite, and hardly any signal."""
    settings = {"prediction_type": "v_prediction", "rescale_betas_zero_snr": True, "timestep_spacing": "trailing"}
    schedule = samplers.schedule({**CONFIG, "beta_schedule": "scaled_linear", **settings}, samplers.OWN, 16)
    time = schedule.times[0]
    assert schedule.scheduler.alphas_cumprod[int(time)] == 0

    def predict(latents, time):
        return 0.3 * latents

    steered = sampling.steered(predict, schedule.scheduler, lambda clean: clean.square().sum(dim=(1, 2, 3)))
    assert torch.equal(steered(TARGET, time), predict(TARGET, time))
    assert 0 < schedule.scheduler.alphas_cumprod[int(schedule.times[1])] < sampling.CLEAR
    assert torch.equal(steered(TARGET, schedule.times[1]), predict(TARGET, schedule.times[1]))
    later = schedule.times[2]
    assert not torch.equal(steered(TARGET, later), predict(TARGET, later))


def test_variances_stay_as_they_are():
    """Of networks that give them beside the noise, as guided diffusion's do."""
    schedule = samplers.schedule({**CONFIG, "prediction_type": "epsilon"}, samplers.OWN, 8)

    def predict(latents, time):
        return torch.cat([0.3 * latents, 0.1 * latents], dim=1)

    steered = sampling.steered(predict, schedule.scheduler, lambda clean: clean.square().sum(dim=(1, 2, 3)))
    found, plain = steered(TARGET, schedule.times[3]), predict(TARGET, schedule.times[3])
    assert torch.equal(found[:, 3:], plain[:, 3:]) and not torch.equal(found[:, :3], plain[:, :3])


@torch.inference_mode()
def test_losses_that_are_none_change_nothing():
    schedule = samplers.schedule({**CONFIG, "prediction_type": "epsilon"}, samplers.OWN, 8)
    predict = perfect(schedule.scheduler, "epsilon")
    steered = sampling.steered(predict, schedule.scheduler, lambda clean: 0 * clean.sum(dim=(1, 2, 3)))
    noised = torch.randn(2, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    assert torch.equal(steered(noised, schedule.times[2]), predict(noised, schedule.times[2]))


def two_classes(scheduler) -> sampling.Predict:
    """The exact noise of samples from two pictures, TARGET and its negative, and of those of TARGET alone.

    The first half of a batch is asked without a class: the pictures' posterior mean, by their Gaussian likelihoods.
    """

    def predict(latents, time):
        alpha = scheduler.alphas_cumprod[int(time)]
        half_odds = alpha.sqrt() / (1 - alpha) * (latents * TARGET[:1]).sum(dim=(1, 2, 3), keepdim=True)
        mean = torch.where(torch.arange(len(latents))[:, None, None, None] < len(latents) // 2, half_odds.tanh(), 1.0)
        return (latents - alpha.sqrt() * mean * TARGET[:1]) / (1 - alpha).sqrt()

    return predict


@pytest.mark.parametrize("steps", [10, 20, 50, 100, 250])
@pytest.mark.parametrize("sampler", samplers.SAMPLERS)
def test_more_steps_under_guidance_do_not_lead_astray(sampler, steps):
    """Every sampler ends in the class that was asked for, however many its steps; those that clip, at its picture."""
    config = {"_class_name": "DDIMScheduler", "beta_schedule": "squaredcos_cap_v2", "timestep_spacing": "trailing"}
    schedule = samplers.schedule(config, sampler, steps)
    generators = [torch.Generator().manual_seed(seed) for seed in range(16)]
    noise = torch.stack([torch.randn(3, 4, 4, generator=generator) for generator in generators])
    predict = sampling.guided(two_classes(schedule.scheduler), 2.0)
    found = sampling.denoise(predict, schedule, schedule.start(noise), generators, nothing, guided=True)
    assert bool(((found * TARGET[:1]).mean(dim=(1, 2, 3)) > 0).all())
    if schedule.scheduler.config.get("clip_sample"):
        assert_close(found, TARGET[:1].expand_as(found), 0.05)


@pytest.mark.parametrize("sampler", ["DDPM", "DDIM"])
def test_only_models_that_ask_for_it_are_clipped(sampler):
    """By default these two clip; a model whose own sampler cannot was not made for it."""
    for own, clips in (("PNDMScheduler", False), ("EulerDiscreteScheduler", False), ("DDPMScheduler", True)):
        assert samplers.schedule({"_class_name": own}, sampler, 8).scheduler.config.clip_sample is clips
    told = {"_class_name": "DDPMScheduler", "clip_sample": False}
    assert samplers.schedule(told, sampler, 8).scheduler.config.clip_sample is False


@pytest.mark.parametrize("steps", [350, 501, 600, 700])
def test_steps_that_begin_in_the_middle_are_refused(steps):
    config = {**CONFIG, "timestep_spacing": "leading"}
    with pytest.raises(BadInput, match=f"steps: {steps} of the 1000 .*'leading'.* Take (500|333) steps.*trailing"):
        samplers.schedule(config, samplers.OWN, steps)
    assert float(samplers.schedule(config, samplers.OWN, steps, spacing="trailing").times[0]) == 999


def test_the_steps_that_are_advised_begin_as_they_should():
    """DPM-Solver++ rounds otherwise: 1,000 steps of 1,000 would all be the first."""
    config = {**CONFIG, "timestep_spacing": "leading"}
    with pytest.raises(BadInput, match=r"begin at step 0, .* Take 999 steps"):
        samplers.schedule(config, "DPM-Solver++ 2M", 1000)
    assert float(samplers.schedule(config, "DPM-Solver++ 2M", 999).times[0]) == 999


@pytest.mark.parametrize("steps", [1, 2, 5, 10, 50, 100, 250, 300, 400])
@pytest.mark.parametrize("sampler", [*samplers.SAMPLERS])
def test_usual_steps_begin_as_published(sampler, steps):
    config = {**CONFIG, "timestep_spacing": "leading"}
    assert len(samplers.schedule(config, sampler, steps).times) == steps


def test_the_public_names_are_the_options_choices():
    assert OPTIONS["diffusion"]["sampler"].choices == samplers.NAMES
    assert set(samplers.NAMES) >= {"model's own", "DDPM", "DDIM", "Euler", "Euler ancestral", "DPM-Solver++ 2M"}
    assert set(samplers.DETERMINISTIC) < set(samplers.SAMPLERS) < set(samplers.NAMES)
    assert set(samplers.SAMPLERS.values()) < set(samplers.SUPPORTED)
    assert samplers.own_sampler(CONFIG) == "DDIM"
    assert samplers.own_sampler({"_class_name": "PNDMScheduler"}) == samplers.OWN


@pytest.mark.parametrize("own", ["PNDMScheduler", "HeunDiscreteScheduler", "DDIMScheduler"])
def test_network_calls_are_counted_and_reported(own):
    config = {**CONFIG, "_class_name": own, "prediction_type": "epsilon", "beta_schedule": "linear"}
    done = []

    def report(calls, foreseen):
        done.append(calls)
        if foreseen is not None:
            assert torch.allclose(foreseen, 2 * TARGET[:1], atol=0.6)

    run(config, scale=2.0, report=report)
    assert done == list(range(1, len(samplers.schedule(config, samplers.OWN, 8).times) + 1))
    assert len(done) == {"PNDMScheduler": 17, "HeunDiscreteScheduler": 15, "DDIMScheduler": 8}[own]


def test_previews_stay_few_in_long_runs():
    config = {**CONFIG, "prediction_type": "epsilon"}
    shown = []
    run(config, steps=400, report=lambda calls, foreseen: shown.append(foreseen is not None))
    assert sum(shown) == sampling.MOST_PREVIEWS


@pytest.mark.parametrize("sampler", samplers.SAMPLERS)
@pytest.mark.parametrize("strength", [1.0, 0.5])
def test_samples_draw_from_their_own_generators(sampler, strength):
    """Row 1 of a batch is the row that its generator gives alone, and only stochastic samplers draw."""
    config = {**CONFIG, "prediction_type": "epsilon"}
    start = torch.randn(2, 3, 4, 4, generator=torch.Generator().manual_seed(5))

    def end(rows):
        schedule = samplers.schedule(config, sampler, 6, strength=strength)
        generators = [torch.Generator().manual_seed(seed) for seed in (0, 1)][rows]
        before = [generator.get_state() for generator in generators]
        latents = schedule.start(start[rows], TARGET[rows] if strength < 1 else None)
        found = sampling.denoise(lambda latents, time: latents.tanh(), schedule, latents, generators, nothing)
        still = all(map(torch.equal, before, [generator.get_state() for generator in generators]))
        assert still == (sampler in samplers.DETERMINISTIC)
        assert len(schedule.times) == 6 * strength
        return found

    assert_close(end(slice(1, 2)), end(slice(0, 2))[1:])


def test_a_model_has_its_say_after_each_call():
    schedule = samplers.schedule({**CONFIG, "prediction_type": "epsilon"}, "DDIM", 4)
    noise = torch.randn(2, 3, 4, 4)
    seen = []

    def after(latents, calls):
        seen.append(calls)
        return schedule.noised(TARGET, noise, calls)

    generators = [torch.Generator(), torch.Generator()]
    found = sampling.denoise(lambda x, time: x, schedule, schedule.start(noise), generators, nothing, after=after)
    assert seen == [1, 2, 3, 4]
    assert torch.equal(found, TARGET)


@pytest.mark.parametrize(
    ("settings", "error", "words"),
    [
        ({"steps": 0}, BadInput, "steps: 0"),
        ({"steps": 1001}, BadInput, "steps: 1001 is more than the model was trained with, 1000"),
        ({"strength": 0.0}, BadInput, "strength: 0"),
        ({"strength": 1.5}, BadInput, "strength: 1.5"),
        ({"steps": 4, "strength": 0.2}, BadInput, "leaves none to run; raise strength to 0.25"),
        ({"sampler": "Euler ancestral", "eta": 0.5}, CannotDo, "Euler ancestral has none; set it to 0, or sampler to"),
        ({"sampler": "DDPM", "eta": 0.5}, CannotDo, "DDPM has none"),
    ],
)
def test_settings_that_do_not_go_together(settings, error, words):
    with pytest.raises(error, match=words):
        samplers.schedule(CONFIG, **{"sampler": samplers.OWN, "steps": 8, **settings})
