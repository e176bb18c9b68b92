"""Every sampler leads from noise to what a perfect network foresees, and counts its calls."""

import pytest
import torch
from trilemma.models.diffusion import sampling as sampling
from trilemma.models.generators.options import OPTIONS, OWN

CONFIG = {"_class_name": "DDIMScheduler", "beta_schedule": "squaredcos_cap_v2", "clip_sample": False}
TARGET = torch.linspace(-0.9, 0.9, 2 * 3 * 4 * 4).reshape(2, 3, 4, 4)


def options(sampler: str = OWN, steps: int = 8, eta: float = 0.0) -> dict:
    return {"sampler": sampler, "steps": steps, "eta": eta}


def perfect(scheduler, prediction: str, target: torch.Tensor = TARGET) -> sampling.Predict:
    """What a network answers that knows the only picture there is (Salimans and Ho, 2022, appendix D)."""

    def predict(latents, time):
        alpha = scheduler.alphas_cumprod[int(time)]
        noise = (latents - alpha.sqrt() * target) / (1 - alpha).sqrt()
        return noise if prediction == "epsilon" else alpha.sqrt() * noise - (1 - alpha).sqrt() * target

    return predict


def run(config, chosen, guidance=None, report=lambda calls, foreseen: None):
    scheduler = sampling.build_scheduler(config, chosen)
    generators = [torch.Generator().manual_seed(seed) for seed in (0, 1)]
    noise = torch.stack([torch.randn(3, 4, 4, generator=generator) for generator in generators])
    predict = perfect(scheduler, config["prediction_type"])
    if guidance is not None:
        guidance = sampling.Guidance(guidance, perfect(scheduler, config["prediction_type"], torch.zeros(2, 3, 4, 4)))
    return sampling.denoise(predict, guidance, scheduler, noise, generators, chosen["eta"], report)


@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction"])
@pytest.mark.parametrize("schedule", ["linear", "squaredcos_cap_v2"])
@pytest.mark.parametrize(("sampler", "eta"), [*((name, 0.0) for name in sampling.SAMPLERS), ("DDIM", 1.0)])
def test_a_perfect_network_is_followed_to_its_picture(prediction, schedule, sampler, eta):
    config = {**CONFIG, "beta_schedule": schedule, "prediction_type": prediction}
    found = run(config, options(sampler, eta=eta))
    assert torch.allclose(found, TARGET, atol=0.02)


def test_guidance_leads_away_from_the_other_picture():
    """Away from a picture of zeros, by half of the way: the noise that is left makes it no exact 1.5."""
    config = {**CONFIG, "beta_schedule": "linear", "prediction_type": "v_prediction"}
    found = run(config, options(steps=1), guidance=1.5)
    assert torch.allclose(found, 1.5 * TARGET, atol=0.02)


def test_the_public_names_are_the_options_choices():
    assert set(sampling.SAMPLERS) == set(OPTIONS["diffusion"]["sampler"].choices) - {OWN}
    assert set(sampling.DETERMINISTIC) < set(sampling.SAMPLERS)
    assert sampling.own_sampler(CONFIG) == "DDIM"
    assert sampling.own_sampler({"_class_name": "PNDMScheduler"}) == OWN


@pytest.mark.parametrize("own", ["PNDMScheduler", "HeunDiscreteScheduler", "DDIMScheduler"])
def test_network_calls_are_counted_and_reported(own):
    config = {**CONFIG, "_class_name": own, "prediction_type": "epsilon", "beta_schedule": "linear"}
    done = []

    def report(calls, foreseen):
        done.append(calls)
        if foreseen is not None:
            assert torch.allclose(foreseen, 2 * TARGET[:1], atol=0.6)

    run(config, options(), guidance=2.0, report=report)
    assert done == list(range(1, sampling.network_calls(config, options(), guided=True) + 1))
    assert len(done) == 2 * sampling.network_calls(config, options(), guided=False)


def test_previews_stay_few_in_long_runs():
    config = {**CONFIG, "prediction_type": "epsilon"}
    shown = []
    run(config, options(steps=400), report=lambda calls, foreseen: shown.append(foreseen is not None))
    assert sum(shown) == sampling.MOST_PREVIEWS
