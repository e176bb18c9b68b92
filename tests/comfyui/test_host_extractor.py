"""Extractor from CLIP Vision on ComfyUI's own CLIP and DINOv2, small and with random weights."""

import pytest
from trilemma.tests.comfyui import server

pytestmark = pytest.mark.host


@pytest.fixture(scope="module")
def seen(comfyui, tmp_path_factory):
    """Answers of `vision_probes.py`, all asked in one process of ComfyUI: {probe: answer}."""
    return server.answers(comfyui, "vision_probes.py", tmp_path_factory.mktemp("vision"))


def test_vectors_are_those_of_the_hosts_own_node(seen):
    for name, size in (("CLIP", 16), ("DINOv2", 32)):
        shape, difference, spread = seen["hosts_own_vectors"][name]
        assert shape == [2, size]
        assert difference < 1e-5
        assert spread > 0.01


def test_an_image_does_not_depend_on_its_batch(seen):
    assert len(seen["batches"]) == 4
    for batch, difference in seen["batches"].items():
        assert difference < 1e-6, batch


def test_features_of_a_set(seen):
    assert seen["accumulated"] == [5, True, [5, 16]]


def test_info(seen):
    clip, dino = seen["info"]
    assert clip.splitlines()[:2] == ["CLIP vision, 32 px, 16 features", "resize: clean"]
    assert dino.startswith("DINOv2 vision, 518 px, 32 features")
    assert "no Inception score" in clip


def test_identity_tells_models_and_patches_apart(seen):
    assert seen["identities"] == [1, 3]


def test_memory(seen):
    assert len(seen["memory"]) == 5
    for name, share in seen["memory"].items():
        assert 0.7 < share < 1.5, name


def test_its_network_gives_derivatives(seen):
    """The host's own does not: its layers add in place to what their norms keep."""
    for name, (difference, ratio) in seen["derivatives"].items():
        assert difference < 1e-5, name
        assert abs(ratio - 1) < 0.02, name


def test_refusals_say_what_to_do(seen):
    siglip, unfilled = seen["refusals"]
    assert "gives a grid of vectors" in siglip
    assert "its projection into CLIP's common space is zero" in unfilled
