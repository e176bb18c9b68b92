// What the explorer of latents computes: a point between two or three corners of a sheet and its shares, which sum to 1;
// strengths of directions; and the texts that hold both. null: of a text that is empty, or that Python refuses.

/** Corners by how many there are, [x, y].
 * @type {Record<number, number[][]>} */
export const CORNERS = { 2: [[14, 80], [186, 80]], 3: [[100, 14], [14, 146], [186, 146]] };
const ENTRY = /^\s*(.*[^\s:].*?)\s*:\s*([+-]?(?:\d+\.?\d*|\.\d+))\s*$/;

/** @param {number[]} shares */
const sum = (shares) => shares.reduce((one, other) => one + other, 0);

/** @param {number[]} shares */
function whole(shares) {
  const kept = shares.map((share) => Math.max(0, share));
  return kept.map((share) => share / sum(kept));
}

/** "1, 1, 2" as shares.
 * @param {string} text */
export function readPosition(text) {
  const words = text.split(/[\s,;]+/).filter(Boolean);
  const shares = words.map((word) => (/^(\d+\.?\d*|\.\d+)$/.test(word) ? Number(word) : NaN));
  return words.length > 1 && sum(shares) > 0 ? whole(shares) : null;
}

/** In hundredths.
 * @param {number[]} shares */
export function writePosition(shares) {
  const parts = shares.map((share) => Math.round(share * 100));
  parts[parts.indexOf(Math.max(...parts))] += 100 - sum(parts);
  return parts.map((part) => part / 100).join(", ");
}

/** @param {number[]} shares */
export const pointOf = (shares) =>
  [0, 1].map((side) => sum(shares.map((share, at) => share * CORNERS[shares.length][at][side])));

/** Shares of a point; outside of the corners what is below 0 counts as 0.
 * @param {number[]} point @param {number} count of corners */
export function sharesAt([x, y], count) {
  const [[ax, ay], [bx, by], [cx, cy] = [100, 0]] = CORNERS[count];
  const down = count === 2 ? ay : y;
  const area = (by - cy) * (ax - cx) + (cx - bx) * (ay - cy);
  const first = ((by - cy) * (x - cx) + (cx - bx) * (down - cy)) / area;
  const second = ((cy - ay) * (x - cx) + (ax - cx) * (down - cy)) / area;
  return whole([first, second, 1 - first - second].slice(0, count));
}

/** Strengths by direction of "age: 1.5, sefa 2: -1".
 * @param {string} text */
export function readMix(text) {
  const found = text.split(/[,;\n]/).filter((entry) => entry.trim()).map((entry) => entry.match(ENTRY));
  return found.length && !found.includes(null) ? new Map(found.map((each) => [each?.[1] ?? "", Number(each?.[2])])) : null;
}

/** The text with another strength of one direction, by its number where its name cannot be written.
 * @param {string} text @param {string} name @param {string} number @param {number} strength */
export function withStrength(text, name, number, strength) {
  const strengths = readMix(text) ?? new Map();
  strengths.set(strengths.has(number) || /[,;:\n]/.test(name) ? number : name, strength);
  return [...strengths].map((entry) => entry.join(": ")).join(", ");
}
