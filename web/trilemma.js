// Shows the text reports of the pack's nodes on the nodes themselves.
import { widgetOf } from "./folded.js";
import { add, addWidget } from "./lib/place.js";
import { onOutputs, placed } from "./panels.js";

// In pixels: two lines, and the fifteen after which a report scrolls.
const LOWEST = 36;
const HIGHEST = 220;
const LINE = 14;

/** The height that shows the whole text, within the limits.
 * @param {HTMLTextAreaElement} element */
function heightOf(element) {
  let needed = LINE * element.value.split("\n").length + 8;
  if (element.clientWidth) {
    const { height, minHeight } = element.style;
    element.style.height = element.style.minHeight = "0";
    needed = element.scrollHeight;
    Object.assign(element.style, { height, minHeight });
  }
  return Math.min(HIGHEST, Math.max(LOWEST, needed));
}

/** @param {HostNode} node */
function reportWidget(node) {
  const found = widgetOf(node, "report_text");
  if (found) return found;
  const element = add(null, "textarea", { class: "trilemma-report", readonly: "" });
  let width = 0;
  const fit = () => {
    width = element.clientWidth;
    element.style.minHeight = `${heightOf(element)}px`; // as in folded.js
    const needed = node.computeSize()[1];
    if (needed > node.size[1]) node.setSize([node.size[0], needed]);
  };
  const widget = addWidget(node, "report_text", element, {
    getValue: () => element.value,
    setValue: (/** @type {string} */ text) => {
      element.value = text ?? "";
      fit();
    },
    getMinHeight: () => heightOf(element),
  });
  // Lines break anew in a node of another width; before it is shown the first time it has none.
  new ResizeObserver(() => {
    if (element.clientWidth !== width) fit();
  }).observe(element);
  return widget;
}

/** @type {Shows} */
const show = (node, { text }) => {
  if (!text) return;
  const widget = reportWidget(node);
  widget.value = text.join("\n");
  placed(node, widget.element);
};

onOutputs("Trilemma.Reports", show);
