"""The explorer of latents in the real page: the plane of Interpolate, the sliders of Edit Latent, by mouse and keys."""

import json

import pytest
from trilemma.tests.comfyui import page as pages

pytestmark = pytest.mark.host

API = {
    "1": {"class_type": "TrilemmaLoadGenerator", "inputs": {"model": "starter emoji stylegan2"}},
    "2": {
        "class_type": "TrilemmaInterpolate",
        "inputs": {"generator": ["1", 0], "frames": 2, "seeds": "1, 2, 3", "loop": False, "position": ""},
    },
    "3": {"class_type": "TrilemmaDrawLatents", "inputs": {"generator": ["1", 0], "num_latents": 1, "seed": 2}},
    "4": {"class_type": "TrilemmaLatentDirections", "inputs": {"generator": ["1", 0], "method": "sefa", "count": 3}},
    "5": {
        "class_type": "TrilemmaEditLatent",
        "inputs": {
            "generator": ["1", 0],
            "latent": ["3", 0],
            "directions": ["4", 0],
            "direction": "1",
            "strengths": "0",
            "mix": "",
            "preview": False,
        },
    },
    "6": {"class_type": "SaveImage", "inputs": {"images": ["2", 0], "filename_prefix": "explorer"}},
}
WALK, EDIT = 2, 5
ELEMENT = "app.graph.getNodeById({}).widgets.find((widget) => widget.name === 'explorer').element"
VALUE = """async ([id, name]) => (await app.graphToPrompt()).output[id].inputs[name]"""
PICTURES = """(id) => (app.nodeOutputs[id]?.trilemma_samples?.[0].pictures ?? []).map((each) => each.filename)"""


@pytest.fixture(scope="module", params=[True, False], ids=["vue nodes", "canvas nodes"])
def page(live, request):
    pytest.importorskip("playwright", reason="no Playwright to drive the page")
    if pages.chromium() is None:
        pytest.skip("no Chromium to show the page")
    version = live.get("/system_stats")["system"]["comfyui_version"]
    if request.param and version.startswith("0.3."):
        pytest.skip(f"ComfyUI {version} has Vue nodes as an experiment")
    live.free()
    with pages.opened(live, new_nodes=request.param) as opened:
        opened.evaluate("async (graph) => { await app.loadApiJson(graph, 'explorer'); }", API)
        lay_out(opened)
        yield opened


def lay_out(page):
    page.evaluate(
        f"""() => {{
            const places = {{1: [20, 900], 2: [20, 40], 3: [20, 1000], 4: [400, 1000], 5: [560, 40], 6: [1100, 40]}};
            for (const node of app.graph._nodes) node.pos = places[node.id];
            for (const element of [{ELEMENT.format(WALK)}, {ELEMENT.format(EDIT)}]) {{
                const fold = element.querySelector('[data-action=fold]');
                if (fold.getAttribute('aria-expanded') === 'false') fold.click();
            }}
            for (const id of [{WALK}, {EDIT}]) {{
                const node = app.graph.getNodeById(id);
                node.setSize([460, Math.max(700, node.computeSize()[1])]);
            }}
            [app.canvas.ds.scale, app.canvas.ds.offset] = [1, [120, 60]];
            app.canvas.setDirty(true, true);
        }}"""
    )
    for node in (WALK, EDIT):
        page.wait_for_function(
            f"() => ({ELEMENT.format(node)}).isConnected && ({ELEMENT.format(node)}).clientHeight > 100"
        )


def value(page, node, name):
    return page.evaluate(VALUE, [str(node), name])


def shares(page):
    return [float(share) for share in value(page, WALK, "position").split(",")]


def at(page, x, y):
    """Where a point of the plane is on the screen."""
    matrix = f"({ELEMENT.format(WALK)}).querySelector('.plane').getScreenCTM()"
    return page.evaluate(
        f"([x, y]) => {{ const to = new DOMPoint(x, y).matrixTransform({matrix}); return [to.x, to.y]; }}", [x, y]
    )


def act(page, node, name):
    page.evaluate(f"(name) => ({ELEMENT.format(node)}).querySelector(`[data-action=${{name}}]`).click()", name)


def ended(page):
    """Waits for the run that began by itself, and tells which nodes it ran."""
    assert pages.wait_until_ended(page)["ended"][0] == "execution_success"
    page.wait_for_timeout(500)
    return page.evaluate("() => window.ran")


def record(page):
    page.evaluate(pages.RECORD)
    page.evaluate(
        """() => {
            window.ran = [];
            app.api.addEventListener('executed', (event) => ran.push(event.detail.node));
        }"""
    )


