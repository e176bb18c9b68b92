"""The page in each language that the pack's texts are translated to: what it shows of our nodes, and that it fits."""

import json
import re

import pytest
from trilemma.locales import generate
from trilemma.tests.comfyui import geometry
from trilemma.tests.comfyui import page as pages
from trilemma.tests.comfyui import test_panels as panels
from trilemma.tests.comfyui.server import PACK

pytestmark = pytest.mark.host

WIDTH = 210
NAMES = """() => Object.fromEntries(app.graph._nodes.map((node) => [node.type, {
    title: node.title,
    inputs: Object.fromEntries((node.inputs ?? []).map((slot) => [slot.name, slot.label ?? slot.localized_name])),
    widgets: Object.fromEntries((node.widgets ?? []).map((widget) => [widget.name, widget.label])),
    outputs: (node.outputs ?? []).map((slot) => slot.label ?? slot.localized_name),
}]))"""
SHOW = """async ([graph, outputs]) => {
    await app.loadApiJson(graph, 'panels');
    for (const [id, output] of Object.entries(outputs)) app.graph.getNodeById(id).onExecuted?.(output);
    for (const kind of ['TrilemmaSegment', 'TrilemmaInterpolate', 'TrilemmaEditLatent']) {
        app.graph.add(LiteGraph.createNode(kind));
    }
}"""
SAID = """() => app.graph._nodes.flatMap((node) => node.widgets ?? []).filter(({element, name}) =>
    element?.dataset?.trilemma && name !== 'report_text').flatMap(({element}) =>
        [element, ...element.querySelectorAll('*')].flatMap((each) => [
            ...[...each.childNodes].filter((child) => child.nodeType === 3).map((child) => child.textContent),
            ...['title', 'aria-label', 'alt'].map((name) => each.getAttribute(name)),
        ])).filter(Boolean).flatMap((text) => text.split('\\n'))"""
SHOWN = (
    *("points_title", "keys", "positive", "clear", "clear_label", "fit_label", "no_picture"),
    *("explore_point", "explore_directions", "preview", "walk", "grid", "empties", "plane", "drag", "no_names"),
    *("box", "histogram", "click_drops", "image", "seed", "copy", "model", "sort", "plot", "samples", "reference"),
)
"""Keys of texts that the widgets show without anything being done to them."""


@pytest.fixture(scope="module")
def outputs(live):
    """What the nodes with panels show."""
    return live.run(panels.GRAPH).outputs


@pytest.fixture(scope="module", params=generate.LANGUAGES)
def opened(live, request):
    pages.nodes_of(live, new_nodes := not live.get("/system_stats")["system"]["comfyui_version"].startswith("0.3."))
    with pages.opened(live, new_nodes, locale=request.param) as page:
        yield page, request.param, new_nodes
        assert not page.complaints
    live.post("/settings/Comfy.Locale", "en")


@pytest.fixture(scope="module")
def bare(opened, live):
    """A node of each kind."""
    page, language, new_nodes = opened
    geometry.lay_out(page, [kind for kind in live.get("/object_info") if kind.startswith("Trilemma")])
    page.evaluate(geometry.RESIZE, WIDTH)  # none covers another
    return page, json.loads((generate.HERE / language / "nodeDefs.json").read_text(encoding="utf-8")), new_nodes


@pytest.fixture(scope="module")
def shown(opened, outputs):
    """Every widget of ours, with something to show."""
    page, language, new_nodes = opened
    page.evaluate(SHOW, [panels.GRAPH, outputs])
    page.wait_for_timeout(2000)
    return page, language, new_nodes


def texts(language):
    return json.loads((PACK / "web" / "texts" / f"{language}.json").read_text(encoding="utf-8"))


def fits(text, said):
    """Whether anything that is said is this text, with any facts in it."""
    form = ".+".join(re.escape(part) for part in re.split(r"\{\w+\}", text))
    return any(re.fullmatch(rf"(?:[\u25b8\u25be] )?{form}(?: [\u2191\u2193\u25b2\u25bc])*", each) for each in said)


