"""The panels on nodes, in the real page: the leaderboard, pictures that were drawn, and boxes."""

import json

import pytest
from trilemma.tests.comfyui import page as pages

pytestmark = pytest.mark.host


def node(kind, **inputs):
    return {"class_type": kind, "inputs": inputs}


def benchmark(name, first_seed):
    links = {"generator": ["2", 0], "extractor": ["3", 0], "reference": ["4", 0]}
    return node(
        "TrilemmaBenchmarkGenerator",
        **links,
        num_images=8,
        first_seed=first_seed,
        filename_prefix="panels/run",
        name=name,
    )


GRAPH = {
    "1": node("TrilemmaLoadGenerator", model="starter emoji vae"),
    "2": node("TrilemmaCondition", generator=["1", 0], text="cat\ndog"),
    "3": node("TrilemmaLoadFeatureExtractor", model="starter emoji classifier", resize="TF1"),
    "4": node("TrilemmaExampleReference", reference="starter emoji pictures"),
    "5": node("TrilemmaSampleImages", generator=["2", 0], num_images=6, seed=40),
    "6": node("PreviewImage", images=["5", 0]),
    "7": benchmark("first", 0),
    "8": benchmark("second", 8),
    "9": node(
        "TrilemmaLeaderboard",
        sort_by="fid",
        quality="fid",
        coverage="coverage",
        theme="light",
        filename_prefix="",
        scores_1=["7", 0],
        scores_2=["8", 0],
    ),
    "10": node("TrilemmaExampleScene", scene="garden"),
    "11": node("TrilemmaLoadDetector", model="starter emoji detector"),
    "12": node("TrilemmaDetectByText", detector=["11", 0], image=["10", 0], prompt="a mushroom . a cat"),
    "13": node(
        "TrilemmaSelectDetections", detections=["12", 0], box_threshold=0.35, text_threshold=0.25, image=["10", 0]
    ),
    "14": node("TrilemmaDrawDetections", image=["10", 0], boxes=["13", 0]),
    "15": node("PreviewImage", images=["14", 0]),
}
PANEL = """([id, key]) => app.graph.getNodeById(id).widgets.find((widget) => widget.name === key).element"""
BOARD, SAMPLES, BOXES = ["9", "trilemma_board"], ["5", "trilemma_samples"], ["13", "trilemma_boxes"]


@pytest.fixture(scope="module", params=[True, False], ids=["vue nodes", "canvas nodes"])
def page(live, request):
    version = live.get("/system_stats")["system"]["comfyui_version"]
    if request.param and version.startswith("0.3."):
        pytest.skip(f"ComfyUI {version} has Vue nodes as an experiment")
    live.free()
    with pages.opened(live, request.param, has_touch=True) as opened:
        opened.evaluate("async (graph) => { await app.loadApiJson(graph, 'panels'); }", GRAPH)
        opened.wait_for_timeout(1000)
        pages.queue(opened)
        seen = pages.wait_until_ended(opened)
        assert seen["ended"][0] == "execution_success", seen["ended"]
        opened.wait_for_timeout(1000)
        yield opened


def of_panel(page, panel, expression):
    """A JavaScript expression of the panel's `element`, evaluated."""
    return page.evaluate(f"(panel) => {{ const element = ({PANEL})(panel); return {expression}; }}", panel)


NAMES = "[...element.querySelectorAll('td.name')].map((cell) => cell.textContent)"


def test_the_board_is_sorted_by_a_click(page):
    before = of_panel(page, BOARD, NAMES)
    assert sorted(before) == ["first", "second"]
    of_panel(page, BOARD, "element.querySelector('th.name').click()")
    assert of_panel(page, BOARD, NAMES) == ["first", "second"]
    of_panel(page, BOARD, "element.querySelector('th.name').click()")
    assert of_panel(page, BOARD, NAMES) == ["second", "first"]


def test_a_click_on_a_mark_tells_where_it_comes_from(page):
    assert of_panel(page, BOARD, "element.querySelectorAll('svg circle').length") == 2
    mark = "element.querySelector('svg .mark').dispatchEvent(new MouseEvent('click', {bubbles: true}))"
    of_panel(page, BOARD, mark)
    told = of_panel(page, BOARD, "element.querySelector('.about').textContent")
    assert "samples: 8" in told
    assert "Nearest to the reference:" in told and "Farthest from the reference:" in told


