// All pictures of a batch on the node that drew them; a click keeps a picture's seed.
import { api } from "../../scripts/api.js";
import { add, addStyle, register } from "./panels.js";
import { caption, columnsFor, seedOf } from "./sample_grid.js";

const SMALL = 160; // pixels of pictures that are enlarged with sharp edges

addStyle(`
.trilemma-samples .grid { display: grid; gap: 2px; flex: 1 1 0; min-height: 0; overflow: auto; place-content: start center; }
.trilemma-samples img { display: block; border: none; outline: 2px solid transparent; outline-offset: -2px; }
.trilemma-samples img.seeded { cursor: pointer; }
.trilemma-samples img:hover, .trilemma-samples img:focus-visible { outline-color: var(--input-text, #ddd); }
.trilemma-samples img.kept { outline-color: #d55e00; }
.trilemma-samples .says { flex: none; min-height: 15px; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }`);

/** Puts a seed into the node, and has the page leave it there; what is said about it. */
function keep(node, picture) {
  const widget = node.widgets?.find(({ name }) => name === "seed");
  if (!widget) return "";
  if (node.inputs?.find(({ name }) => name === "seed")?.link != null) return "seed is wired to another node";
  const seed = seedOf(picture.seed);
  if (seed === null) return `seed ${picture.seed} is beyond what a page can hold exactly`;
  widget.value = seed;
  widget.callback?.(seed);
  const control = (widget.linkedWidgets ?? node.widgets).find(({ name }) => name === "control_after_generate");
  if (control) control.value = "fixed";
  node.setDirtyCanvas?.(true, true);
  node.graph?.change?.();
  return `seed ${seed} kept${picture.condition ? `; ${picture.condition}` : ""}`;
}

function draw(element, data, node) {
  element.classList.add("trilemma-samples");
  const pictures = data.flatMap((sent) => sent.pictures);
  const count = data.reduce((sum, sent) => sum + sent.count, 0);
  const { width, height } = data[0];
  const grid = add(element, "div", { class: "grid" });
  const rest = count > pictures.length ? `the first ${pictures.length} of ${count} images` : "";
  const says = add(element, "div", { class: "says" }, rest);
  const seeded = node.widgets?.some(({ name }) => name === "seed");
  pictures.forEach((picture, place) => {
    const { filename, subfolder, type, seed } = picture;
    const address = api.apiURL(`/view?${new URLSearchParams({ filename, subfolder, type })}`);
    const told = caption(picture, place);
    const image = add(grid, "img", { src: address, alt: told, title: told, draggable: "false" });
    if (Math.max(width, height) <= SMALL) image.style.imageRendering = "pixelated";
    image.addEventListener("pointerenter", () => { says.textContent = told; });
    if (!seeded || seed === undefined) return;
    image.classList.add("seeded");
    image.tabIndex = 0;
    const click = () => {
      says.textContent = keep(node, picture);
      for (const other of grid.children) other.classList.toggle("kept", other === image);
    };
    image.addEventListener("click", click);
    image.addEventListener("keydown", (event) => event.key === "Enter" && click());
  });
  grid.addEventListener("pointerleave", () => { if (!says.textContent.includes("kept")) says.textContent = rest; });
  const fit = () => {
    const { columns, side } = columnsFor(pictures.length, grid.clientWidth, grid.clientHeight, width / height);
    grid.style.gridTemplateColumns = `repeat(${columns}, ${side}px)`;
    for (const image of grid.children) image.style.width = `${side}px`;
  };
  new ResizeObserver(fit).observe(grid);
  fit();
}

register({ name: "Trilemma.Samples", key: "trilemma_samples", lowest: 150, draw });
