// What the panel of detections computes: no page, no ComfyUI.
import { say } from "./lib/texts.js";

/** The numbers of a JSON list; of anything else none.
 * @param {string} text */
export function readNumbers(text) {
  try {
    const found = JSON.parse(text || "[]");
    if (Array.isArray(found)) return new Set(found.filter(Number.isInteger));
  } catch {
    // what a user is still typing
  }
  return new Set();
}

/** The list with a number added, or taken out where it was in, as text.
 * @param {string} text @param {number} number */
export function toggled(text, number) {
  const numbers = readNumbers(text);
  if (!numbers.delete(number)) numbers.add(number);
  return JSON.stringify([...numbers].sort((a, b) => a - b));
}

/** Heights 0..1 of bars: logarithmic, as nearly all candidates score next to nothing, with one always to be seen.
 * @param {number[]} counts */
export function heights(counts) {
  const most = Math.log1p(Math.max(1, ...counts));
  return counts.map((count) => Math.log1p(count) / most);
}

/** What is told of a box.
 * @param {Detection} box @param {boolean} dropped */
export function about(box, dropped) {
  const [x, y, width, height] = [box.x, box.y, box.width, box.height].map(Math.round);
  const told = say("box", { ...box, x, y, width, height, score: box.score.toFixed(3) });
  return dropped ? `${told} · ${say("dropped")}` : told;
}
