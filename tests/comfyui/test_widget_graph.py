"""What the page does with whole nodes, done to one with a widget of ours: undo, copies, modes, groups, subgraphs."""

import pytest
from trilemma.tests.comfyui import page as pages
from trilemma.tests.comfyui import test_points as points

pytestmark = pytest.mark.host

SELECT = """() => {
    app.canvas.deselectAll();
    app.canvas.select(app.canvas.graph._nodes.find((node) => node.type === 'TrilemmaSegment'));
}"""
STATE = """() => app.canvas.graph._nodes.filter((node) => node.type === 'TrilemmaSegment').map((node) => {
    const {element} = node.widgets.find((widget) => widget.name === 'points_and_boxes');
    const value = (name) => node.widgets.find((widget) => widget.name === name).value;
    return {
        mode: node.mode,
        shown: element.isConnected && element.querySelector('canvas').clientHeight > 100,
        line: element.lastChild.lastChild.textContent,
        texts: [value('positive_points'), value('negative_points'), value('drawn_boxes')],
    };
})"""
PROMPT = """async () => Object.entries((await app.graphToPrompt()).output)
    .filter(([, node]) => node.class_type === 'TrilemmaSegment')"""
TEXTS = ['[{"x":130,"y":100}]', '[{"x":40,"y":40}]', ""]
LINE = f"{points.WIDTH} x {points.HEIGHT}: on 1, off 1, boxes 0"


@pytest.fixture(scope="module", params=[True, False], ids=["vue nodes", "canvas nodes"])
def page(live, request):
    pages.nodes_of(live, request.param)
    points.draw(live.base / "input")
    with pages.opened(live, request.param) as opened:
        yield opened
        assert not opened.complaints


@pytest.fixture
def drawn(page):
    """A point on the object and one that is not, with nothing else in the graph than when they were drawn."""
    graph = {name: {**node, "inputs": dict(node["inputs"])} for name, node in points.API.items()}
    graph["4"]["inputs"] |= {"positive_points": TEXTS[0], "negative_points": TEXTS[1]}
    page.evaluate("() => app.canvas.setGraph(app.rootGraph ?? app.graph)")  # out of the last test's subgraph
    page.wait_for_timeout(500)
    page.evaluate("(api) => app.loadApiJson(api, 'points')", graph)
    page.evaluate(
        f"""() => {{
            const places = {{1: [20, 60], 2: [20, 520], 3: [420, 60], 4: [760, 60], 5: [1260, 60], 6: [1260, 160]}};
            for (const node of app.graph._nodes) node.pos = places[node.id];
            const node = {points.SEGMENT};
            if (!node.properties.drawing_open) ({points.ELEMENT}).querySelector('[data-action=fold]').click();
            node.setSize([440, node.computeSize()[1]]);
            [app.canvas.ds.scale, app.canvas.ds.offset] = [1, [100, 60]];
            app.canvas.setDirty(true, true);
        }}"""
    )
    wait_for(page, [state()])
    return page


def state(mode=0, texts=TEXTS, line=LINE, shown=True):
    return {"mode": mode, "shown": shown, "line": line, "texts": texts}


def wait_for(page, expected):
    """Until all that are Segment nodes here are so."""
    for _ in range(120):
        found = page.evaluate(STATE)
        if found == expected:
            return
        page.wait_for_timeout(250)
    assert found == expected


def command(page, name):
    page.evaluate("(name) => app.extensionManager.command.execute(name)", name)


def inputs(page):
    """Id -> texts of every Segment that would be queued."""
    names = ("positive_points", "negative_points", "drawn_boxes")
    return {node: [entry["inputs"][name] for name in names] for node, entry in page.evaluate(PROMPT)}


def test_the_pages_undo_and_redo(drawn):
    drawn.mouse.click(*points.at(drawn, 200, 150))
    more = ['[{"x":130,"y":100},{"x":200,"y":150}]', *TEXTS[1:]]
    after = state(texts=more, line=LINE.replace("on 1", "on 2"))
    wait_for(drawn, [after])
    drawn.evaluate("() => document.activeElement.blur()")
    command(drawn, "Comfy.Undo")
    wait_for(drawn, [state()])
    assert inputs(drawn) == {"4": TEXTS}
    command(drawn, "Comfy.Redo")
    wait_for(drawn, [after])
    assert inputs(drawn) == {"4": more}


