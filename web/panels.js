// What the panels on nodes share: a widget that shows one key of a node's output, again when its graph is loaded again.
import { app } from "../../scripts/app.js";
import { after, root, shownBy, widgetOf } from "./folded.js";
import { add, addWidget, takePlace } from "./lib/place.js";
import { nodesOf, placeOf } from "./lib/upstream.js";

const PREFIX = "Trilemma";

/** @param {HostNode} node @param {Panel} panel */
function panelOf(node, { key, lowest }) {
  const found = widgetOf(node, key);
  if (found) return found;
  const element = add(null, "div", { class: "trilemma-panel", style: `min-height: ${lowest}px` });
  // A wheel over a panel that can scroll moves it, not the canvas.
  element.addEventListener("wheel", (event) => {
    if (element.scrollHeight > element.clientHeight) event.stopPropagation();
  });
  const widget = addWidget(node, key, element, { getMinHeight: () => lowest });
  const all = /** @type {HostWidget[]} */ (node.widgets);
  const report = all.findIndex(({ name }) => name === "report_text");
  if (report >= 0) all.splice(report, 0, widget), all.pop();
  const [width, height] = node.computeSize();
  node.setSize([Math.max(node.size[0], width), Math.max(node.size[1], height)]);
  return widget;
}

/** @type {WeakMap<HostNode, number>} */
const heights = new WeakMap(); // when their run began

// A live preview would stay below the pictures that it led to. Where the page keeps it is its own affair, and may change.
/** @param {any} node */
function dropPreview(node) {
  const place = placeOf(node, root());
  const page = /** @type {any} */ (document.querySelector("#vue-app"))?.__vue_app__?.config?.globalProperties;
  page?.$pinia?._s?.get("nodeOutput")?.revokePreviewsByLocatorId?.(place);
  if (app.nodePreviewImages?.[place]) return;
  const clear = () => {
    node.imgs = node.preview = undefined;
    const at = node.widgets.findIndex((/** @type {HostWidget} */ { name }) => name === "$$canvas-image-preview");
    if (at >= 0) node.widgets.splice(at, 1)[0].onRemove?.();
    const height = Math.max(node.computeSize()[1], heights.get(node) ?? node.size[1]);
    if (height < node.size[1]) node.setSize([node.size[0], height]); // as it was before the preview
    node.setDirtyCanvas?.(true, true);
  };
  clear();
  setTimeout(clear, 500); // what the canvas was still loading
}

/** Registers an extension that has show called with what the pack's nodes send: when they have run, and when nodes are
 * made anew with a graph that is loaded, by another tab, from the history, by undo. executed: when they have run alone.
 * @param {string} name @param {Shows} show @param {Shows} [executed] */
export function onOutputs(name, show, executed) {
  /** @type {Shows} */
  const shown = (node, output) => node.type?.startsWith(PREFIX) && output && show(node, output);
  // The page keeps what each node has shown, by its id, which inside of a subgraph follows the subgraph's.
  const showAgain = (/** @type {Outputs} */ outputs) => {
    for (const node of /** @type {HostNode[]} */ (nodesOf(root()))) shown(node, shownBy(node, outputs));
  };
  app.registerExtension({
    name,
    async beforeRegisterNodeDef(nodeType, nodeData) {
      if (!nodeData.name.startsWith(PREFIX)) return;
      after(nodeType.prototype, "onExecutionStart", (node) => heights.set(node, node.size[1]));
      after(nodeType.prototype, "onExecuted", (node, output) => {
        shown(node, output);
        executed?.(node, output);
      });
    },
    afterConfigureGraph: () => showAgain(app.nodeOutputs),
    onNodeOutputsUpdated: showAgain,
  });
}

/** Puts a widget's element where it should be shown, once the page has drawn the node.
 * @param {HostNode} node @param {HTMLElement} element */
export function placed(node, element) {
  requestAnimationFrame(() => {
    if (app.canvas.graph === node.graph) takePlace(node, element);
  });
}

/** Registers an extension that shows `output[key]` on nodes that send it.
 * @template Sent, State @param {Panel<Sent, State>} panel */
export function register(panel) {
  const { key, draw } = panel;
  /** @type {Shows} */
  const show = (node, output) => {
    const data = output[key];
    if (!data?.length) return;
    const widget = panelOf(node, panel);
    placed(node, widget.element);
    const shown = JSON.stringify(data);
    if (widget.shown === shown) return;
    widget.shown = shown;
    widget.state ??= {};
    widget.element.replaceChildren();
    draw(widget.element, data, node, widget.state);
  };
  onOutputs(key, show, (node, output) => output?.[key]?.length && !output.images && dropPreview(node));
}

// The file lies beside this one, wherever the page serves it.
add(document.head, "link", { rel: "stylesheet", href: new URL("panels.css", import.meta.url).href });
