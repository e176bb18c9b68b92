"""What the page says of a run that fails: our sentence, before anything that only programmers read."""

import pytest
from trilemma.tests.comfyui import page as pages

pytestmark = pytest.mark.host


@pytest.fixture(scope="module", params=[True, False], ids=["vue nodes", "canvas nodes"])
def page(live, request):
    version = live.get("/system_stats")["system"]["comfyui_version"]
    if request.param and version.startswith("0.3."):
        pytest.skip(f"ComfyUI {version} has Vue nodes as an experiment")
    with pages.opened(live, new_nodes=request.param) as opened:
        yield opened


def test_a_failing_node_shows_our_sentence_first(page):
    loader = {"model": "starter emoji classifier", "resize": "clean"}
    graph = {
        "1": {"class_type": "TrilemmaLoadFeatureExtractor", "inputs": loader},
        "2": {
            "class_type": "TrilemmaFolderFeatures",
            "inputs": {"extractor": ["1", 0], "location": "input", "folder": ""},
        },
        "3": {"class_type": "PreviewAny", "inputs": {"source": ["2", 0]}},
    }
    page.evaluate("async (graph) => { await app.loadApiJson(graph, 'failing'); }", graph)
    pages.queue(page)
    assert pages.wait_until_ended(page)["ended"][0] == "execution_error"

    sentence = "folder: it is empty; give the name of a folder, or a dot for the location itself."
    said = pages.said_in_panel(page, sentence)
    before = said[: said.index(sentence)]
    assert "Traceback" not in before and "Stack Trace" not in before and 'File "' not in before
    assert not before.rstrip().endswith(".BadInput:")  # the class alone, without the pack's path
    pages.close_dialogs(page)


def test_an_example_without_its_files_says_which_and_where_from(page):
    pages.load_template(page, "text_to_image_gans")
    refused = page.evaluate("async () => { await app.queuePrompt(0, 1); return app.lastNodeErrors; }")
    told = [error["details"] for node in refused.values() for error in node["errors"]]
    assert len(told) == 2
    for name, sentence in zip(("AttnGAN", "DM-GAN"), told, strict=True):
        assert "is not on this machine. Fetch it from" in sentence and name in sentence
    pages.check_places(page)
    pages.close_dialogs(page)
