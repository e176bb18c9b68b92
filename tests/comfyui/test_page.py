"""The example as a user meets it: found in the template browser, run, watched, and stopped, in the real page."""

import json

import pytest
from trilemma.tests.comfyui import page as pages
from trilemma.tests.comfyui.server import PACK

pytestmark = pytest.mark.host

EXAMPLE = "grounded_inpaint"
BOXES = ["Select Detections", "trilemma_boxes"]
WIDGET = """([title, name]) => app.graph._nodes.find((node) => node.title === title)
    .widgets.find((widget) => widget.name === name)"""


@pytest.fixture(scope="module", params=[True, False], ids=["vue nodes", "canvas nodes"])
def page(live, request):
    version = live.get("/system_stats")["system"]["comfyui_version"]
    if request.param and version.startswith("0.3."):
        pytest.skip(f"ComfyUI {version} has Vue nodes as an experiment: they report no sizes and no colours")
    live.free()  # no earlier run may answer from the cache
    with pages.opened(live, new_nodes=request.param) as opened:
        pages.load_template(opened, EXAMPLE)
        yield opened


REPORTS = """() => Object.fromEntries(app.graph._nodes.flatMap((node) =>
    (node.widgets ?? []).filter((widget) => widget.name === 'report_text')
        .map((widget) => [node.title, widget.value])))"""
BOX = """(title) => {
    const node = app.graph._nodes.find((node) => node.title === title);
    const box = node.widgets.find((widget) => widget.name === 'report_text').element;
    const luminance = (colour) => {
        const parts = colour.match(/[\\d.]+/g).slice(0, 3).map((part) => part / 255);
        const [r, g, b] = parts.map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const style = getComputedStyle(box);
    const shades = [luminance(style.color), luminance(style.backgroundColor)].sort((a, b) => b - a);
    return {
        contrast: (shades[0] + 0.05) / (shades[1] + 0.05),
        opacity: style.opacity,
        height: box.clientHeight,
        needed: box.scrollHeight,
    };
}"""
"""Of the report box: WCAG's contrast ratio, and how much of the text it shows, in pixels."""


INTERRUPT_AT_FIRST_PREVIEW = """() => ['b_preview_with_metadata', 'b_preview'].forEach((kind) =>
    app.api.addEventListener(kind, () => app.api.interrupt(), {once: true}))"""


def set_widget(page, title, name, value):
    page.evaluate(f"([title, name, value]) => {{ ({WIDGET})([title, name]).value = value; }}", [title, name, value])


def test_the_example_runs_and_shows_pictures_previews_and_reports(page):
    before = page.evaluate("() => app.graph.serialize()")
    pages.queue(page)
    seen = pages.wait_until_ended(page)

    assert seen["ended"][0] == "execution_success", seen["ended"]
    assert seen["previews"] >= 2
    assert seen["reached"]["12"] == [20, 20]  # steps of Inpaint by Text
    shown = page.evaluate("() => Object.values(app.nodeOutputs).filter((output) => output.images?.length).length")
    assert shown == 4
    report = page.evaluate(f"(path) => ({WIDGET})(path).value", ["Select Detections", "report_text"])
    assert "a mushroom" in report
    boxes = page.evaluate(f"(path) => ({WIDGET})(path).element.querySelectorAll('.box').length", BOXES)
    assert boxes == 2
    pages.check_places(page)
    after = page.evaluate("() => app.graph.serialize()")
    values = [{node["id"]: node.get("widgets_values") for node in graph["nodes"]} for graph in (before, after)]
    assert values[0] == values[1]  # the report is shown, not saved


def test_a_report_is_shown_whole_and_can_be_read(page):
    box = page.evaluate(BOX, "Select Detections")

    assert box["contrast"] >= 4.5 and box["opacity"] == "1"
    assert box["needed"] <= box["height"] <= 400


