"""CLIP Score and Condition on Features by ComfyUI's own CLIP and CLIP_VISION, with transformers' CLIPModel as judge."""

import pytest
from trilemma.tests.comfyui import server

pytestmark = pytest.mark.host

MISSING = "has no projection into CLIP's common space"


@pytest.fixture(scope="module")
def clip(comfyui, tmp_path_factory):
    """Answers of `clip_probes.py`, all asked in one process of ComfyUI: {probe: answer}."""
    return server.answers(comfyui, "clip_probes.py", tmp_path_factory.mktemp("clip"))


def test_scores_are_those_of_transformers(clip):
    answer = clip["parity"]
    assert max(answer["expected"]) > 5
    assert answer["found"] == pytest.approx(answer["expected"], abs=1e-3)
    assert answer["mean"] == answer["value"] == pytest.approx(sum(answer["expected"]) / 4, abs=1e-3)
    assert "mean: " in answer["report"] and "does not tell" in answer["report"]


def test_scores_do_not_depend_on_the_batch(clip):
    alone, together = clip["batches"]
    assert alone == pytest.approx(together, abs=1e-4)


def test_files_are_traced(clip):
    remembers, _ = clip["remembered_lacking"]
    assert clip["traced"] == [["whole.safetensors"] if remembers else [], ["whole.safetensors"]]


def test_what_cannot_be_traced_is_said(clip):
    files, report = clip["untraced"]
    assert files == []
    assert "clip: the host does not tell its file" in report


def test_a_file_without_its_text_projection_is_refused_whatever_lies_in_its_place(clip):
    for name, said in zip(("lacking.safetensors", "lacking.pt"), clip["lacking_file"], strict=True):
        assert f"clip: this model ({name}) {MISSING}" in said


def test_a_host_that_remembers_files_needs_no_graph(clip):
    remembers, said = clip["remembered_lacking"]
    if not remembers:
        pytest.skip("this ComfyUI does not remember which files a CLIP came from")
    assert MISSING in said


def test_a_file_without_its_visual_projection_is_refused(clip):
    found, said = clip["lacking_vision_file"]
    assert found == ["whole.safetensors"]
    assert f"clip_vision: this model (lacking.safetensors) {MISSING}" in said
    assert MISSING in clip["vision_without_projection"]


def test_the_identity_is_no_projection(clip):
    assert "is the identity" in clip["identity"]


def test_a_text_encoder_that_is_no_clip_is_refused(clip):
    assert MISSING in clip["no_clip"]


def test_halves_of_different_sizes_are_refused(clip):
    assert "prompts have 32 features and images 16" in clip["other_sizes"]


def test_scores_are_taken_by_the_weights_of_both_halves(clip):
    """And not by the layer that diffusion models are fed from, which moves no score."""
    first, again, other, patched, cut, vision = clip["taken_by"]["taken_by"]
    assert first == again == cut
    assert clip["taken_by"]["scores"][0] == pytest.approx(clip["taken_by"]["scores"][1], abs=1e-4)
    halves = ("clip_identity", "clip_vision_identity")
    assert len({first["clip_identity"], other["clip_identity"], patched["clip_identity"]}) == 3
    assert first["clip_vision_identity"] != vision["clip_vision_identity"]
    assert {key: value for key, value in vision.items() if key not in halves} == {
        key: value for key, value in first.items() if key not in halves
    }


def test_both_halves_say_what_to_draw(clip):
    """With vectors that are those of transformers."""
    for half in ("text", "images"):
        told = clip["features"][half]
        assert told["cosines"] == pytest.approx([1.0] * 4, abs=1e-4)
        assert told["drawn"] == [4, 8, 8, 3]
        assert told["records"] == 4


def test_features_that_do_not_fit_are_refused(clip):
    assert "draws from 31 features, and these are 32 of CLIP text" in clip["features_of_other_sizes"]
    assert f"clip: this model (lacking.safetensors) {MISSING}" in clip["features_without_a_projection"]
