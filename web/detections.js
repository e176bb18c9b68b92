// Boxes on the node that selects them: a click drops one or keeps it again; below, the scores of each phrase.
import { about, heights, readNumbers, toggled } from "./boxes.js";
import { add, isWired, redrawn, say, viewOf, widgetOf, wired, write } from "./folded.js";
import { register } from "./panels.js";

// Told apart with any colour vision, and seen on most pictures; a dark line beneath helps on the others.
const COLOURS = ["#56b4e9", "#e69f00", "#2fd09a", "#f0e442", "#ff8a5c", "#e59ac8"];

const colourOf = (/** @type {number} */ phrase) => COLOURS[phrase % COLOURS.length];

/** @type {DrawsBox} */
const drawBox = (svg, box, dropped, unit, tell, click) => {
  const told = about(box, dropped);
  const classes = `box${dropped ? " dropped" : ""}`;
  const look = { class: classes, role: "button", "aria-pressed": !dropped, "aria-label": told };
  const group = add(svg, "g", look, "", click);
  add(group, "title", {}, [told, say(dropped ? "click_keeps" : "click_drops")].join("\n"));
  const { x, y, width, height } = box;
  add(group, "rect", { class: "under", x, y, width, height });
  add(group, "rect", { class: "line", x, y, width, height, stroke: colourOf(box.phrase) });
  const size = 11 * unit;
  const foot = y > size * 1.4 ? y - size * 0.35 : y + size;
  const letters = { y: foot, "font-size": size, fill: colourOf(box.phrase), "stroke-width": size * 0.22 };
  const name = add(group, "text", { x: x + size * 0.2, ...letters }, `${box.label} ${box.score.toFixed(2)}`);
  // Beside a picture that is narrower than the node there is room for names.
  const wide = svg.viewBox.baseVal.width;
  const over = x + size * 0.5 + name.getComputedTextLength() - (wide + Math.max(wide, svg.clientWidth * unit)) / 2;
  if (over > 0) name.setAttribute("x", `${x - over}`);
  group.onpointerenter = group.onfocus = () => tell(told);
};

/** @param {HTMLElement} parent @param {Phrase} phrase @param {number} place */
function histogram(parent, phrase, place) {
  add(parent, "div", { title: phrase.label }, phrase.label);
  const bars = phrase.counts.length;
  const svg = add(parent, "svg", { viewBox: `0 0 ${bars} 20`, preserveAspectRatio: "none", role: "img" });
  add(svg, "title", {}, say("histogram", phrase));
  add(svg, "rect", { class: "floor", y: 19.5, width: bars, height: 0.5 });
  heights(phrase.counts).forEach((height, at) => {
    if (!height) return;
    const shape = { x: at + 0.1, y: 20 - 20 * height, width: 0.8, height: 20 * height };
    add(svg, "rect", { ...shape, fill: colourOf(place), opacity: (at + 1) / bars > phrase.threshold ? 1 : 0.5 });
  });
  const x = phrase.threshold * bars;
  add(svg, "line", { class: "threshold", x1: x, x2: x, y1: 0, y2: 20 });
}

/** @type {DrawsDetections} */
const draw = (element, [sent], node, state) => {
  element.classList.add("trilemma-boxes");
  const widget = widgetOf(node, "dropped");
  let image = Math.min(state.image ?? 0, sent.images.length - 1);
  const says = add(null, "div", { class: "says" });
  const tell = (/** @type {string} */ text) => { says.textContent = text; };
  const redraw = () => redrawn(element, () => {
    state.image = image;
    if (sent.images.length > 1) {
      const bar = add(element, "div", { class: "trilemma-bar" });
      const go = (/** @type {number} */ by) => () => {
        image = (image + by + sent.images.length) % sent.images.length;
        tell("");
        redraw();
      };
      add(bar, "button", { "aria-label": say("before") }, "‹", go(-1));
      add(bar, "span", {}, say("image_of", { place: image, count: sent.images.length }));
      add(bar, "button", { "aria-label": say("next") }, "›", go(1));
    }
    const { width, height } = sent;
    const svg = add(element, "svg", { class: "picture", viewBox: `0 0 ${width} ${height}` });
    const picture = sent.pictures[image];
    const look = { width, height, preserveAspectRatio: "none" };
    if (picture) add(svg, "image", { ...look, href: viewOf(picture) });
    else add(svg, "rect", { class: "blank", width, height });
    element.append(says);
    const phrases = add(element, "div", { class: "phrases" });
    sent.phrases.forEach((phrase, place) => histogram(phrases, phrase, place));
    const gone = readNumbers(`${widget?.value}`);
    // Units of the picture in a pixel of the page; before the node is shown, a guess.
    const unit = Math.max(width / (svg.clientWidth || 300), height / (svg.clientHeight || 150));
    for (const box of [...(sent.images[image] ?? [])].sort((a, b) => b.width * b.height - a.width * a.height)) {
      const click = () => {
        if (!widget || isWired(node, "dropped")) return tell(wired(node, "dropped"));
        write(node, { dropped: toggled(`${widget.value}`, box.number) });
        redraw();
        const key = readNumbers(`${widget.value}`).has(box.number) ? "drops" : "keeps";
        return tell(say(key, { ...box, score: box.score.toFixed(2) }));
      };
      drawBox(svg, box, gone.has(box.number), unit, tell, click);
    }
  });
  redraw();
  // Letters keep their size when the node is pulled larger.
  state.sizes?.disconnect();
  state.sizes = new ResizeObserver(redraw);
  state.sizes.observe(element);
};

register({ key: "trilemma_boxes", lowest: 260, draw });