SHOWN = """[...element.querySelectorAll('.strip')].map((strip) => [...strip.querySelectorAll('img')].map(
    (image) => [image.alt === image.title && image.alt, image.naturalWidth, image.className]))"""


def pictures_of(page, name):
    """What is seen of the samples of a row once it is chosen: captions, widths and looks, nearest and farthest."""
    row = f"[...element.querySelectorAll('tbody tr')].find((row) => row.textContent.includes('{name}'))"
    of_panel(page, BOARD, f"{row}.matches('[aria-selected=true]') || {row}.click()")
    page.wait_for_function(
        f"(panel) => {{ const images = ({PANEL})(panel).querySelectorAll('.strip img');"
        "return images.length && [...images].every((image) => image.complete); }",
        arg=BOARD,
    )
    return of_panel(page, BOARD, SHOWN)


def test_a_click_shows_the_best_and_the_worst_samples(page):
    for name, first_seed in (("first", 0), ("second", 8)):
        nearest, farthest = pictures_of(page, name)
        assert sorted(nearest) == sorted(farthest) and nearest[0] != farthest[0]
        captions = [f"seed {seed} · {'dog' if seed % 2 else 'cat'}" for seed in range(first_seed, first_seed + 8)]
        assert sorted(nearest) == sorted([caption, 32, "enlarged"] for caption in captions)


FOCUS = """(() => {
    const at = document.activeElement;
    return [at.tagName, (at.querySelector('title') ?? at).textContent.split('\\n')[0], at.matches(':focus-visible')];
})()"""


def focused(page):
    """Tag, beginning of the text, and whether it is seen, of what the keyboard is at."""
    return page.evaluate(FOCUS)


def test_the_board_is_used_by_keyboard(page):
    of_panel(page, BOARD, "element.querySelector('tbody tr[aria-selected=true]')?.click()")
    of_panel(page, BOARD, "element.querySelectorAll('button')[2].focus()")
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    sorts = "[...element.querySelectorAll('th')].map((each) => each.ariaSort)"
    ways = []
    for key in ("Enter", "Space"):
        page.keyboard.press(key)
        tag, text, seen = focused(page)
        assert tag == "TH" and text.startswith("model") and seen
        others, way = of_panel(page, BOARD, sorts), of_panel(page, BOARD, "element.querySelector('th.name').ariaSort")
        assert [each for each in others if each] == [way]
        assert of_panel(page, BOARD, NAMES) == sorted(["first", "second"], reverse=way == "descending")
        ways.append(way)
    assert sorted(ways) == ["ascending", "descending"]
    columns = of_panel(page, BOARD, "element.querySelectorAll('th').length")
    for _ in range(columns - 1):
        page.keyboard.press("Tab")
    assert focused(page)[0] == "TR"
    for key, chosen in (("Enter", ["true", "false"]), ("Space", ["false", "false"]), ("Space", ["true", "false"])):
        page.keyboard.press(key)
        rows = "[...element.querySelectorAll('tbody tr')].map((row) => row.ariaSelected)"
        assert of_panel(page, BOARD, rows) == chosen
        assert focused(page)[0] == "TR"
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    tag, name, seen = focused(page)
    assert tag == "g" and name in ("first", "second") and seen
    pressed = "[...element.querySelectorAll('.mark')].map((mark) => mark.getAttribute('aria-pressed'))"
    before = of_panel(page, BOARD, pressed)
    page.keyboard.press("Space")
    after = of_panel(page, BOARD, pressed)
    assert after[0] == {"true": "false", "false": "true"}[before[0]]
    assert focused(page) == [tag, name, seen]


def test_the_csv_is_saved(page):
    with page.expect_download() as saving:
        of_panel(page, BOARD, "element.querySelectorAll('button')[1].click()")
    assert saving.value.suggested_filename == "leaderboard.csv"
    header = saving.value.path().read_text().splitlines()[0]
    assert header.startswith("rank,name,")


def test_all_pictures_are_shown_and_fit(page):
    shown = of_panel(
        page,
        SAMPLES,
        "[...element.querySelectorAll('img')].map((i) => [i.naturalWidth, i.clientWidth, i.title])",
    )
    assert [title for *_, title in shown] == [
        f"image {i} · seed {40 + i} · {'dog' if i % 2 else 'cat'}" for i in range(6)
    ]
    assert all(natural == 32 and across > 32 for natural, across, _ in shown)
    assert of_panel(page, SAMPLES, "element.scrollHeight <= element.clientHeight + 1")


