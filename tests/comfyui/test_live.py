"""The pack in a live ComfyUI server, driven through its API."""

import io
import json
import re
import urllib.request

import pytest
from PIL import Image
from trilemma.tests.comfyui.server import PACK, Refused

pytestmark = pytest.mark.host


def node(class_type, **inputs):
    return {"class_type": class_type, "inputs": inputs}


def steps(total, seconds=0.02, preview_every=5):
    return {"1": node("TestSteps", total=total, seconds=seconds, preview_every=preview_every)}


def test_the_pack_loads_without_complaint(live):
    log = live.log.read_text()

    times = re.search(r"[\d.]+ seconds( \(IMPORT FAILED\))?: .*ComfyUI-Trilemma", log)
    assert times and not times[1], log[-2000:]


def test_every_node_of_the_pack_is_offered(live):
    from trilemma import NODE_CLASS_MAPPINGS

    offered = live.get("/object_info")

    assert set(NODE_CLASS_MAPPINGS) <= set(offered)
    assert {offered[name]["python_module"] for name in NODE_CLASS_MAPPINGS} == {"custom_nodes.ComfyUI-Trilemma"}


def test_texts_and_help_come_in_every_language(live):
    from trilemma.locales import generate

    served = live.get("/i18n")
    for language in generate.LANGUAGES:
        for name, part in (("nodeDefs.json", served[language]["nodeDefs"]), ("main.json", served[language])):
            assert json.loads((generate.HERE / language / name).read_text(encoding="utf-8")).items() <= part.items()
        url = f"http://{live.address}/extensions/ComfyUI-Trilemma/docs/TrilemmaSegment/{language}.md"
        with urllib.request.urlopen(url) as page:
            assert page.read() == (PACK / "web" / "docs" / "TrilemmaSegment" / f"{language}.md").read_bytes()


def test_no_node_is_named_like_one_of_the_host(live):
    offered = live.get("/object_info")
    ours = {node["display_name"] for node in offered.values() if node["category"].startswith("Trilemma/")}
    theirs = {node["display_name"] for node in offered.values() if not node["category"].startswith("Trilemma/")}

    assert ours and theirs
    assert not ours & theirs


def test_the_example_workflows_are_listed_as_templates(live):
    examples = {file.stem for file in (PACK / "example_workflows").glob("*.json")}

    assert examples
    assert set(live.get("/api/workflow_templates")["ComfyUI-Trilemma"]) == examples


def test_progress_and_previews_arrive_and_the_result_is_in_the_history(live):
    run = live.run(steps(20))

    assert "execution_success" in run.kinds
    assert run.outputs["1"]["text"] == ["20"]
    values = [data["value"] for data in run.data("progress")]
    assert values == sorted(values) and values[-1] == 20
    shades = [Image.open(io.BytesIO(preview)).convert("L").getpixel((0, 0)) for preview in run.previews]
    assert len(shades) == 4
    assert shades == sorted(set(shades))


def test_cancel_stops_within_one_step(live):
    run = live.run(steps(500, seconds=0.1, preview_every=1), interrupt_at=4)

    assert "execution_interrupted" in run.kinds and "execution_success" not in run.kinds
    assert run.history["status"]["status_str"] == "error"
    assert not run.history["status"]["completed"]
    # The step after the one that was told may have been under way.
    assert max(data["value"] for data in run.data("progress")) <= run.cancelled_at + 1
    assert live.run(steps(3)).outputs["1"]["text"] == ["3"]


def test_freed_models_are_loaded_again(live):
    def graph(seed):
        return {"1": node("TestHeldNetwork", features=512), "2": node("TestUseNetwork", network=["1", 0], seed=seed)}

    first = live.run(graph(0)).outputs["2"]
    again = live.run(graph(1))
    assert "1" in again.data("execution_cached")[0]["nodes"]
    assert again.outputs["2"] == first

    live.free()
    freed = live.run(graph(2))
    assert "1" not in freed.data("execution_cached")[0]["nodes"]
    assert freed.outputs["2"]["total"] == first["total"]
    assert freed.outputs["2"]["loaded"] == [1]


def test_an_invalid_graph_is_refused(live):
    with pytest.raises(Refused) as caught:
        live.run({"1": node("TestSteps", total=0, seconds=0, preview_every=1)})

    (error,) = caught.value.answer["node_errors"]["1"]["errors"]
    assert error["type"] == "value_smaller_than_min"


def test_an_error_of_the_pack_begins_with_no_path(live):
    """What the page shows above the sentence: the class alone."""
    graph = {
        "1": node("TrilemmaLoadFeatureExtractor", model="starter emoji classifier", resize="clean"),
        "2": node("TrilemmaFolderFeatures", extractor=["1", 0], location="input", folder=""),
        "3": node("PreviewAny", source=["2", 0]),
    }

    (failure,) = live.run(graph).data("execution_error")

    assert failure["exception_type"] == "BadInput"
    assert failure["exception_message"].startswith("folder: it is empty")
