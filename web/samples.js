// All pictures of a batch on the node that drew them; a click keeps a picture's seed.
import { add, isWired, say, viewOf, widgetOf, wired, write } from "./folded.js";
import { register } from "./panels.js";
import { caption, columnsFor, seedOf } from "./sample_grid.js";

const SMALL = 160; // pixels of pictures that are enlarged with sharp edges

/** Puts a seed into the node, and has the page leave it there; what is said about it.
 * @param {HostNode} node @param {Sample} picture */
function keep(node, picture) {
  const widget = widgetOf(node, "seed");
  if (!widget) return "";
  if (isWired(node, "seed")) return wired(node, "seed");
  const seed = seedOf(picture.seed);
  if (seed === null) return say("too_large", picture);
  const control = (widget.linkedWidgets ?? node.widgets ?? []).find(({ name }) => name === "control_after_generate");
  if (control) control.value = "fixed";
  write(node, { seed });
  return [say("kept", { seed }), picture.condition].filter(Boolean).join(" · ");
}

/** @type {DrawsPanel<SentSamples>} */
const draw = (element, data, node) => {
  element.classList.add("trilemma-samples");
  const pictures = data.flatMap((sent) => sent.pictures);
  const count = data.reduce((sum, sent) => sum + sent.count, 0);
  const { width, height } = data[0];
  const grid = add(element, "div", { class: "grid" });
  const rest = count > pictures.length ? say("first_of", { shown: pictures.length, count }) : "";
  const says = add(element, "div", { class: "says" }, rest);
  const seeded = widgetOf(node, "seed");
  pictures.forEach((picture, place) => {
    const told = caption(picture, place);
    const click = () => {
      says.textContent = keep(node, picture);
      for (const other of grid.children) other.classList.toggle("kept", other === image);
    };
    const look = { src: viewOf(picture), alt: told, title: told, draggable: "false" };
    const image = add(grid, "img", look, "", seeded && picture.seed !== undefined ? click : null);
    if (Math.max(width, height) <= SMALL) image.style.imageRendering = "pixelated";
    image.onpointerenter = image.onfocus = () => { says.textContent = told; };
  });
  grid.onpointerleave = () => { if (!grid.querySelector(".kept")) says.textContent = rest; };
  const fit = () => {
    const { columns, side } = columnsFor(pictures.length, grid.clientWidth, grid.clientHeight, width / height);
    grid.style.gridTemplateColumns = `repeat(${columns}, ${side}px)`;
    for (const image of grid.querySelectorAll("img")) image.style.width = `${side}px`;
  };
  new ResizeObserver(fit).observe(grid);
  fit();
};

register({ key: "trilemma_samples", lowest: 150, draw });
