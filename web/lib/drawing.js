// Points and boxes drawn on a picture, in its pixels: how the inputs' texts are read and written, and how they change.
// All functions give new values and leave theirs as they were.
import { say } from "./texts.js";

/** The inputs of the node that hold each kind.
 * @type {Texts} */
export const INPUTS = { positive: "positive_points", negative: "negative_points", boxes: "drawn_boxes" };
/** @type {Kind[]} */
export const KINDS = ["positive", "negative", "boxes"];
/** @type {Drawing} */
export const EMPTY = { positive: [], negative: [], boxes: [] };

/** @param {any} entry @param {Kind} kind */
function isEntry(entry, kind) {
  const sides = kind === "boxes" ? [entry?.width, entry?.height] : [];
  const all = [entry?.x, entry?.y, ...sides].every(Number.isFinite);
  return all && (kind === "boxes" ? sides.every((side) => side > 0) : entry.x >= 0 && entry.y >= 0);
}

/** The lists of an input's text: one for all images, or one for each.
 * @param {string} text @param {Kind} kind
 * @returns {{lists: any[][], perImage: boolean}} */
export function readText(text, kind) {
  let value;
  try {
    value = JSON.parse(text.trim() || "[]");
  } catch {
    // told below, with all else that is no such list
  }
  const perImage = Array.isArray(value?.[0]);
  const lists = perImage ? value : [value];
  if (!lists.every((/** @type {any} */ list) => Array.isArray(list) && list.every((entry) => isEntry(entry, kind)))) {
    throw new Error(say(kind === "boxes" ? "expected_boxes" : "expected_points", { input: INPUTS[kind] }));
  }
  return { lists, perImage };
}

/** What the texts draw on the first image.
 * @param {Texts} texts */
export function readTexts(texts) {
  const [positive, negative, boxes] = KINDS.map((kind) => readText(texts[kind], kind).lists[0]);
  return { positive, negative, boxes };
}

/** The texts with another drawing on the first image; lists of further images, and texts of what did not change, stay.
 * @param {Texts} texts @param {Drawing} drawing */
export function writeTexts(texts, drawing) {
  const written = { ...texts };
  for (const kind of KINDS) {
    const { lists, perImage } = readText(texts[kind], kind);
    if (JSON.stringify(lists[0]) === JSON.stringify(drawing[kind])) continue;
    const text = JSON.stringify(perImage ? [drawing[kind], ...lists.slice(1)] : drawing[kind]);
    written[kind] = text === "[]" ? "" : text;
  }
  return written;
}

/** @param {number} value @param {number} high */
const within = (value, high) => Math.min(Math.max(Math.round(value), 0), high);

/** The position in whole pixels inside the picture.
 * @param {Point} point @param {Size} size */
export function inside(point, size) {
  return { x: within(point.x, size.width), y: within(point.y, size.height) };
}

/** The box between two positions, in whole pixels inside the picture, at least one wide and high.
 * @param {Point} one @param {Point} other @param {Size} size */
export function boxBetween(one, other, size) {
  const [a, b] = [inside(one, size), inside(other, size)];
  const x = Math.min(a.x, b.x, size.width - 1);
  const y = Math.min(a.y, b.y, size.height - 1);
  return { x, y, width: Math.max(1, Math.abs(a.x - b.x)), height: Math.max(1, Math.abs(a.y - b.y)) };
}

/** @type {Changes<[kind: Kind, entry: Point | Box]>} */
export const added = (drawing, kind, entry) => ({ ...drawing, [kind]: [...drawing[kind], entry] });

/** @type {Changes<[target: Target]>} */
export const removed = (drawing, { kind, index }) => ({ ...drawing, [kind]: drawing[kind].toSpliced(index, 1) });

/** @type {Handle[]} */
export const HANDLES = ["nw", "ne", "sw", "se"];

/** @param {Box} box @param {Handle} handle */
export function cornerOf({ x, y, width, height }, handle) {
  return { x: handle.includes("w") ? x : x + width, y: handle.includes("n") ? y : y + height };
}

/** What the target refers to, moved by so many pixels and kept inside the picture: the whole, or a corner of a box.
 * @type {Changes<[target: Target, by: Point, size: Size]>} */
export const moved = (drawing, { kind, index, handle }, by, size) => {
  const entry = /** @type {Box} */ (drawing[kind][index]); // a point has no sides
  const { width = 0, height = 0 } = entry;
  let place = {
    x: within(entry.x + by.x, Math.max(0, size.width - width)),
    y: within(entry.y + by.y, Math.max(0, size.height - height)),
  };
  if (handle) {
    const corner = cornerOf(entry, handle);
    const opposite = cornerOf(entry, HANDLES[3 - HANDLES.indexOf(handle)]);
    place = boxBetween({ x: corner.x + by.x, y: corner.y + by.y }, opposite, size);
  }
  return { ...drawing, [kind]: drawing[kind].map((each, i) => (i === index ? { ...each, ...place } : each)) };
};

/** What lies at a position: the nearest point, else a corner, else the edge of the smallest box; null if nothing does.
 * @type {Finds<[at: Point, reach: number]>} */
export const hit = (drawing, at, reach) => {
  /** @param {Point} place */
  const away = (place) => Math.hypot(place.x - at.x, place.y - at.y);
  /** @type {Ranked[]} */
  const found = [];
  KINDS.forEach((kind) => drawing[kind].forEach((entry, index) => {
    if (kind !== "boxes") return found.push([0, away(entry), { kind, index }]);
    const { x, y, width, height } = /** @type {Box} */ (entry);
    for (const handle of HANDLES) found.push([1, away(cornerOf({ x, y, width, height }, handle)), { kind, index, handle }]);
    // How far inside, from the nearest edge; below 0 outside.
    const deep = Math.min(at.x - x, x + width - at.x, at.y - y, y + height - at.y);
    return Math.abs(deep) <= reach && found.push([2, width * height, { kind, index }]);
  }));
  const near = found.filter(([rank, cost]) => rank > 1 || cost <= reach);
  return near.sort((a, b) => a[0] - b[0] || a[1] - b[1])[0]?.[2] ?? null;
};

/** The target after or before one in the order of kinds, round; null where nothing is drawn.
 * @type {Finds<[target: Target | null, step: 1 | -1]>} */
export const neighbour = (drawing, target, step) => {
  const all = KINDS.flatMap((kind) => drawing[kind].map((_, index) => ({ kind, index })));
  const at = all.findIndex((each) => each.kind === target?.kind && each.index === target.index);
  return all[(Math.max(at, step < 0 ? 0 : -1) + step + all.length) % all.length] ?? null;
};
