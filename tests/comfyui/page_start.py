"""How long ComfyUI's page takes to start, with the pack and without, in turns, as a Markdown table:

    python -m trilemma.tests.comfyui.page_start

COMFYUI_PATH and TRILEMMA_FRONTEND choose ComfyUI and its page. Promised: with the pack it is usable within a second of
what it takes without.
"""

from __future__ import annotations

import statistics
import tempfile
from pathlib import Path
from typing import Any

from . import page as pages
from . import server

RUNS = 5
PROMISED = 1.0
"""Seconds."""


def start(browser: Any, address: str, ready: str) -> tuple[float, float]:
    """Seconds from navigation to a page that answers, and processor seconds of its main thread; nothing is cached."""
    context = browser.new_context(viewport={"width": 1920, "height": 1080})
    page = context.new_page()
    page.set_default_timeout(300_000)
    session = context.new_cdp_session(page)
    session.send("Performance.enable", {"timeDomain": "threadTicks"})
    page.goto(f"http://{address}", wait_until="domcontentloaded")
    page.wait_for_function(ready)
    seconds = page.evaluate("() => performance.now()") / 1000
    metrics = {metric["name"]: metric["value"] for metric in session.send("Performance.getMetrics")["metrics"]}
    context.close()
    return seconds, metrics["TaskDuration"]


def main() -> int:
    from playwright.sync_api import sync_playwright

    checkout = server.comfyui_path()
    if checkout is None or pages.missing():
        print(f"No {pages.missing() or 'ComfyUI'}.")
        return 2
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        bases = [Path(folder) / name for name in ("with", "without")]
        with server.running(checkout, bases[0]) as ours, server.running(checkout, bases[1], ours=False) as bare:
            for each in (ours, bare):
                each.post("/settings/Comfy.TutorialCompleted", True)
            browser = playwright.chromium.launch(executable_path=pages.chromium(), args=list(pages.FLAGS))
            turns = []
            for turn in range(RUNS + 1):
                with_it = start(browser, ours.address, pages.READY)
                without = start(browser, bare.address, f"() => {pages.USABLE}")
                if turn:  # the first reads the server's files from the disk
                    turns.append((with_it, without))
            browser.close()
            version = ours.get("/system_stats")["system"]
    print("| what | with the pack, s | without, s | difference, s | promised |\n|---|---|---|---|---|")
    differences = []
    for index, what in enumerate(("until usable", "processor, main thread")):
        both = [statistics.median(turn[side][index] for turn in turns) for side in (0, 1)]
        differences.append(both[0] - both[1])
        print(f"| {what} | {both[0]:.2f} | {both[1]:.2f} | {differences[-1]:.2f} | {PROMISED:g} |")
    print(f"\nComfyUI {version['comfyui_version']}; every turn: {turns}")
    return int(differences[0] > PROMISED)


if __name__ == "__main__":
    raise SystemExit(main())