def test_a_click_keeps_a_seed(page):
    of_panel(page, SAMPLES, "element.querySelectorAll('img')[3].click()")
    values = page.evaluate(
        "() => Object.fromEntries(app.graph.getNodeById(5).widgets.map(({name, value}) => [name, value]))"
    )
    assert values["seed"] == 43
    assert values["control_after_generate"] == "fixed"


def test_a_seed_is_kept_by_keyboard(page):
    of_panel(page, SAMPLES, "element.querySelectorAll('img')[0].focus()")
    page.keyboard.press("Tab")
    says = "element.querySelector('.says').textContent"
    assert of_panel(page, SAMPLES, says) == "image 1 · seed 41 · dog"
    seed = "() => app.graph.getNodeById(5).widgets.find(({name}) => name === 'seed').value"
    for key, kept in (("Space", 41), ("Tab", 41), ("Enter", 42)):
        page.keyboard.press(key)
        assert page.evaluate(seed) == kept
    page.evaluate("() => { app.graph.getNodeById(5).widgets.find(({name}) => name === 'seed').value = 43; }")


def test_no_live_preview_stays_below_the_pictures(page, live):
    version = live.get("/system_stats")["system"]["comfyui_version"]
    if version.startswith("0.3."):
        pytest.skip(f"the page of ComfyUI {version} keeps a live preview")
    assert page.evaluate("() => app.graph.getNodeById(5).imgs?.length ?? 0") == 0


def test_a_click_drops_a_box_in_the_next_run(page):
    labels = "[...element.querySelectorAll('.box text')].map((text) => text.textContent.replace(/ [^ ]+$/, ''))"
    before = of_panel(page, BOXES, labels)
    assert before and set(before) <= {"a mushroom", "a cat"}
    assert of_panel(page, BOXES, "element.querySelectorAll('.threshold').length") == 2
    of_panel(page, BOXES, "element.querySelector('.box').dispatchEvent(new MouseEvent('click'))")
    assert of_panel(page, BOXES, "element.querySelectorAll('.box.dropped').length") == 1
    pages.queue(page)
    assert pages.wait_until_ended(page)["ended"][0] == "execution_success"
    page.wait_for_timeout(500)
    assert "1 dropped by hand" in of_panel(page, ["13", "report_text"], "element.value")
    assert sorted(of_panel(page, BOXES, labels)) == sorted(before)
    of_panel(page, BOXES, "element.querySelector('.box.dropped').dispatchEvent(new MouseEvent('click'))")
    dropped = "(id) => app.graph.getNodeById(id).widgets.find(({name}) => name === 'dropped').value"
    assert page.evaluate(dropped, "13") == "[]"


SEEN = """(id) => {
    const {pos} = app.graph.getNodeById(id);
    app.canvas.ds.offset = [100 - pos[0], 100 - pos[1]];
    app.canvas.setDirty(true, true);
}"""


ENDS = """[...element.querySelectorAll('.box text')].map((text) => {
    const [own, all] = [text, text.ownerSVGElement].map((each) => each.getBoundingClientRect());
    return [own.left - all.left, own.width, all.right - own.right];
})"""
"""Of each name the room at its left, its width, and the room at its right."""


def test_names_of_boxes_are_seen_whole(page):
    """In a node as narrow as it gets, too, where the picture is as wide as the node."""
    page.evaluate(SEEN, BOXES[0])
    for high in (300, 900):
        page.evaluate("([id, high]) => { app.graph.getNodeById(id).setSize([210, high]); }", [BOXES[0], high])
        page.wait_for_timeout(1000)
        names = of_panel(page, BOXES, ENDS)
        assert len(names) == 2
        assert all(left >= 0 and width > 0 and right >= 0 for left, width, right in names), (high, names)