def test_a_point_dragged_on_the_plane_is_drawn_alone(page, live):
    record(page)
    page.mouse.move(*at(page, 100, 90))
    page.mouse.down()
    page.mouse.move(*at(page, 60, 110))
    page.mouse.move(*at(page, 100, 80))
    page.mouse.up()
    assert shares(page) == pytest.approx([0.5, 0.25, 0.25], abs=0.02)
    ran = ended(page)
    assert "2" in ran and "5" not in ran and "6" not in ran
    assert len(page.evaluate(PICTURES, WALK)) == 1
    assert not list((live.base / "output").glob("explorer*"))
    page.wait_for_function(f"() => ({ELEMENT.format(WALK)}).querySelectorAll('.plane image').length >= 1")


def test_the_point_moves_by_arrows_and_stays_in_the_triangle(page):
    record(page)
    before = shares(page)
    page.evaluate(f"() => ({ELEMENT.format(WALK)}).querySelector('.plane').focus()")
    page.keyboard.press("ArrowRight")
    assert shares(page)[2] > before[2]
    for _ in range(9):
        page.keyboard.press("Shift+ArrowUp")
    assert shares(page) == [1.0, 0.0, 0.0]
    assert page.evaluate("() => app.graph._nodes.length") == len(API)
    ended(page)


def test_sliders_have_the_directions_names_and_move_along_several(page):
    record(page)
    act(page, EDIT, "preview")
    ran = ended(page)
    assert "5" in ran and "6" not in ran
    page.wait_for_function(f"() => ({ELEMENT.format(EDIT)}).querySelectorAll('input[type=range]').length === 3")
    names = page.evaluate(
        f"() => [...({ELEMENT.format(EDIT)}).querySelectorAll('label')].map((each) => each.textContent)"
    )
    assert names == ["sefa 1", "sefa 2", "sefa 3"]
    assert value(page, EDIT, "preview") is True
    first = page.evaluate(PICTURES, EDIT)

    record(page)
    page.evaluate(f"() => ({ELEMENT.format(EDIT)}).querySelectorAll('input')[0].focus()")
    for _ in range(3):
        page.keyboard.press("ArrowRight")
    assert value(page, EDIT, "mix") == "sefa 1: 0.3"
    ended(page)

    record(page)
    slider = page.evaluate_handle(f"() => ({ELEMENT.format(EDIT)}).querySelectorAll('input')[1]").as_element()
    box = slider.bounding_box()
    page.mouse.click(box["x"] + box["width"] - 2, box["y"] + box["height"] / 2)
    mix = value(page, EDIT, "mix")
    assert mix.startswith("sefa 1: 0.3, sefa 2: ") and float(mix.rpartition(":")[2]) > 5
    ended(page)
    assert page.evaluate(PICTURES, EDIT) != first


def test_it_survives_saving_and_loading(page):
    before = [value(page, WALK, "position"), value(page, EDIT, "mix")]
    saved = page.evaluate("() => JSON.stringify(app.graph.serialize())")
    assert "explorer_open" in saved
    for node in json.loads(saved)["nodes"]:
        if node["id"] == WALK:
            assert node["widgets_values"][-1] == before[0]
    page.evaluate("(saved) => app.loadGraphData(JSON.parse(saved), true, true, 'explorer')", saved)
    shown = f"({ELEMENT.format(WALK)})"
    page.wait_for_function(f"() => {shown}.isConnected && {shown}.querySelector('.plane circle')")
    assert [value(page, WALK, "position"), value(page, EDIT, "mix")] == before
    strengths = (
        f"() => [...({ELEMENT.format(EDIT)}).querySelectorAll('output')].map((each) => Number(each.textContent))"
    )
    assert page.evaluate(strengths)[0] == 0.3


def test_emptied_it_walks_and_undo_brings_the_point_back(page):
    lay_out(page)
    before = value(page, WALK, "position")
    act(page, WALK, "reset")
    assert value(page, WALK, "position") == ""
    page.evaluate("async () => { await app.extensionManager.command.execute('Comfy.Undo'); }")
    page.wait_for_timeout(1000)
    assert value(page, WALK, "position") == before


def test_a_copy_has_the_point_and_its_own_plane(page):
    page.evaluate(
        f"""() => {{
            app.canvas.selectItems([app.graph.getNodeById({WALK})]);
            app.canvas.copyToClipboard();
            app.canvas.pasteFromClipboard();
        }}"""
    )
    page.wait_for_timeout(500)
    copied = """() => app.graph._nodes.filter((node) => node.type === 'TrilemmaInterpolate').map(({widgets}) =>
        ['position', 'explorer'].map((name) => widgets.find((widget) => widget.name === name)))
        .map(([position, explorer]) => [position.value, Boolean(explorer)])"""
    first, second = page.evaluate(copied)
    assert first == second and first[1]
