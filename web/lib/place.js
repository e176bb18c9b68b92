// Elements, and widgets of them. What `data-trilemma` says of an element is its widget.

/** A table in web/, as it is now; empty if it cannot be read.
 * @type {ReadsTexts} */
export const beside = (name) =>
  fetch(new URL(`../${name}`, import.meta.url), { cache: "no-cache" }).then((file) => file.json()).catch(() => ({}));

/** An element of HTML, or of SVG where the parent is one, with attributes, a text and what a click, Enter or Space does.
 * @type {Add} */
export const add = (parent, tag, attributes = {}, text = "", click = null) => {
  const space = tag === "svg" ? "http://www.w3.org/2000/svg" : parent?.namespaceURI ?? "http://www.w3.org/1999/xhtml";
  const made = /** @type {any} */ (document.createElementNS(space, tag));
  if (tag === "button") made.setAttribute("type", tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  if (text !== "") made.textContent = text;
  if (click) made.addEventListener("click", click);
  if (click && tag !== "button") {
    made.tabIndex = 0;
    made.onkeydown = (/** @type {KeyboardEvent} */ event) => {
      if (!["Enter", " "].includes(event.key)) return;
      take(event); // Space is the page's too
      click(event);
    };
  }
  parent?.append(made);
  return made;
};

/** Keeps from the page what is ours.
 * @param {Event} event */
export function take(event) {
  event.preventDefault();
  event.stopPropagation();
}

/** Draws what is in an element anew; the keyboard stays where it is.
 * @param {any} element @param {() => void} draw */
export function redrawn(element, draw) {
  const stops = () => [...element.querySelectorAll("[tabindex], button")];
  const at = stops().indexOf(document.activeElement);
  element.replaceChildren();
  draw();
  stops()[at]?.focus();
}

/** A widget that is shown alone: neither the prompt nor a saved graph has its value.
 * @param {any} node @param {string} key @param {HTMLElement} element @param {any} options of the page */
export function addWidget(node, key, element, options) {
  element.dataset.trilemma = key;
  const nothing = { getValue: () => "", setValue: () => undefined };
  const widget = node.addDOMWidget(key, "trilemma_shown", element, { serialize: false, ...nothing, ...options });
  widget.serialize = false; // the option keeps it out of the prompt only, this one out of saved graphs
  return widget;
}

/** Puts a widget's element where it should be shown. When a graph is loaded over another (by undo, too), the page's newer
 * nodes go on showing the element of the node that had the same id before.
 * @param {{id: number | string}} node in the graph that is open
 * @param {HTMLElement} element
 */
export function takePlace(node, element) {
  if (element.isConnected) return;
  const before = document.querySelector(`[data-node-id="${node.id}"] [data-trilemma="${element.dataset.trilemma}"]`);
  before?.replaceWith(element);
}