def test_nodes_inputs_and_outputs_have_their_names(bare):
    page, told, _ = bare
    found = page.evaluate(NAMES)
    assert found.keys() == told.keys()
    for kind, node in told.items():
        inputs = {name: field["name"] for name, field in node["inputs"].items()}
        assert found[kind]["title"] == node["display_name"]
        assert found[kind]["outputs"] == [field["name"] for field in node["outputs"].values()], kind
        assert {name: inputs[name] for name in found[kind]["inputs"]} == found[kind]["inputs"], kind
        # A label that is none is the name itself.
        labels = {name: label or name for name, label in found[kind]["widgets"].items() if name in inputs}
        assert labels == {name: inputs[name] for name in labels}, kind


def test_a_tooltip_is_translated(bare):
    page, told, new_nodes = bare
    if not new_nodes:
        pytest.skip("tooltips of canvas nodes are drawn after a while of rest")
    page.evaluate(
        """() => {
            const node = app.graph._nodes.find(({type}) => type === 'TrilemmaSelectDetections');
            [app.canvas.ds.scale, app.canvas.ds.offset] = [1, [600 - node.pos[0], 300 - node.pos[1]]];
            app.canvas.setDirty(true, true);
        }"""
    )
    page.wait_for_timeout(1000)
    field = told["TrilemmaSelectDetections"]["inputs"]["box_threshold"]
    row = page.locator("[data-node-id] [data-testid=node-widget]")
    label = row.filter(has=page.get_by_text(field["name"], exact=True)).first
    label.get_by_text(field["name"], exact=True).hover()
    page.get_by_text(field["tooltip"]).first.wait_for(timeout=20_000)
    page.mouse.move(5, 5)


def test_the_help_page_opens_in_the_language(bare, opened):
    page, language, _ = opened
    file = PACK / "web" / "docs" / "TrilemmaSelectDetections" / f"{language}.md"
    heading = file.read_text(encoding="utf-8").splitlines()[0].lstrip("# ")
    page.evaluate(
        """() => {
            app.canvas.deselectAll();
            app.canvas.selectItems([app.graph._nodes.find(({type}) => type === 'TrilemmaSelectDetections')]);
        }"""
    )
    page.wait_for_timeout(1500)
    if not page.get_by_test_id("info-button").count():
        pytest.skip("this page has no button of a node's help")
    page.get_by_test_id("info-button").first.evaluate("(button) => button.click()")
    page.locator(".node-help-content, .markdown-content").get_by_text(heading).first.wait_for(timeout=20_000)


def test_every_node_fits(bare):
    page, _, new_nodes = bare
    assert not [flaw for flaw in geometry.flaws(page, WIDTH, new_nodes) if flaw[2] != "shortened"]


def test_widgets_speak_the_language(shown):
    page, language, _ = shown
    said, table = page.evaluate(SAID), texts(language)
    assert not [key for key in SHOWN if not fits(table[key], said)]
    assert not [text for key, text in texts("en").items() if text != table[key] and fits(text, said)]
    assert not [text for text in said if text in table and "_" in text]


def test_widgets_fit(shown):
    page, _, new_nodes = shown
    assert not [flaw for flaw in geometry.flaws(page, WIDTH, new_nodes) if flaw[2] != "shortened"]


def test_another_language_is_spoken_at_once(opened):
    """The page loads the graph again, as it has kept it."""
    page, language, _ = opened
    graph = {"1": panels.node("TrilemmaSegment"), "2": panels.node("TrilemmaInterpolate")}
    page.evaluate("async (graph) => { await app.loadApiJson(graph, 'languages'); }", graph)
    page.wait_for_timeout(1000)
    other = next(each for each in generate.LANGUAGES if each != language)
    page.evaluate("(other) => app.extensionManager.setting.set('Comfy.Locale', other)", other)
    table = texts(other)
    page.wait_for_function(f"(text) => ({SAID})().some((said) => said.includes(text))", arg=table["points_title"])
    said = page.evaluate(SAID)
    assert all(fits(table[key], said) for key in ("points_title", "clear_label", "preview", "walk", "plane"))
