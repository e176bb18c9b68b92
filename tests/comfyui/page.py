"""ComfyUI's real page in Debian's Chromium, driven by Playwright."""

from __future__ import annotations

import contextlib
import importlib.util
import shutil
from collections.abc import Iterator
from typing import Any

import pytest

from .server import Server

FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
USABLE = """window.app?.extensionManager && app.vueAppReady
    && app.extensionManager.workflow?.activeWorkflow && !document.querySelector('.p-blockui-mask')"""
READY = f"() => {USABLE} && window.trilemmaReady"
RECORD = """() => {
    window.seen = {previews: 0, progress: 0, reached: {}, ended: null};
    const end = (kind) => app.api.addEventListener(kind, (event) => { seen.ended = [kind, event.detail]; });
    ['execution_success', 'execution_error', 'execution_interrupted'].forEach(end);
    app.api.addEventListener('b_preview_with_metadata', () => { seen.previews += 1; });
    app.api.addEventListener('b_preview', () => { seen.previews += 1; });
    app.api.addEventListener('progress', ({detail: {node, value, max}}) => {
        seen.progress += 1;
        seen.reached[node] = [value, max];
    });
}"""

OPEN = r"""(name) => name === app.extensionManager.workflow.activeWorkflow?.path
        .split('/').pop().replace(/( \(\d+\))?\.json$/, '')
    && app.graph._nodes.some((node) => node.type.startsWith('Trilemma'))"""
IDLE = """() => new Promise((done) => {
    let [last, calm] = [performance.now(), 0];
    const timer = setInterval(() => {
        const now = performance.now();
        calm = now - last < 200 ? calm + 1 : 0;
        last = now;
        if (calm === 20) { clearInterval(timer); done(); }
    }, 50);
})"""
RECTANGLES = """() => app.graph._nodes.map((node) => {
    const element = document.querySelector(`[data-node-id="${node.id}"]`);
    const [x, y] = [node.pos[0], node.pos[1] - LiteGraph.NODE_TITLE_HEIGHT];
    if (!element) return [node.title, x, y, node.size[0], node.size[1] + LiteGraph.NODE_TITLE_HEIGHT];
    return [node.title, x, y, element.offsetWidth, element.offsetHeight];
})"""
"""Title, left, top, width and height of every node, as the page draws it."""


def chromium() -> str | None:
    """Path of the browser, where there is one."""
    return shutil.which("chromium")


def missing() -> str | None:
    """What is not here of what shows the page."""
    if importlib.util.find_spec("playwright") is None:
        return "Playwright"
    return None if chromium() else "Chromium"


@contextlib.contextmanager
def opened(server: Server, new_nodes: bool = True, locale: str = "en", **options: Any) -> Iterator[Any]:
    """Playwright's page with ComfyUI loaded and ready; `new_nodes`: the Vue nodes instead of the canvas ones; `options`
    of Playwright's browser context. Its `complaints` are errors and warnings that name the pack."""
    from playwright.sync_api import sync_playwright

    server.post("/settings/Comfy.TutorialCompleted", True)
    server.post("/settings/Comfy.VueNodes.Enabled", new_nodes)
    server.post("/settings/Comfy.Locale", locale)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=list(FLAGS))
        page = browser.new_page(viewport={"width": 1920, "height": 1080}, **options)
        complaints = page.complaints = []
        page.on("pageerror", lambda error: complaints.extend(_of_ours(error.stack or "")))
        page.on("console", lambda said: complaints.extend(_of_ours(f"{said.text} {said.location['url']}", said.type)))
        # Beside other work the page's own scripts may take most of a minute.
        page.set_default_timeout(120_000)
        page.goto(f"http://{server.address}", wait_until="domcontentloaded")
        page.wait_for_function(READY)
        yield page
        browser.close()


def _of_ours(said: str, kind: str = "error") -> list[str]:
    return [said] if kind in ("error", "warning") and "trilemma" in said.lower() else []


