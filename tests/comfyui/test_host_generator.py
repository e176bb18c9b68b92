"""Generator from Checkpoint on ComfyUI's own samplers, with a UNet and a VAE of ComfyUI's own classes."""

import pytest
from trilemma.tests.comfyui import server

pytestmark = pytest.mark.host


@pytest.fixture(scope="module")
def sampled(comfyui, tmp_path_factory):
    """Answers of `sampling_probes.py`, all asked in one process of ComfyUI: {probe: answer}."""
    return server.answers(comfyui, "sampling_probes.py", tmp_path_factory.mktemp("sampling"))


def test_a_picture_depends_on_its_seed_and_not_on_its_batch(sampled):
    difference, spread = sampled["batches"]
    assert difference < 1e-3
    assert spread > 0.1
    assert sampled["first_samples_are_skipped"] is True


def test_latents_of_every_sampler_do_not_depend_on_their_batch(sampled):
    answer = sampled["batched_latents"]
    assert len(answer) > 15
    for name, (batched, difference, spread) in answer.items():
        assert spread > 0.1, name
        assert difference < 1e-3 if batched else difference == 0, name
    assert not any(answer[name][0] for name in ("euler_ancestral", "lcm", "dpmpp_sde", "sa_solver"))


def test_step_noise_is_drawn_from_each_samples_seed(sampled):
    answer = sampled["step_noise_follows_the_seed"]
    assert answer["euler"] < 1e-5
    assert answer["euler_ancestral"] > 0.1


def test_a_sample_is_what_ksampler_makes_of_its_seed(sampled):
    assert sampled["parity"] == {"euler": 0, "euler_ancestral": 0, "dpmpp_2m_sde": 0, "ddim": 0}


def test_every_schedule_runs(sampled):
    assert {"normal", "karras", "beta"} <= set(sampled["schedulers"])
    for name, (shape, finite, steps) in sampled["schedulers"].items():
        assert shape == [1, 32, 32, 3], name
        assert finite, name
        assert steps <= 3, name


def test_sample_images_draws_from_it(sampled):
    assert sampled["sampled_by_the_node"] == [0, "SD15", {"steps": 3, "guidance_scale": 3.0}, 1]


def test_the_largest_seed_serves_ancestral_samplers_too(sampled):
    assert sampled["largest_seed"] == [1, 32, 32, 3]


def test_steps_and_guidance_can_be_bound_anew(sampled):
    assert sampled["options"] == [0, 10, 15]


def test_noise_is_the_latent(sampled):
    same, way, ends = sampled["latents"]
    assert same
    assert way == [3, 4, 4, 4]
    assert ends < 1e-5


@pytest.mark.parametrize("sampler", ["euler", "euler_ancestral"])
def test_progress_and_previews_reach_the_host(sampled, sampler):
    answer = sampled["progress"][sampler]
    assert answer["steps"] == sorted(answer["steps"])
    assert answer["steps"][-1] == 20
    assert len(answer["steps"]) == {"euler": 10, "euler_ancestral": 20}[sampler]
    values, totals, previews = zip(*answer["events"], strict=True)
    assert values[-1] == 20
    assert set(totals) == {20}
    assert [4, 4] in previews


def test_the_interrupt_stops_within_a_step(sampled):
    assert sampled["interrupts"] == {"euler": [1, 2, 3], "euler_ancestral": [1, 2, 3]}


def test_placing_it_evicts_nobody(sampled):
    assert sampled["nothing_is_evicted"] is True


def test_identity_tells_models_conditioning_and_settings_apart(sampled):
    answer = sampled["identities"]
    assert answer["patched"] > 0.01
    assert answer["different"] == 5
    assert answer["same"]


def test_descriptor(sampled):
    assert sampled["descriptor"] == {
        "architecture": "SD15",
        "family": "diffusion",
        "parameters": True,
        "latent_shape": [4, 4, 4],
        "options": {"steps": 3, "guidance_scale": 3.0},
        "memory": [True, True],
    }
    assert sampled["video_latents"] == [16, 1, 4, 4]


def test_refusals_say_what_to_do(sampled):
    sound, size, batch = sampled["refusals"]
    assert "makes sound" in sound
    assert "take 96 x 96" in size
    assert "positive: it is for batches of 2 images" in batch


def test_the_node_lists_the_hosts_samplers(sampled):
    assert sampled["lists"] is True
