// Points and boxes on the picture: an editor on the node Segment, which writes the node's own text inputs.
import { app } from "../../scripts/app.js";
import { INPUTS, KINDS } from "./lib/drawing.js";
import { Editor } from "./lib/editor.js";
import { takePlace } from "./lib/place.js";
import { addressOf, boxesFor, pictureFor } from "./lib/upstream.js";

/** @typedef {import("./lib/drawing.js").Texts} Texts */

const NODE = "TrilemmaSegment";
const OPEN = "drawing_open"; // the node's property that a saved graph keeps
// Heights in pixels: folded, and open, where the node may make it higher.
const FOLDED = 26;
const LOWEST = 320;
const FOLD = `font: 12px/18px sans-serif; text-align: left; flex: none; cursor: pointer; border: none; border-radius: 4px;
  padding: 2px 6px; color: var(--input-text, #ddd); background: var(--comfy-input-bg, #222);`;

/** @param {HostNode} node @param {string} name */
const widgetOf = (node, name) => node.widgets?.find((widget) => widget.name === name);

/** @param {HostNode} node
 * @returns {Texts} */
function read(node) {
  const texts = KINDS.map((kind) => [kind, String(widgetOf(node, INPUTS[kind])?.value ?? "")]);
  return /** @type {Texts} */ (Object.fromEntries(texts));
}

/** @param {HostNode} node @param {Texts} texts */
function write(node, texts) {
  for (const kind of KINDS) {
    const widget = widgetOf(node, INPUTS[kind]);
    if (!widget || widget.value === texts[kind]) continue;
    widget.value = texts[kind];
    widget.callback?.(texts[kind]);
  }
  node.graph?.setDirtyCanvas(true, true);
  // The page's own undo looks only after events that it sees.
  const tracker = /** @type {any} */ (app.extensionManager)?.workflow?.activeWorkflow?.changeTracker;
  if (tracker?.captureCanvasState) tracker.captureCanvasState();
  else tracker?.checkState?.();
}

/** @param {HostNode} node
 * @returns {(open: boolean) => void} folds the editor in or out */
function addEditor(node) {
  const graphNode = /** @type {any} */ (node);
  const root = () => /** @type {any} */ (app.rootGraph ?? app.graph);
  const editor = new Editor({
    read: () => read(node),
    write: (texts) => write(node, texts),
    picture: () => {
      const file = pictureFor(graphNode, app.nodeOutputs, root());
      return file && { address: app.api.apiURL(addressOf(file)), width: file.width, height: file.height };
    },
    found: () => boxesFor(graphNode, app.nodeOutputs, root()),
  });
  const element = document.createElement("div");
  element.dataset.trilemma = "points";
  element.style.cssText = "display: flex; flex-direction: column; gap: 4px; width: 100%; box-sizing: border-box;";
  const mounted = () => {
    if (app.canvas.graph === node.graph) takePlace(node, element);
  };
  const fold = document.createElement("button");
  fold.type = "button";
  fold.style.cssText = FOLD;
  fold.dataset.action = "fold";
  element.append(fold, editor.element ?? "");
  let open = true;
  const height = () => (open ? LOWEST : FOLDED);
  const widget = node.addDOMWidget("points_and_boxes", "trilemma_points", element, {
    serialize: false,
    getValue: () => "",
    setValue: () => undefined,
    getMinHeight: height,
    getMaxHeight: () => (open ? 4096 : FOLDED),
  });
  widget.serialize = false; // the option above keeps it out of the prompt only, this one out of saved workflows

  /** @param {boolean} wanted */
  function turn(wanted) {
    open = wanted;
    fold.textContent = `${open ? "\u25be" : "\u25b8"} Points and boxes on the picture`;
    fold.setAttribute("aria-expanded", String(open));
    if (editor.element) editor.element.style.display = open ? "flex" : "none";
    element.style.minHeight = `${height()}px`; // what the page's newer nodes heed, the older ask getMinHeight
    editor.refresh();
  }
  fold.addEventListener("pointerdown", (event) => event.stopPropagation());
  fold.addEventListener("click", () => {
    turn(!open);
    node.properties[OPEN] = open;
    const needed = node.computeSize();
    const wide = Math.max(node.size[0], open ? 360 : 0);
    node.setSize([wide, open ? Math.max(node.size[1], needed[1]) : needed[1]]);
    node.graph?.setDirtyCanvas(true, true);
  });
  const timer = setInterval(mounted, 400);
  const onRemoved = node.onRemoved;
  node.onRemoved = function () {
    onRemoved?.apply(this);
    clearInterval(timer);
    editor.close();
  };
  turn(true);
  return turn;
}

app.registerExtension({
  name: "Trilemma.Points",
  async beforeRegisterNodeDef(nodeType, nodeData) {
    if (nodeData.name !== NODE) return;
    const { onNodeCreated, onConfigure } = nodeType.prototype;
    /** @type {WeakMap<object, (open: boolean) => void>} */
    const turns = new WeakMap();
    nodeType.prototype.onNodeCreated = function () {
      onNodeCreated?.apply(this);
      turns.set(this, addEditor(/** @type {HostNode} */ (this)));
      this.properties[OPEN] = true;
    };
    nodeType.prototype.onConfigure = function (/** @type {any} */ info) {
      onConfigure?.apply(this, [info]);
      // Graphs that were saved without the editor keep the sizes that they were laid out with.
      const open = info.properties?.[OPEN] === true;
      this.properties[OPEN] = open;
      turns.get(this)?.(open);
    };
  },
});
