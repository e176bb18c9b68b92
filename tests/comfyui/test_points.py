"""Points and boxes drawn on Segment in the real page, by mouse and by keyboard, and the colours of links."""

import json

import pytest
from PIL import Image
from trilemma.tests.comfyui import page as pages

pytestmark = pytest.mark.host

WIDTH, HEIGHT = 320, 200
API = {
    "1": {"class_type": "LoadImage", "inputs": {"image": "garden.png"}},
    "2": {"class_type": "TrilemmaLoadSegmenter", "inputs": {"model": "starter emoji segmenter"}},
    "3": {"class_type": "TrilemmaEncodeImage", "inputs": {"segmenter": ["2", 0], "image": ["1", 0]}},
    "4": {
        "class_type": "TrilemmaSegment",
        "inputs": {
            "segmenter": ["2", 0],
            "embedding": ["3", 0],
            "positive_points": "",
            "negative_points": "",
            "mask_choice": "automatic",
            "drawn_boxes": "",
        },
    },
    "5": {"class_type": "MaskToImage", "inputs": {"mask": ["4", 1]}},
    "6": {"class_type": "PreviewImage", "inputs": {"images": ["5", 0]}},
}
SEGMENT = "app.graph._nodes.find((node) => node.type === 'TrilemmaSegment')"
ELEMENT = f"{SEGMENT}.widgets.find((widget) => widget.name === 'points_and_boxes').element"
SHOWN = f"""() => {{
    const canvas = ({ELEMENT}).querySelector('canvas');
    return canvas.isConnected && canvas.clientHeight > 100 && ({ELEMENT}).textContent.includes('Click: on the object');
}}"""
CANVAS = f"""() => {{
    const canvas = ({ELEMENT}).querySelector('canvas');
    const box = canvas.getBoundingClientRect();
    return [box.left, box.top, box.width, box.height];
}}"""
VALUES = """async () => {
    const {output} = await app.graphToPrompt();
    const {inputs} = Object.values(output).find((node) => node.class_type === 'TrilemmaSegment');
    const read = (text) => text ? JSON.parse(text) : [];
    return [inputs.positive_points, inputs.negative_points, inputs.drawn_boxes].map(read);
}"""
BLUE, RED = "#2255ee", "#dd2222"


@pytest.fixture(scope="module", params=[True, False], ids=["vue nodes", "canvas nodes"])
def page(live, request):
    version = live.get("/system_stats")["system"]["comfyui_version"]
    if request.param and version.startswith("0.3."):
        pytest.skip(f"ComfyUI {version} has Vue nodes as an experiment")
    draw(live.base / "input")
    with pages.opened(live, new_nodes=request.param) as opened:
        load(opened)
        yield opened


def draw(folder):
    """The picture that is drawn on: a red square on blue."""
    picture = Image.new("RGB", (WIDTH, HEIGHT), BLUE)
    picture.paste(RED, (80, 50, 180, 150))
    picture.save(folder / "garden.png")


def load(page):
    page.evaluate("(api) => app.loadApiJson(api, 'points')", API)
    page.evaluate(
        f"""() => {{
            const places = {{1: [20, 60], 2: [20, 520], 3: [420, 60], 4: [760, 60], 5: [1260, 60], 6: [1260, 160]}};
            for (const node of app.graph._nodes) node.pos = places[node.id];
            const node = {SEGMENT};
            if (!node.properties.drawing_open) ({ELEMENT}).querySelector('[data-action=fold]').click();
            node.setSize([440, node.computeSize()[1]]);
            [app.canvas.ds.scale, app.canvas.ds.offset] = [1, [100, 60]];
            app.canvas.setDirty(true, true);
        }}"""
    )
    page.wait_for_function(SHOWN)


def at(page, x, y):
    """Where a pixel of the picture is on the screen, when the whole picture is shown."""
    left, top, width, height = page.evaluate(CANVAS)
    scale = min(width / WIDTH, height / HEIGHT)
    return left + (width - WIDTH * scale) / 2 + x * scale, top + (height - HEIGHT * scale) / 2 + y * scale


def drag(page, start, end, button="left"):
    page.mouse.move(*at(page, *start))
    page.mouse.down(button=button)
    page.mouse.move(*at(page, *((a + b) / 2 for a, b in zip(start, end, strict=True))))
    page.mouse.move(*at(page, *end))
    page.mouse.up(button=button)


def near(found, expected, pixels=1):
    """Whether numbers, in whatever lists and dicts, differ by so little: the screen has pixels of its own."""
    if isinstance(expected, dict):
        return found.keys() == expected.keys() and all(near(found[key], value) for key, value in expected.items())
    if isinstance(expected, list):
        return len(found) == len(expected) and all(map(near, found, expected))
    return abs(found - expected) <= pixels


def press(page, *keys):
    for key in keys:
        page.keyboard.press(key)


def action(page, name):
    page.evaluate(f"(name) => ({ELEMENT}).querySelector(`[data-action=${{name}}]`).click()", name)


def test_drawing_by_mouse_arrives_in_the_prompt(page):
    node_was_at = page.evaluate(f"() => [...{SEGMENT}.pos]")
    page.mouse.click(*at(page, 130, 100))
    page.mouse.click(*at(page, 40, 40), button="right")
    page.keyboard.down("Shift")
    page.mouse.click(*at(page, 280, 180))
    page.keyboard.up("Shift")
    drag(page, (70, 40), (190, 160))
    drawn = [
        [{"x": 130, "y": 100}],
        [{"x": 40, "y": 40}, {"x": 280, "y": 180}],
        [{"x": 70, "y": 40, "width": 120, "height": 120}],
    ]
    assert near(page.evaluate(VALUES), drawn)

    drag(page, (130, 100), (150, 90))
    drag(page, (190, 160), (200, 170))
    drawn[0], drawn[2] = [{"x": 150, "y": 90}], [{"x": 70, "y": 40, "width": 130, "height": 130}]
    assert near(page.evaluate(VALUES), drawn)

    page.mouse.click(*at(page, 280, 180))
    page.keyboard.press("Delete")
    assert near(page.evaluate(VALUES), [drawn[0], drawn[1][:1], drawn[2]])
    page.keyboard.press("Control+z")
    assert near(page.evaluate(VALUES), drawn)
    assert page.evaluate(f"() => [...{SEGMENT}.pos]") == node_was_at
    assert page.evaluate("() => app.graph._nodes.length") == len(API)


