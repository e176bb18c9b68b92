// The explorer of latents: a plane between the first samples on Interpolate, sliders of named directions on Edit Latent.
// Both write an input of the node, and run this node alone by the page's queue.
import { app } from "../../scripts/app.js";
import { add, isWired, labelOf, registerFolded, root, say, shownBy, take, viewOf, widgetOf, wired, write } from "./folded.js";
import * as explore from "./lib/explore.js";
import { promptId } from "./lib/upstream.js";
import { ARROWS } from "./lib/view.js";

const CALM = 300; // ms without a further change, after which it runs
const STEP = 4; // units of the plane that an arrow moves, with Shift five times as far
const FAR = 6; // strength at the ends of a slider
const THUMB = 24;
const MOST = 30; // pictures on the plane

/** What both share. body(own): makes its elements, and gives the function that draws them anew.
 * @type {MakesExplorer} */
const explorer = (input, empties, body) => (node) => {
  const element = add(null, "div", { class: "trilemma-panel trilemma-explorer" });
  const bar = add(element, "div", { class: "trilemma-bar" });
  const says = add(bar, "span", { "aria-live": "polite" });
  let [waiting, shown] = [0, ""];
  /** @type {Explorer} */
  const own = {
    node,
    element,
    text: () => `${widgetOf(node, input)?.value ?? ""}`,
    run() {
      if (widgetOf(node, "preview")) write(node, { preview: true });
      const id = promptId(node, root());
      app.queuePrompt(0, 1, id ? [id] : undefined);
    },
    set(text, ended = true) {
      if (isWired(node, input)) return;
      write(node, { [input]: text }, ended);
      own.refresh();
      clearTimeout(waiting);
      if (ended && text && widgetOf(node, "preview")?.value !== false) waiting = setTimeout(own.run, CALM);
    },
    refresh() {
      [own.last] = shownBy(node)?.trilemma_explorer ?? [];
      const now = JSON.stringify([own.text(), own.last, node.inputs, widgetOf(node, "seeds")?.value]);
      if (now === shown) return;
      shown = now;
      const told = draw();
      says.textContent = isWired(node, input) ? wired(node, input) : told;
    },
    close: () => clearTimeout(waiting),
  };
  add(bar, "button", { "data-action": "preview" }, say("preview"), own.run);
  const title = say("empties", { input: labelOf(node, input) });
  add(bar, "button", { "data-action": "reset", title }, say(empties), () => own.set(""));
  const draw = body(own);
  return own;
};

/** @param {Explorer} own */
function plane(own) {
  const { node } = own;
  const look = { class: "plane", viewBox: "0 0 200 160", tabindex: 0, role: "application", "aria-label": say("plane") };
  const svg = add(own.element, "svg", look);
  const seen = new Map(); // addresses of pictures, by their positions
  let count = 3;
  let shares = /** @type {number[] | null} */ (null);
  /** @param {number[]} point @param {boolean} ended */
  const move = (point, ended) => own.set(explore.writePosition(explore.sharesAt(point, count)), ended);
  /** @param {PointerEvent} event @param {boolean} ended */
  const drag = (event, ended) => {
    if (!svg.hasPointerCapture(event.pointerId)) return;
    const { x, y } = new DOMPoint(event.clientX, event.clientY).matrixTransform(svg.getScreenCTM()?.inverse());
    move([x, y], ended);
  };
  svg.onpointerdown = (event) => {
    event.preventDefault();
    svg.focus({ preventScroll: true });
    svg.setPointerCapture(event.pointerId);
    drag(event, false);
  };
  svg.onpointermove = svg.onpointerup = (event) => drag(event, event.type === "pointerup");
  svg.onkeydown = (event) => {
    const way = ARROWS[event.key];
    if (!way || event.ctrlKey || event.metaKey) return;
    take(event);
    const from = explore.pointOf(shares ?? Array(count).fill(1 / count));
    move(from.map((side, axis) => side + way[axis] * STEP * (event.shiftKey ? 5 : 1)), true);
  };
  return () => {
    const seeds = `${widgetOf(node, "seeds")?.value}`.split(/[\s,;]+/).filter(Boolean);
    const given = isWired(node, "latent") || isWired(node, "images");
    const names = given ? ["1", "2", "3"].slice(0, own.last?.anchors) : seeds.slice(0, 3).map((seed) => say("seed", { seed }));
    count = Math.max(2, names.length);
    const [picture] = shownBy(node)?.trilemma_samples?.[0].pictures ?? [];
    if (own.last?.position && picture) seen.set(own.last.position, viewOf(picture));
    if (seen.size > MOST) seen.delete(seen.keys().next().value);
    svg.replaceChildren();
    add(svg, "polygon", { points: explore.CORNERS[count].join(" ") });
    for (const [text, address] of seen) {
      const at = explore.readPosition(text);
      if (at?.length !== count) continue;
      const [x, y] = explore.pointOf(at).map((middle) => middle - THUMB / 2);
      add(svg, "image", { x, y, width: THUMB, height: THUMB, href: address });
    }
    explore.CORNERS[count].forEach(([x, y], at) => {
      const anchor = x === 100 ? "middle" : x < 100 ? "start" : "end";
      add(svg, "text", { x, y: y < 80 ? y - 4 : y + 11, "text-anchor": anchor }, names[at] ?? "");
    });
    shares = explore.readPosition(own.text());
    if (shares?.length !== count) shares = null;
    const [cx, cy] = shares ? explore.pointOf(shares) : [];
    for (const stroke of shares ? ["#000", "#56b4e9"] : []) add(svg, "circle", { cx, cy, r: 6, stroke });
    if (shares) return explore.writePosition(shares);
    return own.text().trim() ? say("other_corners", { input: labelOf(node, "position") }) : say("drag");
  };
}

/** @param {Explorer} own */
function sliders(own) {
  const list = add(own.element, "div", { class: "sliders" });
  let rows = /** @type {Slider[]} */ ([]);
  return () => {
    const strengths = explore.readMix(own.text()) ?? new Map();
    const typed = [...strengths.keys()].filter((name) => !/^\d+$/.test(name));
    const names = [...new Set([...(own.last?.names ?? []), ...typed])];
    if (rows.map(({ name }) => name).join("\n") !== names.join("\n")) {
      list.replaceChildren();
      rows = names.map((name, at) => {
        add(list, "label", {}, name);
        const slider = add(list, "input", { type: "range", step: 0.1, "aria-label": name });
        const row = { name, slider, number: `${at + 1}`, says: add(list, "output") };
        for (const kind of ["input", "change"]) {
          slider.addEventListener(kind, () => {
            own.set(explore.withStrength(own.text(), name, row.number, Number(slider.value)), kind === "change");
          });
        }
        return row;
      });
    }
    for (const { name, slider, number, says } of rows) {
      const strength = strengths.get(name) ?? strengths.get(number) ?? 0;
      const max = Math.max(FAR, Math.abs(strength));
      Object.assign(slider, { max, min: -max, value: strength });
      says.textContent = strength;
    }
    if (own.text().trim() && !strengths.size) return say("unread", { input: labelOf(own.node, "mix") });
    return own.last ? say("directions", { count: names.length }) : say("no_names");
  };
}

const shared = { key: "explorer", property: "explorer_open", open: false };
const [walks, mixes] = [explorer("position", "walk", plane), explorer("mix", "grid", sliders)];
registerFolded({ ...shared, kind: "TrilemmaInterpolate", text: "explore_point", lowest: 215, made: walks });
registerFolded({ ...shared, kind: "TrilemmaEditLatent", text: "explore_directions", lowest: 150, made: mixes });