def nodes_of(live: Server, new_nodes: bool) -> None:
    """Skips a test that has no browser, or that asks for the Vue nodes where they are an experiment."""
    pytest.importorskip("playwright", reason="no Playwright to drive the page")
    if chromium() is None:
        pytest.skip("no Chromium to show the page")
    version = live.get("/system_stats")["system"]["comfyui_version"]
    if new_nodes and version.startswith("0.3."):
        pytest.skip(f"ComfyUI {version} has Vue nodes as an experiment")


def load_template(page: Any, name: str) -> None:
    """Loads an example of the pack as a user does: from the template browser, where it stands under the pack's name."""
    page.evaluate("() => app.extensionManager.command.execute('Comfy.BrowseTemplates')")
    dialog = page.get_by_role("dialog")
    # What is typed before the templates have come finds nothing, and is not looked for again.
    page.locator("[data-testid^=template-workflow-]").first.wait_for()
    dialog.get_by_text("ComfyUI-Trilemma").first.click()
    dialog.get_by_placeholder("Search").first.fill(name)
    page.get_by_test_id(f"template-workflow-{name}").first.click()
    page.wait_for_function(OPEN, arg=name)
    page.get_by_test_id(f"template-workflow-{name}").first.wait_for(state="detached")
    wait_until_idle(page)


def wait_until_idle(page: Any) -> None:
    """Without a GPU the page paints the template browser for up to a minute, and hears of nothing meanwhile: a run
    may be over before its first preview arrives."""
    page.evaluate(IDLE)


OPEN_DETAILS = """(text) => {
    if (document.body.innerText.includes(text)) return true;
    const asked = /^(View details|See Errors?|Show Report|Details?)$/;
    [...document.querySelectorAll('button')].find((button) => asked.test(button.innerText.trim()))?.click();
    return false;
}"""


def said_in_panel(page: Any, text: str) -> str:
    """All that the page says, once it says `text` where a user looks for what went wrong."""
    page.wait_for_function(OPEN_DETAILS, arg=text, polling=1000)
    return page.evaluate("() => document.body.innerText")


def close_dialogs(page: Any) -> None:
    for _ in range(2):
        page.keyboard.press("Escape")
        page.wait_for_timeout(300)


def queue(page: Any) -> None:
    """Queues the graph that is open; `wait_until_ended` tells how it went."""
    page.evaluate(RECORD)
    refused = page.evaluate("async () => { await app.queuePrompt(0, 1); return app.lastNodeErrors; }")
    assert not refused, refused


def wait_until_ended(page: Any, seconds: float = 180) -> dict[str, Any]:
    """What the page has seen of the run: {"previews", "progress": how often it was told, "reached": {node: [last value,
    highest]}, "ended": [event, detail]}. ComfyUI tells of no more than ten steps a second, but always of the last."""
    page.wait_for_function("() => seen.ended", timeout=seconds * 1000)
    return page.evaluate("() => seen")


def check_places(page: Any) -> None:
    """No node covers another, and each stands wholly in its group."""
    boxes = page.evaluate(RECTANGLES)
    groups = page.evaluate("() => app.graph._groups.map((group) => [...group._bounding])")
    for index, (title, *box) in enumerate(boxes):
        covered = [other for other, *place in boxes[index + 1 :] if _meet(box, place)]
        assert not covered, f"{title} at {box} covers {covered}"
        assert all(_within(box, group) for group in groups if _meet(box, group)), f"{title} at {box} leaves its group"


def _meet(one: list[float], other: list[float]) -> bool:
    return all(one[i] < other[i] + other[i + 2] - 1 and other[i] < one[i] + one[i + 2] - 1 for i in (0, 1))


def _within(box: list[float], group: list[float]) -> bool:
    return all(group[i] <= box[i] and box[i] + box[i + 2] <= group[i] + group[i + 2] for i in (0, 1))
