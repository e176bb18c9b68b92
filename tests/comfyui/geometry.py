"""What is wrong with how nodes are laid out in the page, measured: texts that are cut, outside or over each other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

Flaw = tuple[str, float, str, str]
"""Kind of node, its width, "cut" | "shortened" (it ends in an ellipsis) | "outside" | "overlap", and the text."""

LAY_OUT = """async (kinds) => {
    app.graph.clear();
    for (const kind of kinds) app.graph.add(LiteGraph.createNode(kind));
    [app.canvas.ds.scale, app.canvas.ds.offset] = [1, [0, 60]];
}"""

RESIZE = """(wanted) => {
    let [x, y] = [0, 0];
    for (const node of app.graph._nodes) {
        // The page lets nobody pull a node that is painted on the canvas below the size that it computes.
        const [least, high] = node.computeSize();
        const width = document.querySelector(`[data-node-id="${node.id}"]`) ? wanted : Math.max(wanted, least);
        node.setSize([width, high]);
        if (y && y + node.size[1] > 900) [x, y] = [x + width + 300, 0];
        node.pos = [x, y];
        y += node.size[1] + 150;
    }
    app.canvas.setDirty(true, true);
}"""

OF_VUE_NODES = """() => {
    const found = [];
    const SEEN = {opacityProperty: true, visibilityProperty: true};
    const clips = (element, root) => {
        for (let each = element; each && each !== root; each = each.parentElement) {
            if (getComputedStyle(each).overflowX !== 'visible') return true;
        }
        return false;
    };
    const shown = (element) => {
        const box = element.getBoundingClientRect();
        return box.width > 0 && box.height > 0 && element.checkVisibility(SEEN);
    };
    for (const node of app.graph._nodes) {
        const root = document.querySelector(`[data-node-id="${node.id}"]`);
        const add = (flaw, text) => found.push([node.type, node.size[0], flaw, text.trim().slice(0, 60)]);
        if (!root) { add('outside', 'the node'); continue; }
        const outer = root.getBoundingClientRect();
        const out = (box) => box.left < outer.left - 1 || box.right > outer.right + 1 || box.bottom > outer.bottom + 1;
        for (const each of root.querySelectorAll('*')) {
            const says = [...each.childNodes].some((child) => child.nodeType === 3 && child.textContent.trim());
            if (!says || !shown(each)) continue;
            const style = getComputedStyle(each);
            const cut = each.clientWidth && each.scrollWidth > each.clientWidth + 1 && style.overflowX !== 'visible';
            if (cut) add(style.textOverflow === 'ellipsis' ? 'shortened' : 'cut', each.textContent);
            if (!clips(each, root) && out(each.getBoundingClientRect())) add('outside', each.textContent);
        }
        for (const each of root.querySelectorAll('[data-trilemma]')) {
            if (shown(each) && out(each.getBoundingClientRect())) add('outside', each.dataset.trilemma);
            const wide = each.tagName !== 'TEXTAREA' && each.scrollWidth > each.clientWidth + 1;
            if (shown(each) && wide) add('cut', each.dataset.trilemma);
        }
        const parts = '[data-testid=node-widget], .lg-slot:not(.lg-slot--dot-only)';
        const rows = [...root.querySelectorAll(parts)].filter(shown);
        rows.forEach((row, at) => {
            const a = row.getBoundingClientRect();
            for (const other of rows.slice(at + 1)) {
                const b = other.getBoundingClientRect();
                const across = Math.min(a.right, b.right) - Math.max(a.left, b.left);
                const down = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
                if (across > 1 && down > 1) add('overlap', `${row.textContent} | ${other.textContent}`);
            }
        });
    }
    return found;
}"""

OF_CANVAS_NODES = """() => {
    const texts = new Map();
    let drawn = null;
    const nodes = app.canvas.constructor.prototype;
    const brush = CanvasRenderingContext2D.prototype;
    const {drawNode} = nodes;
    const {fillText} = brush;
    nodes.drawNode = function (node) {
        drawn = texts.has(node) ? null : node;
        if (drawn) texts.set(node, []);
        try { return drawNode.apply(this, arguments); } finally { drawn = null; }
    };
    brush.fillText = function (text, x, y) {
        if (drawn && String(text).trim()) {
            const {a, d, e, f} = this.getTransform();
            const {scale, offset} = app.canvas.ds;
            const ratio = this.canvas.width / this.canvas.clientWidth || 1;
            const width = this.measureText(text).width;
            const left = x - {right: width, end: width, center: width / 2}[this.textAlign] || x;
            const place = [(a * left + e) / scale / ratio - offset[0], (d * y + f) / scale / ratio - offset[1]];
            texts.get(drawn).push([String(text), ...place, width]);
        }
        return fillText.apply(this, arguments);
    };
    const {ds} = app.canvas;
    const kept = [...ds.offset];
    const end = Math.max(...app.graph._nodes.map((node) => node.pos[0]));
    for (let x = 0; x <= end; x += 900) {
        ds.offset = [-x + 20, 60];
        app.canvas.draw(true, true);
    }
    ds.offset = kept;
    [nodes.drawNode, brush.fillText] = [drawNode, fillText];
    const found = [];
    for (const node of app.graph._nodes) {
        const add = (flaw, text) => found.push([node.type, node.size[0], flaw, text.trim().slice(0, 60)]);
        const all = texts.get(node) ?? [];
        if (!all.length) add('outside', 'the node');
        const [left, right, bottom] = [node.pos[0], node.pos[0] + node.size[0], node.pos[1] + node.size[1]];
        all.forEach(([text, x, y, width], at) => {
            if (/(\\u2026|\\.\\.\\.)$/.test(text)) add('shortened', text);
            if (x < left - 1 || x + width > right + 1 || y > bottom + 1) add('outside', text);
            for (const [other, x2, y2, width2] of all.slice(at + 1)) {
                if (other === '\\u2026') continue; // drawn for itself behind what it shortens
                const across = Math.min(x + width, x2 + width2) - Math.max(x, x2);
                if (Math.abs(y - y2) < 8 && across > 1) add('overlap', `${text} | ${other}`);
            }
        });
        for (const {element} of node.widgets ?? []) {
            if (!element?.dataset?.trilemma || !element.checkVisibility()) continue;
            const wide = element.tagName !== 'TEXTAREA' && element.scrollWidth > element.clientWidth + 1;
            if (wide || element.clientWidth > node.size[0]) add('cut', element.dataset.trilemma);
        }
    }
    return found;
}"""


def lay_out(page: Any, kinds: Sequence[str]) -> None:
    """A graph of one node of each kind, unconnected."""
    page.evaluate(LAY_OUT, list(kinds))


def flaws(page: Any, width: int, new_nodes: bool) -> list[Flaw]:
    """All that is wrong with the nodes of the open graph when each is so wide and as high as it needs."""
    page.evaluate(RESIZE, width)
    page.wait_for_timeout(3000)
    found = page.evaluate(OF_VUE_NODES if new_nodes else OF_CANVAS_NODES)
    return [tuple(flaw) for flaw in found]
