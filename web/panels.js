// What the panels on nodes share: a widget that shows one key of a node's output, again when its graph is loaded again.
import { app } from "../../scripts/app.js";
import { takePlace } from "./lib/place.js";

const PREFIX = "Trilemma";
const STYLE = `
.trilemma-panel { box-sizing: border-box; width: 100%; height: 100%; overflow: auto; padding: 4px; border-radius: 4px;
  display: flex; flex-direction: column; gap: 4px; font: 11px/1.35 sans-serif;
  color: var(--input-text, #ddd); background: var(--comfy-input-bg, #222); }
.trilemma-panel * { box-sizing: border-box; }
.trilemma-bar { display: flex; flex-wrap: wrap; gap: 4px; align-items: center; flex: none; }
.trilemma-bar span { flex: 1; min-width: 60px; }
.trilemma-panel button { font: inherit; padding: 1px 7px; cursor: pointer; color: inherit; border-radius: 4px;
  background: var(--comfy-menu-bg, #333); border: 1px solid var(--border-color, #555); }
.trilemma-panel button:hover, .trilemma-panel button:focus-visible { border-color: currentColor; }`;

/** An element of HTML, or of SVG where the parent is one, with attributes, children and what a click does. */
export function add(parent, tag, attributes = {}, text = "", click = null) {
  const svg = tag === "svg" || parent?.namespaceURI === "http://www.w3.org/2000/svg";
  const made = svg ? document.createElementNS("http://www.w3.org/2000/svg", tag) : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  if (text !== "") made.textContent = text;
  if (click) made.addEventListener("click", click);
  parent?.append(made);
  return made;
}

/** A style sheet for all panels of one kind. */
export function addStyle(text) {
  add(document.head, "style", {}, text);
}

function widgetOf(node, key, lowest) {
  const found = node.widgets?.find((widget) => widget.name === key);
  if (found) return found;
  const element = add(null, "div", { class: "trilemma-panel", style: `min-height: ${lowest}px` });
  element.dataset.trilemma = key;
  // A wheel over a panel that can scroll moves it, not the canvas.
  element.addEventListener("wheel", (event) => {
    if (element.scrollHeight > element.clientHeight) event.stopPropagation();
  });
  const widget = node.addDOMWidget(key, "trilemma_panel", element, { serialize: false, getMinHeight: () => lowest });
  widget.serialize = false; // the option above keeps it out of the prompt only, this one out of saved workflows
  const report = node.widgets.findIndex(({ name }) => name === "report_text");
  if (report >= 0) node.widgets.splice(report, 0, node.widgets.pop());
  const [width, height] = node.computeSize();
  node.setSize([Math.max(node.size[0], width), Math.max(node.size[1], height)]);
  return widget;
}

const heights = new WeakMap(); // of nodes, when their run began

// A live preview would stay below the pictures that it led to. Where the page keeps it is its own affair, and may change.
function dropPreview(node) {
  const graph = node.graph;
  const place = !graph || graph === (app.rootGraph ?? app.graph) ? `${node.id}` : `${graph.id}:${node.id}`;
  const page = document.querySelector("#vue-app")?.__vue_app__?.config?.globalProperties;
  page?.$pinia?._s?.get("nodeOutput")?.revokePreviewsByLocatorId?.(place);
  if (app.nodePreviewImages?.[place]) return;
  const clear = () => {
    node.imgs = node.preview = undefined;
    const at = node.widgets.findIndex(({ name }) => name === "$$canvas-image-preview");
    if (at >= 0) node.widgets.splice(at, 1)[0].onRemove?.();
    const height = Math.max(node.computeSize()[1], heights.get(node) ?? node.size[1]);
    if (height < node.size[1]) node.setSize([node.size[0], height]); // as it was before the preview
    node.setDirtyCanvas?.(true, true);
  };
  clear();
  setTimeout(clear, 500); // what the canvas was still loading
}

/**
 * Registers an extension that shows `output[key]` on nodes that send it.
 *
 * lowest: the panel's least height in pixels. draw(element, data, node, state): fills the empty element; the data is
 * what the node's Python sent, a list; the state is an object that stays as long as the node does.
 */
export function register({ name, key, lowest, draw }) {
  const show = (node, output) => {
    const data = output?.[key];
    if (!node.type?.startsWith(PREFIX) || !data?.length) return;
    const widget = widgetOf(node, key, lowest);
    requestAnimationFrame(() => {
      if (app.canvas.graph === node.graph) takePlace(node, widget.element);
    });
    const shown = JSON.stringify(data);
    if (widget.shown === shown) return;
    widget.shown = shown;
    widget.state ??= {};
    widget.element.replaceChildren();
    draw(widget.element, data, node, widget.state);
  };
  const showAgain = (outputs) => {
    const root = app.rootGraph ?? app.graph;
    for (const graph of [root, ...(root?.subgraphs?.values() ?? [])]) {
      for (const node of graph?._nodes ?? []) show(node, outputs?.[graph === root ? node.id : `${graph.id}:${node.id}`]);
    }
  };
  app.registerExtension({
    name,
    async beforeRegisterNodeDef(nodeType, nodeData) {
      if (!nodeData.name.startsWith(PREFIX)) return;
      const { onExecuted, onExecutionStart } = nodeType.prototype;
      nodeType.prototype.onExecutionStart = function () {
        onExecutionStart?.apply(this, arguments);
        heights.set(this, this.size[1]);
      };
      nodeType.prototype.onExecuted = function (output) {
        onExecuted?.apply(this, arguments);
        show(this, output);
        if (output?.[key]?.length && !output.images) dropPreview(this);
      };
    },
    afterConfigureGraph: () => showAgain(app.nodeOutputs),
    onNodeOutputsUpdated: showAgain,
  });
}

addStyle(STYLE);