AWAY = """(id) => {
    app.graph.getNodeById(id).pos = [9000, 0];
    app.canvas.ds.offset = [-8700, 100];
    app.canvas.setDirty(true, true);
}"""
AIM = f"""([panel, within]) => {{
    const element = ({PANEL})(panel);
    const aim = element.querySelector(within);
    element.querySelector('.scroll').scrollLeft = 0;
    element.scrollTop += aim.getBoundingClientRect().top - element.getBoundingClientRect().top - 50;
    const {{left, top}} = element.getBoundingClientRect();
    const {{ds}} = app.canvas;
    ds.offset[0] += (400 - left) / ds.scale;
    ds.offset[1] += (300 - top) / ds.scale;
    app.canvas.setDirty(true, true);
}}"""
PLACE = f"""([panel, within]) => {{
    const {{left, top, width, height}} = ({PANEL})(panel).querySelector(within).getBoundingClientRect();
    return [left + width / 2, top + height / 2];
}}"""


def tap(page, panel, within):
    """By a finger, on the middle of an element; the node is taken to where no other covers it."""
    page.evaluate(AWAY, panel[0])
    page.wait_for_timeout(500)
    page.evaluate(AIM, [panel, within])
    page.wait_for_timeout(500)
    page.touchscreen.tap(*page.evaluate(PLACE, [panel, within]))


def test_a_tap_chooses_a_row_and_a_mark(page):
    of_panel(page, BOARD, "element.querySelector('tbody tr[aria-selected=true]')?.click()")
    chosen = "element.querySelector('tr[aria-selected=true] .name')?.textContent"
    tap(page, BOARD, "tbody tr:nth-child(2) .name")
    assert of_panel(page, BOARD, chosen) == of_panel(page, BOARD, NAMES)[1]
    tap(page, BOARD, "tbody tr:nth-child(2) .name")
    assert of_panel(page, BOARD, chosen) is None
    tap(page, BOARD, ".mark circle")
    assert of_panel(page, BOARD, chosen) == of_panel(page, BOARD, "element.querySelector('.mark').dataset.row")
    tap(page, BOARD, "th.name")
    assert of_panel(page, BOARD, "element.querySelector('th.name').ariaSort") in ("ascending", "descending")


def test_a_box_is_dropped_by_keyboard_and_comes_back_by_the_pages_undo(page):
    dropped = "() => JSON.parse(app.graph.getNodeById(13).widgets.find(({name}) => name === 'dropped').value).length"
    page.evaluate(AWAY, "13")  # to where it is seen
    page.wait_for_timeout(500)
    of_panel(page, BOXES, "element.querySelector('.box').focus()")
    for pressed, count in (("Enter", 1), ("Space", 0), ("Enter", 1)):  # the keyboard stays on it
        page.keyboard.press(pressed)
        assert page.evaluate(dropped) == count
    page.evaluate("() => { document.activeElement.blur(); app.extensionManager.command.execute('Comfy.Undo'); }")
    page.wait_for_function(f"() => ({dropped})() === 0")


def test_panels_come_back_with_the_graph_and_are_not_saved(page):
    graph = page.evaluate("() => app.graph.serialize()")
    assert "trilemma_" not in json.dumps([node.get("widgets_values") for node in graph["nodes"]])
    before = of_panel(page, BOARD, NAMES)
    page.evaluate("async () => { await app.extensionManager.command.execute('Comfy.NewBlankWorkflow'); }")
    page.wait_for_function("() => !app.graph._nodes.some((node) => node.type.startsWith('Trilemma'))")
    for _ in range(4):
        page.evaluate("() => app.extensionManager.command.execute('Workspace.NextOpenedWorkflow')")
        page.wait_for_timeout(1000)
        if page.evaluate("() => app.graph._nodes.some((node) => node.type.startsWith('Trilemma'))"):
            break
    assert sorted(of_panel(page, BOARD, NAMES)) == sorted(before)
    assert [len(strip) for strip in pictures_of(page, "first")] == [8, 8]
    assert of_panel(page, SAMPLES, "element.querySelectorAll('img').length") == 6


def test_pictures_come_again_with_a_run_after_a_reload(page):
    """The page itself forgets then what nodes have shown."""
    page.reload(wait_until="domcontentloaded")
    page.wait_for_function(pages.READY)
    page.wait_for_function("() => app.graph._nodes.some((node) => node.type.startsWith('Trilemma'))")
    page.wait_for_timeout(2000)
    pages.queue(page)
    assert pages.wait_until_ended(page)["ended"][0] == "execution_success"
    page.wait_for_timeout(1000)
    assert [len(strip) for strip in pictures_of(page, "second")] == [8, 8]
