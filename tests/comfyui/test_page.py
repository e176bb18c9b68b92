"""The example as a user meets it: found in the template browser, run, watched, and stopped, in the real page."""

import json

import pytest
from trilemma.tests.comfyui import page as pages
from trilemma.tests.comfyui.server import PACK

pytestmark = pytest.mark.host

EXAMPLE = "grounded_inpaint"
WIDGET = """([title, name]) => app.graph._nodes.find((node) => node.title === title)
    .widgets.find((widget) => widget.name === name)"""


@pytest.fixture(scope="module", params=[True, False], ids=["vue nodes", "canvas nodes"])
def page(live, request):
    pytest.importorskip("playwright", reason="no Playwright to drive the page")
    if pages.chromium() is None:
        pytest.skip("no Chromium to show the page")
    live.free()  # no earlier run may answer from the cache
    with pages.opened(live, new_nodes=request.param) as opened:
        pages.load_template(opened, EXAMPLE)
        yield opened


def set_widget(page, title, name, value):
    page.evaluate(f"([title, name, value]) => {{ ({WIDGET})([title, name]).value = value; }}", [title, name, value])


def test_the_example_runs_and_shows_pictures_previews_and_reports(page):
    before = page.evaluate("() => app.graph.serialize()")
    pages.queue(page)
    seen = pages.wait_until_ended(page)

    assert seen["ended"][0] == "execution_success", seen["ended"]
    assert seen["previews"] >= 2
    assert seen["progress"] > 10
    shown = page.evaluate("() => Object.values(app.nodeOutputs).filter((output) => output.images?.length).length")
    assert shown == 4
    report = page.evaluate(f"(path) => ({WIDGET})(path).value", ["Select Detections", "report_text"])
    assert "a mushroom" in report
    after = page.evaluate("() => app.graph.serialize()")
    values = [{node["id"]: node.get("widgets_values") for node in graph["nodes"]} for graph in (before, after)]
    assert values[0] == values[1]  # the report is shown, not saved


def test_what_the_page_queues_is_the_api_form(page):
    api = json.loads((PACK / "example_workflows" / "api" / f"{EXAMPLE}.json").read_text())
    queued = page.evaluate("async () => (await app.graphToPrompt()).output")

    assert {name: node["inputs"] for name, node in queued.items()} == {
        name: node["inputs"] for name, node in api.items()
    }


def test_cancel_stops_the_run(page):
    set_widget(page, "Inpaint by Text", "steps", 1000)
    pages.queue(page)
    page.wait_for_function("() => seen.previews > 0", timeout=120_000, polling=50)
    page.evaluate("() => app.api.interrupt()")
    seen = pages.wait_until_ended(page, seconds=20)

    assert seen["ended"][0] == "execution_interrupted"
    assert seen["progress"] < 1000
