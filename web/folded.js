// @ts-nocheck: of the page this uses more than its types tell.
// What a page's own editor on a node needs, as do those that write a node's inputs: a widget that folds, and writing.
import { app } from "../../scripts/app.js";
import { add, addWidget, takePlace } from "./lib/place.js";
import { addressOf, placeOf } from "./lib/upstream.js";

const FOLDED = 26; // pixels of height
const OWN = "pointerdown pointermove pointerup mousedown dblclick contextmenu".split(" ");

// The page would zoom by two fingers too, before an element of it hears of them.
for (const name of ["touchstart", "touchmove", "touchend"]) {
  addEventListener(name, (event) => event.target.matches(".trilemma-editor canvas") && event.stopPropagation(), true);
}

export const widgetOf = (node, name) => node.widgets?.find((widget) => widget.name === name);

/** The graph that all others are within. */
export const root = () => app.rootGraph ?? app.graph;

/** Where the page finds a file that a node has shown. */
export const viewOf = (file) => app.api.apiURL(addressOf(file));

/** Whether an input comes from another node. */
export const isWired = (node, name) => node.inputs?.find((input) => input.name === name)?.link != null;

/** Writes values into a node's widgets, as a step that the page's undo knows unless it is one of many. */
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

/** What the node has shown in its last run. */
export const shownBy = (node, outputs = app.nodeOutputs) => outputs?.[placeOf(node, root())];

/**
 * Puts a widget that folds on every node of a kind that is made.
 *
 * key: of the widget. property: of the node, which a saved graph keeps: whether it is open; graphs without it keep the
 * sizes that they were laid out with. open: of new nodes. made: the body of a node, what is called several times in a
 * second, and at the end.
 */
export function registerFolded({ name, kind, key, title, property, lowest, open: opened, made }) {
  const turns = new WeakMap();
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
    const turn = (wanted) => {
      open = wanted;
      fold.textContent = `${open ? "\u25be" : "\u25b8"} ${title}`;
      fold.setAttribute("aria-expanded", String(open));
      body.element.style.display = open ? "flex" : "none";
      element.style.minHeight = `${height()}px`; // what the page's newer nodes heed, the older ask getMinHeight
      body.refresh();
    };
    const timer = setInterval(() => {
      if (app.canvas.graph === node.graph) takePlace(node, element);
      if (open && element.isConnected) body.refresh();
    }, 400);
    const { onRemoved } = node;
    node.onRemoved = function () {
      onRemoved?.apply(this);
      clearInterval(timer);
      body.close?.();
    };
    turn(open);
    return turn;
  }
  app.registerExtension({
    name,
    async beforeRegisterNodeDef(nodeType, nodeData) {
      if (nodeData.name !== kind) return;
      const { onNodeCreated, onConfigure } = nodeType.prototype;
      nodeType.prototype.onNodeCreated = function () {
        onNodeCreated?.apply(this);
        turns.set(this, addTo(this));
        this.properties[property] = opened;
      };
      nodeType.prototype.onConfigure = function (info) {
        onConfigure?.apply(this, [info]);
        const open = info.properties?.[property] === true;
        this.properties[property] = open;
        turns.get(this)?.(open);
      };
    },
  });
}