def test_it_survives_saving_loading_and_folding(page):
    before = page.evaluate(VALUES)
    saved = page.evaluate("() => JSON.stringify(app.graph.serialize())")
    (node,) = (node for node in json.loads(saved)["nodes"] if node["type"] == "TrilemmaSegment")
    assert len(node["widgets_values"]) == 4
    page.evaluate("(saved) => app.loadGraphData(JSON.parse(saved), true, true, 'points')", saved)
    page.wait_for_function(f"() => ({ELEMENT}).textContent.includes('on 1, off 2, boxes 1')")
    assert page.evaluate(VALUES) == before
    action(page, "fold")
    assert page.evaluate(VALUES) == before
    assert page.evaluate(f"() => {SEGMENT}.properties.drawing_open") is False
    action(page, "fold")


def test_a_workflow_saved_before_is_folded_and_keeps_its_points(page):
    saved = page.evaluate("() => app.graph.serialize()")
    (node,) = (node for node in saved["nodes"] if node["type"] == "TrilemmaSegment")
    node["widgets_values"] = ['[{"x": 1, "y": 2}]', "", "largest"]
    node["properties"].pop("drawing_open")
    page.evaluate("(saved) => app.loadGraphData(saved, true, true, 'points')", saved)
    assert page.evaluate(VALUES) == [[{"x": 1, "y": 2}], [], []]
    assert page.evaluate(f"() => ({ELEMENT}).querySelector('canvas').clientHeight") == 0


def test_after_another_graph_was_loaded_the_editor_that_is_shown_is_its_own(page):
    load(page)
    page.mouse.click(*at(page, 130, 100))
    assert near(page.evaluate(VALUES), [[{"x": 130, "y": 100}], [], []])


def test_drawing_by_keyboard_alone(page):
    load(page)
    page.evaluate(f"() => ({ELEMENT}).querySelector('canvas').focus()")
    press(page, *["ArrowRight"] * 3, "ArrowUp", "Enter", "Shift+ArrowLeft", "Shift+Enter")
    press(page, "b", "Shift+ArrowRight", "ArrowDown", "Shift+ArrowDown", "b")
    drawn = [[{"x": 163, "y": 99}], [{"x": 153, "y": 99}], [{"x": 153, "y": 99, "width": 10, "height": 11}]]
    assert page.evaluate(VALUES) == drawn
    press(page, "]", "ArrowLeft", "]", "Delete")
    assert page.evaluate(VALUES) == [[{"x": 162, "y": 99}], [], drawn[2]]
    press(page, "Control+z", "Control+z", "Control+y")
    assert page.evaluate(VALUES) == [[{"x": 162, "y": 99}], *drawn[1:]]
    assert page.evaluate("() => app.graph._nodes.length") == len(API)


def test_zoomed_in_a_click_is_still_the_pixel_that_is_seen(page):
    action(page, "clear")
    page.mouse.click(*at(page, 100, 80))
    place = at(page, 100, 80)
    page.mouse.move(*place)
    for _ in range(3):
        page.mouse.wheel(0, -300)
    drag(page, (200, 100), (100, 80), button="middle")  # away, and back again
    drag(page, (100, 80), (200, 100), button="middle")
    page.keyboard.press("Delete")
    page.mouse.click(*place)
    assert near(page.evaluate(VALUES), [[{"x": 100, "y": 80}], [], []])
    page.keyboard.press("0")


def test_what_is_drawn_is_cut_out(page, live):
    action(page, "clear")
    drag(page, (80, 50), (180, 150))
    pages.queue(page)
    seen = pages.wait_until_ended(page)
    assert seen["ended"][0] == "execution_success", seen["ended"]
    (mask,) = page.evaluate("() => app.nodeOutputs[6].images")
    (live.base / "mask.png").write_bytes(live.view(mask))
    cut = Image.open(live.base / "mask.png").convert("L")
    assert cut.size == (WIDTH, HEIGHT)
    assert cut.getpixel((130, 100)) == 255 and cut.getpixel((280, 180)) == 0


def test_without_load_image_the_last_run_is_shown(page):
    copy = page.evaluate(
        """() => {
            app.nodeOutputs[3].trilemma_images[0].width *= 2;
            app.graph.getNodeById(1).type = 'SomethingElse';
            return app.nodeOutputs[3].trilemma_images[0].filename;
        }"""
    )
    page.wait_for_function(f"() => ({ELEMENT}).textContent.includes('{2 * WIDTH} x {HEIGHT}')")
    assert copy.startswith("trilemma_")


def test_links_have_colours_of_their_own(page):
    expected = "#8844bb"
    assert page.evaluate("() => app.canvas.constructor.link_type_colors.TRILEMMA_EMBEDDING") == expected
    assert page.evaluate("() => app.canvas.default_connection_color_byType.TRILEMMA_EMBEDDING") == expected
    style = "() => getComputedStyle(document.documentElement).getPropertyValue('--color-datatype-TRILEMMA_EMBEDDING')"
    assert page.evaluate(style).strip() == expected
