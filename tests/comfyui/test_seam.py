"""The host layer on ComfyUI's own memory management, progress, folders and cache."""

import pytest

pytestmark = pytest.mark.host


def test_the_pack_hardly_delays_the_hosts_start(probed):
    assert 0 < probed["import_seconds"] < 0.3


def test_a_network_is_loaded_once_unloaded_by_the_host_and_loaded_again(probed):
    assert probed["on_the_cpu"] == {"entries": [1, 1, 0], "same": True}


def test_parameters_and_buffers_outside_of_leaf_layers_move_too(probed):
    assert probed["everything_moves"] == {"device": "meta", "devices": ["meta"]}


def test_networks_stay_fit_for_gradients_when_moved_inside_a_prompt(probed):
    assert not any(probed["under_inference_mode"])


def test_under_memory_pressure_networks_are_evicted_and_run_again(probed):
    answer = probed["pressure"]
    assert answer["loaded"] == [1, 2, 2, 2, 2, 2]
    assert answer["same"]
    assert answer["together"][:2] == [True, True]


def test_the_memory_estimate_makes_room(probed):
    assert probed["memory_is_asked_for"] == {"beside": True, "after": False}


def test_out_of_memory_halves_the_batch(probed):
    assert probed["out_of_memory"] == {"result": "done", "tried": [4, 2, 1]}


def test_the_interrupt_passes_every_retry_in_both_its_kinds(probed):
    assert probed["interrupts"] == {"raised": True, "tried": [4]}


def test_previews_reach_the_progress_hook_unenlarged(probed):
    assert probed["previews"] == [[2, "JPEG", [30, 40], 128, 40], [4, "JPEG", [30, 40], 255, 40]]


def test_model_folders_honour_what_is_registered_already(probed):
    assert probed["folders"] == {
        "sams": ["ours.pth", "theirs.pth"],
        "sams_extensions": [".pt", ".pth"],
        "sams_first": True,
        "dino": ["sub/dino.pth"],
        "dino_path": "yaml_dino/sub/dino.pth",
        "diffusers": ["pipe"],
        "inpaint": ["big-lama.pt"],
        "inpaint_path": "models/inpaint/big-lama.pt",
        "inpaint_registered": False,
        "input": True,
    }


def test_the_hosts_cache_weighs_every_wire_value(probed):
    weights = probed["cache_weights"]
    if weights is None:
        pytest.skip("this ComfyUI has no cache that weighs values")
    assert {"Detections", "Objects", "Crops", "Embedding"} <= set(weights)
    for name, (held, counted) in weights.items():
        assert held >= 1_000_000, name
        assert counted >= held, name


def test_the_hosts_cache_drops_unused_models_first(probed):
    if probed["handles_go_first"] is None:
        pytest.skip("this ComfyUI has no cache that weighs values")
    assert probed["handles_go_first"] == "handle"