def test_a_copy_has_an_editor_of_its_own(drawn):
    drawn.evaluate(SELECT)
    drawn.evaluate(
        """() => {
            app.canvas.copyToClipboard();
            [app.canvas.graph_mouse[0], app.canvas.graph_mouse[1]] = [760, 700];
            app.canvas.pasteFromClipboard({connectInputs: true});
        }"""
    )
    wait_for(drawn, [state(), state()])
    drawn.mouse.click(*points.at(drawn, 200, 150))
    more = ['[{"x":130,"y":100},{"x":200,"y":150}]', *TEXTS[1:]]
    assert list(inputs(drawn).values()) == [more, TEXTS]


@pytest.mark.parametrize(("name", "mode"), [("Bypass", 4), ("Mute", 2)])
def test_bypassed_or_muted_and_back(drawn, name, mode):
    drawn.evaluate(SELECT)
    command(drawn, f"Comfy.Canvas.ToggleSelectedNodes.{name}")
    wait_for(drawn, [state(mode)])
    assert inputs(drawn) == {}
    command(drawn, f"Comfy.Canvas.ToggleSelectedNodes.{name}")
    wait_for(drawn, [state()])
    assert inputs(drawn) == {"4": TEXTS}


def test_collapsed_and_back(drawn):
    drawn.evaluate(SELECT)
    command(drawn, "Comfy.Canvas.ToggleSelectedNodes.Collapse")
    wait_for(drawn, [state(shown=False)])
    assert inputs(drawn) == {"4": TEXTS}
    command(drawn, "Comfy.Canvas.ToggleSelectedNodes.Collapse")
    wait_for(drawn, [state()])


def test_in_a_group(drawn):
    drawn.evaluate(SELECT)
    command(drawn, "Comfy.Graph.GroupSelectedNodes")
    drawn.evaluate("() => { app.graph._groups[0].move(30, 20); app.canvas.setDirty(true, true); }")
    wait_for(drawn, [state()])
    assert inputs(drawn) == {"4": TEXTS}


def test_outside_it_shows_the_picture_of_a_subgraph(drawn):
    drawn.evaluate(
        """() => {
            app.canvas.deselectAll();
            for (const node of app.graph._nodes) if (['1', '3'].includes(`${node.id}`)) app.canvas.select(node);
        }"""
    )
    command(drawn, "Comfy.Graph.ConvertToSubgraph")
    assert drawn.evaluate("() => app.graph._nodes.filter((node) => node.subgraph).length") == 1
    wait_for(drawn, [state()])
    drawn.mouse.click(*points.at(drawn, 200, 150))
    more = ['[{"x":130,"y":100},{"x":200,"y":150}]', *TEXTS[1:]]
    assert inputs(drawn) == {"4": more}


def test_in_a_subgraph_it_shows_the_picture_from_outside(drawn):
    drawn.evaluate(SELECT)
    command(drawn, "Comfy.Graph.ConvertToSubgraph")
    drawn.wait_for_timeout(500)
    (place,) = inputs(drawn)
    assert place.endswith(":4") and inputs(drawn)[place] == TEXTS
    saved = drawn.evaluate("() => JSON.stringify(app.graph.serialize())")
    drawn.evaluate("(saved) => app.loadGraphData(JSON.parse(saved), true, true, 'points')", saved)
    drawn.wait_for_timeout(500)
    assert inputs(drawn) == {place: TEXTS}
    drawn.evaluate(
        """() => {
            const place = app.graph._nodes.find((node) => node.subgraph);
            app.canvas.openSubgraph(place.subgraph, place);
        }"""
    )
    drawn.wait_for_function(f"(line) => ({STATE})().some((inside) => inside.shown && inside.line === line)", arg=LINE)
    (inside,) = drawn.evaluate(STATE)
    assert inside["texts"] == TEXTS
