"""Draws the pictures of the help pages, `web/docs/pictures/<id>.webp`, in a real ComfyUI and its page:

    python -m trilemma.tests.comfyui.help_pictures [ID ...]

COMFYUI_PATH names the checkout. What each picture shows is in `help_graphs.py`; without ids all are drawn.
"""

from __future__ import annotations

import io
import sys
import tempfile
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw

from . import help_graphs, page
from .help_graphs import Graph, Picture, Results, Shot
from .server import PACK, Server, comfyui_path, running

FOLDER = PACK / "web" / "docs" / "pictures"
WIDTH, GAP, ARROW = 440, 8, 22
TALLEST, TALLEST_SHOT = 260, 640
"""Pixels: of a picture, between its parts, of an arrow; the height of a row of results, and of one with a node."""
ZOOM, MARGIN = 1.6, 11
"""Of the page when it is photographed, at most, and the pixels of canvas left around nodes."""
GREY = (128, 128, 128, 255)
"""Seen on a dark page and on a light one; what lies between the parts is transparent."""

LOAD = "async (graph) => { await app.loadApiJson(graph, 'help'); }"
HEAR = """(shown) => Object.entries(shown).forEach(([node, output]) =>
    app.api.dispatchCustomEvent('executed', {node, display_node: node, output, prompt_id: 'help'}))"""
ROW = """([ids, wide, zoom]) => {
    window.row = (window.row ?? 0) + 1;
    let [x, y] = [-20000, -20000 - 5000 * row];
    const nodes = ids.map((id) => app.graph.getNodeById(id));
    for (const node of wide ? nodes : []) node.setSize([wide, Math.max(node.computeSize()[1], node.size[1])]);
    const widths = nodes.map((node) => node.size[0] + 50);
    const highest = Math.max(...nodes.map((node) => node.size[1] + 60));
    zoom = Math.min(zoom, 780 / widths.reduce((sum, width) => sum + width), 1150 / highest);
    app.canvas.ds.scale = zoom;
    app.canvas.ds.offset = [90 / zoom - x, 300 / zoom - y];
    for (const id of ids) {
        const node = app.graph.getNodeById(id);
        node.pos = [x, y];
        x += node.size[0] + 50;
    }
    document.querySelectorAll('[data-helped]').forEach((element) => element.removeAttribute('data-helped'));
    ids.forEach((id) => document.querySelector(`[data-node-id="${id}"]`).setAttribute('data-helped', ''));
    app.canvas.setDirty(true, true);
}"""
"""Each row at a place of its own, away from all other nodes, and from what the page lays over the canvas."""
FRAME = """(ids) => {
    const boxes = ids.map((id) => document.querySelector(`[data-node-id="${id}"]`).getBoundingClientRect());
    const [left, top] = ['left', 'top'].map((side) => Math.min(...boxes.map((box) => box[side])));
    const [right, bottom] = ['right', 'bottom'].map((side) => Math.max(...boxes.map((box) => box[side])));
    return {x: left, y: top, width: right - left, height: bottom - top};
}"""
LOADED = """() => [...document.querySelectorAll('[data-helped] img')].every((image) => image.complete)"""
STYLE = "(rules) => { document.head.appendChild(document.createElement('style')).textContent = rules; }"
ALONE = "[data-node-id]:not([data-helped]) { visibility: hidden !important; }"
"""The style of all nodes but those that are photographed: without a GPU every node that is painted costs time."""


def main(names: list[str]) -> None:
    """Draws the pictures of these nodes, or of all."""
    checkout = comfyui_path()
    if checkout is None:
        sys.exit("no ComfyUI: set COMFYUI_PATH")
    with tempfile.TemporaryDirectory() as base:
        help_graphs.write_files(Path(base))
        with running(checkout, Path(base)) as server:
            draw(server, names or list(help_graphs.PICTURES))


