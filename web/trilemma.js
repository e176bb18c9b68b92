// Shows the text reports of the pack's nodes on the nodes themselves.
import { app } from "../../scripts/app.js";
import { takePlace } from "./lib/place.js";

const PREFIX = "Trilemma";
// In pixels: two lines, and the fifteen after which a report scrolls.
const LOWEST = 36;
const HIGHEST = 220;
const LINE = 14;

// Colours are the page's own for texts, so that they follow its theme.
const STYLE = `box-sizing: border-box; width: 100%; height: 100%; resize: none; overflow: auto; padding: 4px 6px;
  border: none; border-radius: 4px; font: 11px/${LINE}px monospace;
  color: var(--input-text, #ddd); background: var(--comfy-input-bg, #222);`;

/** The height that shows the whole text, within the limits.
 * @param {HTMLTextAreaElement} element */
function heightOf(element) {
  let needed = LINE * element.value.split("\n").length + 8;
  if (element.clientWidth) {
    const { height, minHeight } = element.style;
    element.style.height = element.style.minHeight = "0";
    needed = element.scrollHeight;
    element.style.height = height;
    element.style.minHeight = minHeight;
  }
  return Math.min(HIGHEST, Math.max(LOWEST, needed));
}

/** @param {HostNode} node */
function reportWidget(node) {
  const found = node.widgets?.find((widget) => widget.name === "report_text");
  if (found) return found;
  const element = document.createElement("textarea");
  element.readOnly = true;
  element.dataset.trilemma = "report";
  element.style.cssText = STYLE;
  let width = 0;
  const fit = () => {
    width = element.clientWidth;
    element.style.minHeight = `${heightOf(element)}px`; // what the page's newer nodes heed, the older ask getMinHeight
    const needed = node.computeSize()[1];
    if (needed > node.size[1]) node.setSize([node.size[0], needed]);
  };
  const widget = node.addDOMWidget("report_text", "trilemma_report", element, {
    serialize: false,
    getValue: () => element.value,
    setValue: (text) => {
      element.value = text ?? "";
      fit();
    },
    getMinHeight: () => heightOf(element),
  });
  widget.serialize = false; // the option above keeps it out of the prompt only, this one out of saved workflows
  // Lines break anew in a node of another width; before it is shown the first time it has none.
  new ResizeObserver(() => {
    if (element.clientWidth !== width) fit();
  }).observe(element);
  return widget;
}

/** @param {HostNode} node @param {any} output */
function show(node, output) {
  if (!node.type?.startsWith(PREFIX) || !output?.text) return;
  const widget = reportWidget(node);
  widget.value = output.text.join("\n");
  requestAnimationFrame(() => {
    if (app.canvas.graph === node.graph) takePlace(node, widget.element);
  });
}

// Nodes are made anew whenever a graph is loaded: by another tab, from the history, by undo. The page keeps what each
// has shown, by its id, which inside of a subgraph follows the subgraph's.
/** @param {Record<string, any>} outputs */
function showAgain(outputs) {
  const root = app.rootGraph ?? app.graph;
  for (const graph of [root, ...(root?.subgraphs?.values() ?? [])]) {
    for (const node of /** @type {HostNode[]} */ (graph?._nodes ?? [])) {
      show(node, outputs?.[graph === root ? node.id : `${graph?.id}:${node.id}`]);
    }
  }
}

app.registerExtension({
  name: "Trilemma.Reports",
  async setup() {
    window.trilemmaReady = true;
  },
  async beforeRegisterNodeDef(nodeType, nodeData) {
    if (!nodeData.name.startsWith(PREFIX)) return;
    const prototype = /** @type {any} */ (nodeType.prototype);
    const { onExecuted } = prototype;
    prototype.onExecuted = function (/** @type {any} */ output) {
      onExecuted?.apply(this, arguments);
      show(this, output);
    };
  },
  afterConfigureGraph() {
    showAgain(app.nodeOutputs);
  },
  onNodeOutputsUpdated(/** @type {Record<string, any>} */ outputs) {
    showAgain(outputs);
  },
});