def test_a_report_is_as_high_as_its_text_up_to_a_limit(page):
    text = page.evaluate(REPORTS)["Select Detections"]
    heights = {}
    for lines in (1, 8, 200):
        set_widget(page, "Select Detections", "report_text", "\n".join(["word"] * lines))
        page.wait_for_timeout(300)
        minimum = f"(path) => parseInt(({WIDGET})(path).element.style.minHeight)"
        heights[lines] = page.evaluate(minimum, ["Select Detections", "report_text"])
    set_widget(page, "Select Detections", "report_text", text)

    assert heights[1] < heights[8] < heights[200]
    assert heights[8] >= 8 * 14 and heights[200] <= 240


def test_reports_come_back_with_the_tab(page):
    before = page.evaluate(REPORTS)
    page.evaluate("() => app.extensionManager.command.execute('Comfy.NewBlankWorkflow')")
    page.wait_for_function("() => !app.graph._nodes.some((node) => node.type.startsWith('Trilemma'))")
    for _ in range(4):
        page.evaluate("() => app.extensionManager.command.execute('Workspace.NextOpenedWorkflow')")
        page.wait_for_timeout(1000)
        if page.evaluate("() => app.extensionManager.workflow.activeWorkflow.path").endswith(f"{EXAMPLE}.json"):
            break

    assert "a mushroom" in before["Select Detections"]
    assert page.evaluate(REPORTS) == before


def test_reports_come_back_from_the_cache(page, live):
    told = live.get("/object_info/TrilemmaSelectDetections")["TrilemmaSelectDetections"]
    if "has_intermediate_output" not in told:
        pytest.skip("this ComfyUI is silent about what it answers from its cache")
    before = page.evaluate(REPORTS)
    for title in before:
        set_widget(page, title, "report_text", "")
    set_widget(page, "4 The result", "filename_prefix", "again")
    pages.queue(page)
    seen = pages.wait_until_ended(page)

    assert seen["ended"][0] == "execution_success", seen["ended"]
    assert page.evaluate(REPORTS) == before


def test_what_the_page_queues_is_the_api_form(page):
    api = json.loads((PACK / "example_workflows" / "api" / f"{EXAMPLE}.json").read_text())
    set_widget(page, "4 The result", "filename_prefix", api["18"]["inputs"]["filename_prefix"])
    queued = page.evaluate("async () => (await app.graphToPrompt()).output")

    assert {name: node["inputs"] for name, node in queued.items()} == {
        name: node["inputs"] for name, node in api.items()
    }


@pytest.mark.parametrize("name", ["latent_walk", "reconstruct"])
def test_after_a_run_no_node_covers_another(page, live, name):
    """Live previews and reports make nodes higher; each still stands in its group."""
    version = live.get("/system_stats")["system"]["comfyui_version"]
    if version.startswith("0.3."):
        pytest.skip(f"the page of ComfyUI {version} keeps a live preview, below the pictures that it led to")
    graph = json.loads((PACK / "example_workflows" / f"{name}.json").read_text())
    page.evaluate("async ([graph, name]) => { await app.loadGraphData(graph, true, true, name); }", [graph, name])
    page.wait_for_timeout(1000)
    pages.queue(page)
    seen = pages.wait_until_ended(page, seconds=400)
    page.wait_for_timeout(1000)

    assert seen["ended"][0] == "execution_success", seen["ended"]
    pages.check_places(page)


def test_cancel_stops_the_run(page):
    pages.load_template(page, EXAMPLE)
    page.wait_for_function("() => app.graph._nodes.some((node) => node.title === 'Inpaint by Text')")
    set_widget(page, "Inpaint by Text", "steps", 1000)
    # From within the page: asked from outside, a busy one may take longer than all the steps.
    page.evaluate(INTERRUPT_AT_FIRST_PREVIEW)
    pages.queue(page)
    seen = pages.wait_until_ended(page)

    assert seen["ended"][0] == "execution_interrupted"
    assert seen["progress"] < 1000