def draw(server: Server, names: list[str]) -> None:
    """Runs each graph that has one of these nodes, opens it in the page, and writes their pictures."""
    wanted = {name: help_graphs.PICTURES[name] for name in names}
    FOLDER.mkdir(exist_ok=True)
    server.post("/settings/Comfy.Minimap.Visible", False)
    with page.opened(server) as opened:
        opened.set_viewport_size({"width": 1100, "height": 1500})
        opened.evaluate(STYLE, ALONE)
        for graph in dict.fromkeys(picture.graph for picture in wanted.values()):
            pictures = {name: picture for name, picture in wanted.items() if picture.graph is graph}
            shown = server.run(graph.nodes, seconds=1800).outputs if graph.runs else {}
            if any(isinstance(part, Shot) for picture in pictures.values() for row in picture.rows for part in row):
                _open(opened, graph, shown)
            for name, picture in pictures.items():
                path = FOLDER / f"{name}.webp"
                _compose(opened, server, picture, shown).save(path, quality=72, method=6)
                print(name, path.stat().st_size, flush=True)


def _open(opened: Any, graph: Graph, shown: dict[str, Any]) -> None:
    """Opens the graph in the page, whose nodes hear what the run has shown as if the page had asked for it."""
    opened.evaluate(LOAD, graph.nodes)
    opened.wait_for_timeout(2000)
    opened.evaluate(HEAR, shown)


def _compose(opened: Any, server: Server, picture: Picture, shown: dict[str, Any]) -> Image.Image:
    """Rows below each other, and in each its parts at one height with arrows between them."""
    rows = []
    for row in picture.rows:
        parts = [_photograph(opened, part) if isinstance(part, Shot) else _results(server, part, shown) for part in row]
        tallest = TALLEST_SHOT if any(isinstance(part, Shot) for part in row) else TALLEST
        rows.append(_row(parts, tallest))
    canvas = Image.new("RGBA", (WIDTH, sum(row.height for row in rows) + GAP * (len(rows) - 1)))
    top = 0
    for row in rows:
        canvas.paste(row, ((WIDTH - row.width) // 2, top))
        top += row.height + GAP
    return canvas


def _row(parts: list[Image.Image], tallest: int) -> Image.Image:
    """The parts at the height at which they fill the width, or at the greatest."""
    between = 2 * GAP + ARROW
    free = WIDTH - between * (len(parts) - 1)
    height = min(round(free / sum(part.width / part.height for part in parts)), tallest)
    scaled = [
        part.resize((round(part.width * height / part.height), height), Image.Resampling.LANCZOS) for part in parts
    ]
    row = Image.new("RGBA", (sum(part.width for part in scaled) + between * (len(parts) - 1), height))
    pen, left = ImageDraw.Draw(row), 0
    for index, part in enumerate(scaled):
        if index:
            tip, middle = left - GAP, height // 2
            pen.line([(tip - ARROW, middle), (tip - 4, middle)], fill=GREY, width=4)
            pen.polygon([(tip, middle), (tip - 11, middle - 9), (tip - 11, middle + 9)], fill=GREY)
        row.paste(part, (left, 0))
        left += part.width + between
    return row


def _photograph(opened: Any, shot: Shot) -> Image.Image:
    """The nodes in a row, as the page draws them, with their wires and the ends of the others."""
    ids = [node.id for node in shot.nodes]
    opened.evaluate(ROW, [ids, shot.width, ZOOM])
    opened.wait_for_timeout(1200)
    opened.wait_for_function(LOADED)
    frame = opened.evaluate(FRAME, ids)
    frame = {
        "x": frame["x"] - MARGIN,
        "y": frame["y"] - MARGIN,
        "width": frame["width"] + 2 * MARGIN,
        "height": frame["height"] + 2 * MARGIN,
    }
    return Image.open(io.BytesIO(opened.screenshot(clip=frame))).convert("RGBA")


def _results(server: Server, results: Results, shown: dict[str, Any]) -> Image.Image:
    """Pictures that a node has made, in rows."""
    named = shown[results.shown_by.id]["images"][results.first : results.first + results.count]
    images = [Image.open(io.BytesIO(server.view(one))).convert("RGBA") for one in named]
    columns = results.columns or len(images)
    width, height = images[0].size
    gap = max(2, width // 32) if len(images) > 1 else 0
    rows = -(-len(images) // columns)
    sheet = Image.new("RGBA", (columns * (width + gap) - gap, rows * (height + gap) - gap))
    for index, image in enumerate(images):
        sheet.paste(image, (index % columns * (width + gap), index // columns * (height + gap)))
    return sheet


if __name__ == "__main__":
    main(sys.argv[1:])
