// What shows something on a node works with: elements, texts, the node's inputs, and a widget that folds.
import { app } from "../../scripts/app.js";
import { add, addWidget, beside, takePlace } from "./lib/place.js";
import { learn, say } from "./lib/texts.js";
import { addressOf, placeOf } from "./lib/upstream.js";

export { add, redrawn, take } from "./lib/place.js";
export { say };

await learn((language) => beside(`texts/${language}.json`), () => app.extensionManager.setting.get("Comfy.Locale") ?? "en");

const FOLDED = 26; // pixels of height
const OWN = "pointerdown pointermove pointerup mousedown dblclick contextmenu".split(" ");

// The page would zoom by two fingers too, before an element of it hears of them.
for (const name of ["touchstart", "touchmove", "touchend"]) {
  addEventListener(name, (event) => {
    if (/** @type {Element} */ (event.target).matches(".trilemma-editor canvas")) event.stopPropagation();
  }, true);
}

/** @type {OfInput<HostWidget | undefined>} */
export const widgetOf = (node, name) => node.widgets?.find((widget) => widget.name === name);

/** An input's name as the page shows it.
 * @type {OfInput<string>} */
export const labelOf = (node, name) => widgetOf(node, name)?.label ?? name;

/** The graph that all others are within. */
export const root = () => app.rootGraph ?? app.graph;

/** Where the page finds a file that a node has shown.
 * @param {PictureFile} file */
export const viewOf = (file) => app.api.apiURL(addressOf(file));

/** Whether an input comes from another node.
 * @type {OfInput<boolean>} */
export const isWired = (node, name) => node.inputs?.find((input) => input.name === name)?.link != null;

/** @type {OfInput<string>} */
export const wired = (node, name) => say("wired", { input: labelOf(node, name) });

/** Has a method of a node, or of all of a kind, do more: what(node, ...) after it.
 * @param {any} owner @param {string} method @param {(node: HostNode, ...given: any[]) => void} what */
export function after(owner, method, what) {
  const before = owner[method];
  owner[method] = function (/** @type {any[]} */ ...given) {
    before?.apply(this, given);
    what(this, ...given);
  };
}

/** Writes values into a node's widgets, as a step that the page's undo knows unless it is one of many.
 * @param {HostNode} node @param {Record<string, string | number | boolean>} values */
export function write(node, values, step = true) {
  for (const [name, value] of Object.entries(values)) {
    const widget = widgetOf(node, name);
    if (!widget || widget.value === value) continue;
    widget.value = value;
    widget.callback?.(value);
  }
  node.graph?.setDirtyCanvas(true, true);
  if (!step) return;
  // The page's own undo looks only after events that it sees.
  const tracker = app.extensionManager?.workflow?.activeWorkflow?.changeTracker;
  if (tracker?.captureCanvasState) tracker.captureCanvasState();
  else tracker?.checkState?.();
}

/** What the node has shown in its last run.
 * @param {GraphNode} node @param {Outputs} outputs */
export const shownBy = (node, outputs = app.nodeOutputs) => outputs?.[placeOf(node, root())];

/** Puts a widget that folds on every node of a kind that is made.
 * @param {Folded} what */
export function registerFolded({ kind, key, text, property, lowest, open: opened, made }) {
  /** @param {HostNode} node */
  function addTo(node) {
    const body = made(node);
    const element = add(null, "div", { class: "trilemma-folded" });
    // What happens here is not also the page's: it would drag the node, open menus, delete nodes.
    for (const event of OWN) element.addEventListener(event, (happened) => happened.stopPropagation());
    const fold = add(element, "button", { "data-action": "fold" }, "", () => {
      turn(!open);
      node.properties[property] = open;
      const needed = node.computeSize();
      const wide = Math.max(node.size[0], open ? 360 : 0);
      node.setSize([wide, open ? Math.max(node.size[1], needed[1]) : needed[1]]);
      node.graph?.setDirtyCanvas(true, true);
    });
    element.append(body.element);
    let open = opened;
    const height = () => (open ? lowest : FOLDED);
    addWidget(node, key, element, { getMinHeight: height, getMaxHeight: () => (open ? 4096 : FOLDED) });
    const turn = (/** @type {boolean} */ wanted) => {
      open = wanted;
      fold.textContent = `${open ? "\u25be" : "\u25b8"} ${say(text)}`;
      fold.setAttribute("aria-expanded", String(open));
      body.element.style.display = open ? "flex" : "none";
      element.style.minHeight = `${height()}px`; // what the page's newer nodes heed, the older ask getMinHeight
      body.refresh();
    };
    const timer = setInterval(() => {
      if (app.canvas.graph === node.graph) takePlace(node, element);
      if (open && element.isConnected) body.refresh();
    }, 400);
    after(node, "onRemoved", () => {
      clearInterval(timer);
      body.close?.();
    });
    node.properties[property] = open;
    turn(open);
    after(node, "onConfigure", (_, info) => {
      turn(info.properties?.[property] === true);
      node.properties[property] = open;
    });
  }
  app.registerExtension({
    name: kind,
    async beforeRegisterNodeDef(nodeType, nodeData) {
      if (nodeData.name === kind) after(nodeType.prototype, "onNodeCreated", addTo);
    },
  });
}
