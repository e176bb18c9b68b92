// What the panel of samples computes: no page, no ComfyUI.
import { say } from "./lib/texts.js";

/** How many pictures of an aspect (width / height) side by side make them largest in a box.
 * @param {number} count @param {number} width @param {number} height */
export function columnsFor(count, width, height, aspect = 1, gap = 2) {
  let [best, columns] = [0, 1];
  for (let across = 1; across <= count; across += 1) {
    const down = Math.ceil(count / across);
    const [w, h] = [(width - gap * (across - 1)) / across, (height - gap * (down - 1)) / down];
    const side = Math.min(w, h * aspect);
    if (side > best) [best, columns] = [side, across];
  }
  return { columns, side: Math.max(1, Math.floor(best)) };
}

/** The seed as the page's number, or null where no number of JavaScript is that seed.
 * @param {string | undefined} text */
export function seedOf(text) {
  const value = text && /^\d+$/.test(text) ? Number(text) : NaN;
  return Number.isSafeInteger(value) ? value : null;
}

/** What is told of a picture, and of its place, if it has one.
 * @param {Partial<Sample>} picture @param {number} [place] */
export function caption(picture, place) {
  const told = [place !== undefined && say("image", { place }), picture.seed && say("seed", picture), picture.condition];
  return told.filter(Boolean).join(" · ");
}
