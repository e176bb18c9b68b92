"""Nodes as wide as people pull them: nothing is cut, lies over anything else or sticks out; and texts can be read."""

import pytest
from trilemma.tests.comfyui import geometry
from trilemma.tests.comfyui import page as pages
from trilemma.tests.comfyui import test_panels as panels
from trilemma.tests.comfyui import test_points as points

pytestmark = pytest.mark.host

WIDTHS = (210, 300, 420, 610)
ROOMY = 420
"""From this width on no name and no value of a node is shortened; the page itself shortens them in narrower ones."""

UNREADABLE = """(elements) => {
    const numbers = (colour) => {
        const found = colour.match(/[\\d.]+/g).map(Number);
        return colour.startsWith('color(') ? found.map((part, i) => (i < 3 ? part * 255 : part)) : found;
    };
    const over = ([r, g, b, a = 1], below) => [r, g, b].map((part, i) => a * part + (1 - a) * below[i]);
    const luminance = (colour) => {
        const linear = (c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
        const [r, g, b] = colour.map((part) => linear(part / 255));
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const painted = (colour) => {
        const brush = document.createElement('canvas').getContext('2d');
        brush.fillStyle = colour;
        brush.fillRect(0, 0, 1, 1);
        return [...brush.getImageData(0, 0, 1, 1).data].slice(0, 3);
    };
    const ground = (element) => {
        // A node that is painted on the canvas lies beneath its widgets, and is no element.
        if (!element?.closest('[data-trilemma], [data-node-id]')) return painted(LiteGraph.NODE_DEFAULT_BGCOLOR);
        const own = numbers(getComputedStyle(element).backgroundColor);
        return own[3] === undefined ? own : over(own, ground(element.parentElement));
    };
    const found = [];
    for (const root of document.querySelectorAll('[data-trilemma]')) {
        for (const each of [root, ...root.querySelectorAll('*')]) {
            const texts = [...each.childNodes].filter((child) => child.nodeType === 3);
            const says = each.value || texts.some((child) => child.textContent.trim());
            // Letters on pictures and marks have a dark line around, or a mark of their own beneath.
            const style = getComputedStyle(each);
            const lined = style.paintOrder !== 'normal' || each.closest('.mark');
            if (!says || (each.namespaceURI.endsWith('svg') && lined) || !each.checkVisibility()) continue;
            const below = ground(each);
            let opacity = 1;
            for (let one = each; one !== root.parentElement; one = one.parentElement) {
                opacity *= getComputedStyle(one).opacity;
            }
            const colour = each.namespaceURI.endsWith('svg') ? style.fill : style.color;
            const [r, g, b] = numbers(colour);
            const shades = [luminance(over([r, g, b, opacity], below)), luminance(below)].sort((a, b) => b - a);
            const contrast = (shades[0] + 0.05) / (shades[1] + 0.05);
            const text = (each.value ?? each.textContent).slice(0, 40);
            if (contrast < 4.5) found.push([root.dataset.trilemma, text, contrast]);
        }
    }
    return found;
}"""


@pytest.fixture(scope="module", params=[True, False], ids=["vue nodes", "canvas nodes"])
def opened(live, request):
    pages.nodes_of(live, request.param)
    points.draw(live.base / "input")
    with pages.opened(live, request.param) as page:
        yield page, request.param
        assert not page.complaints


@pytest.fixture(scope="module")
def bare(opened, live):
    """A node of each kind."""
    page, new_nodes = opened
    geometry.lay_out(page, [kind for kind in live.get("/object_info") if kind.startswith("Trilemma")])
    return page, new_nodes


@pytest.fixture(scope="module")
def shown(opened):
    """Every widget of ours, with something to show."""
    page, new_nodes = opened
    page.evaluate("async (graph) => { await app.loadApiJson(graph, 'panels'); }", panels.GRAPH)
    page.wait_for_timeout(1000)
    pages.queue(page)
    assert pages.wait_until_ended(page, 400)["ended"][0] == "execution_success"
    page.evaluate("() => { app.graph.add(LiteGraph.createNode('TrilemmaSegment')); }")
    page.wait_for_timeout(1000)
    return page, new_nodes


def wrong(page, width, new_nodes):
    """Shortened texts are none of it in narrow nodes."""
    found = geometry.flaws(page, width, new_nodes)
    return [flaw for flaw in found if flaw[2] != "shortened" or width >= ROOMY]


@pytest.mark.parametrize("width", WIDTHS)
def test_every_node_fits(bare, width):
    page, new_nodes = bare
    assert not wrong(page, width, new_nodes)


@pytest.mark.parametrize("width", WIDTHS)
def test_widgets_of_ours_fit(shown, width):
    page, new_nodes = shown
    assert not wrong(page, width, new_nodes)


@pytest.mark.parametrize("palette", ["dark", "light"])
def test_texts_of_ours_can_be_read(shown, live, palette):
    page, _ = shown
    page.evaluate("(palette) => app.extensionManager.setting.set('Comfy.ColorPalette', palette)", palette)
    page.wait_for_timeout(1500)
    found = page.evaluate(UNREADABLE)
    page.evaluate("() => app.extensionManager.setting.set('Comfy.ColorPalette', 'dark')")
    assert not found
