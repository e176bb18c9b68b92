"""The examples as the page shows them: found under the pack's name, with room for every node, run, shown again from the
cache and after a reload, and what is said where files lack.

All are opened; those that last seconds are run.
"""

import json

import pytest
from trilemma.tests.comfyui import page as pages
from trilemma.tests.comfyui.server import PACK
from trilemma.tests.comfyui.test_examples import EXAMPLES, SAVERS

pytestmark = pytest.mark.host

QUICK = ["draw_by_sentence", "draw_from_features", "lora_composer"]
LACKING = {
    "grounded_inpaint_native": "sd-v1-5-inpainting.safetensors",
    "grounded_inpaint_photo": "sam_vit_b_01ec64.pth",
    "vqgan_clip": "vqgan_imagenet_f16_16384",
}
"""Names of the first file that each wants."""
STATE = """() => Object.fromEntries(app.graph._nodes.map((node) => [node.id, {
    type: node.type,
    title: node.title,
    told: app.nodeOutputs[node.id] ?? null,
    report: node.widgets?.find((widget) => widget.name === 'report_text')?.value ?? null,
    pictures: document.querySelector(`[data-node-id="${node.id}"]`)
        ? [...document.querySelectorAll(`[data-node-id="${node.id}"] img`)].map((image) => image.naturalWidth)
        : (node.imgs ?? []).map((image) => image.naturalWidth),
}]))"""
"""What each node has been told and shows."""
COMPLETE = f"""(savers) => Object.values(({STATE})()).every(({{type, told, report, pictures}}) =>
    (!savers.includes(type) || pictures.some((width) => width > 0))
    && (!type.startsWith('Trilemma') || !told?.text || report === told.text.join('\\n')))"""


@pytest.fixture(scope="module", params=[True, False], ids=["vue nodes", "canvas nodes"])
def page(live, request):
    pages.nodes_of(live, request.param)
    with pages.opened(live, new_nodes=request.param) as opened:
        yield opened


@pytest.fixture(autouse=True)
def no_complaint_of_ours(page):
    page.complaints.clear()
    yield
    assert not page.complaints


def load(page, name):
    """Under a name of its own: what a graph of the same name and numbers showed would be shown again."""
    graph = json.loads((PACK / "example_workflows" / f"{name}.json").read_text())
    page.evaluate("async ([graph, name]) => { await app.loadGraphData(graph, true, true, name); }", [graph, name])
    page.wait_for_function(pages.OPEN, arg=name)
    page.wait_for_timeout(1000)


def run(page):
    """Queues what is open and waits: the ids of nodes that were answered from the cache."""
    page.evaluate(
        """() => {
            window.cached = [];
            const keep = ({detail}) => { window.cached = detail.nodes.map(String); };
            app.api.addEventListener('execution_cached', keep, {once: true});
        }"""
    )
    pages.queue(page)
    ended = pages.wait_until_ended(page, seconds=400)["ended"]
    assert ended[0] == "execution_success", ended
    return page.evaluate("() => window.cached")


def check_shown(page):
    """Every picture and every report that the server has told of is on its node: the reports, by title."""
    page.evaluate("() => app.extensionManager.command.execute('Comfy.Canvas.FitView')")
    page.wait_for_function(COMPLETE, arg=list(SAVERS))
    shown = page.evaluate(STATE).values()
    assert any(node["pictures"] for node in shown)
    reports = {node["title"]: node["report"] for node in shown if node["report"]}
    assert reports
    return reports


def tells_nothing(live):
    """Whether this ComfyUI is silent about reports that it answers from its cache."""
    told = live.get("/object_info/TrilemmaSelectDetections")["TrilemmaSelectDetections"]
    return "has_intermediate_output" not in told


@pytest.mark.parametrize("name", [path.stem for path in EXAMPLES])
def test_no_node_covers_another_when_it_is_opened(page, name):
    load(page, name)
    pages.check_places(page)


@pytest.mark.parametrize("name", QUICK)
def test_it_runs_and_shows_all_it_tells_and_again_from_the_cache(page, live, name):
    pages.load_template(page, name)
    run(page)
    reports = check_shown(page)
    pages.check_places(page)
    if tells_nothing(live):
        return

    page.reload(wait_until="domcontentloaded")
    page.wait_for_function(pages.READY)
    page.wait_for_function(pages.OPEN, arg=name)
    assert run(page), "nothing came from the cache"
    assert check_shown(page) == reports
    pages.check_places(page)


@pytest.mark.parametrize("name", LACKING)
def test_without_its_files_it_says_which(page, name):
    pages.load_template(page, name)
    refused = page.evaluate("async () => { await app.queuePrompt(0, 1); return app.lastNodeErrors; }")
    assert LACKING[name] in json.dumps(refused)
    pages.close_dialogs(page)
