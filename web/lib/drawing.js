// Points and boxes drawn on a picture, in its pixels: how the inputs' texts are read and written, and how they change.
// All functions give new values and leave theirs as they were.

/** @typedef {{x: number, y: number}} Point */
/** @typedef {{x: number, y: number, width: number, height: number}} Box */
/** @typedef {"positive" | "negative" | "boxes"} Kind */
/** @typedef {{positive: Point[], negative: Point[], boxes: Box[]}} Drawing */
/** @typedef {{kind: Kind, index: number, handle?: "nw" | "ne" | "sw" | "se"}} Target which one, and which corner of a box */
/** @typedef {{width: number, height: number}} Size */
/** @typedef {{[K in Kind]: string}} Texts */

/** The inputs of the node that hold each kind.
 * @type {Texts} */
export const INPUTS = { positive: "positive_points", negative: "negative_points", boxes: "drawn_boxes" };
/** @type {Kind[]} */
export const KINDS = ["positive", "negative", "boxes"];
/** @type {Drawing} */
export const EMPTY = { positive: [], negative: [], boxes: [] };

/** @param {unknown} value */
const isNumber = (value) => typeof value === "number" && Number.isFinite(value);

/** @param {any} entry @param {Kind} kind */
function isEntry(entry, kind) {
  if (typeof entry !== "object" || entry === null || !isNumber(entry.x) || !isNumber(entry.y)) return false;
  if (kind !== "boxes") return entry.x >= 0 && entry.y >= 0;
  return isNumber(entry.width) && isNumber(entry.height) && entry.width > 0 && entry.height > 0;
}

/**
 * The lists of an input's text: one for all images, or one for each.
 * @param {string} text @param {Kind} kind
 * @returns {{lists: any[][], perImage: boolean}}
 */
export function readText(text, kind) {
  if (!text.trim()) return { lists: [[]], perImage: false };
  const what = kind === "boxes" ? '[{"x": 12, "y": 34, "width": 56, "height": 78}]' : '[{"x": 12, "y": 34}]';
  let value;
  try {
    value = JSON.parse(text);
  } catch {
    throw new Error(`${INPUTS[kind]}: expected JSON such as ${what}`);
  }
  if (!Array.isArray(value)) throw new Error(`${INPUTS[kind]}: expected a list such as ${what}`);
  const perImage = Array.isArray(value[0]);
  const lists = perImage ? value : [value];
  for (const list of lists) {
    if (!Array.isArray(list) || !list.every((entry) => isEntry(entry, kind))) {
      throw new Error(`${INPUTS[kind]}: expected entries such as ${what.slice(1, -1)}`);
    }
  }
  return { lists, perImage };
}

/**
 * What the texts draw on the first image.
 * @param {Texts} texts
 * @returns {Drawing}
 */
export function readTexts(texts) {
  const [positive, negative, boxes] = KINDS.map((kind) => readText(texts[kind], kind).lists[0]);
  return { positive, negative, boxes };
}

/**
 * The texts with another drawing on the first image; lists of further images, and texts of what did not change, stay.
 * @param {Texts} texts @param {Drawing} drawing
 * @returns {Texts}
 */
export function writeTexts(texts, drawing) {
  const written = { ...texts };
  for (const kind of KINDS) {
    const { lists, perImage } = readText(texts[kind], kind);
    if (JSON.stringify(lists[0]) === JSON.stringify(drawing[kind])) continue;
    if (perImage) written[kind] = JSON.stringify([drawing[kind], ...lists.slice(1)]);
    else written[kind] = drawing[kind].length ? JSON.stringify(drawing[kind]) : "";
  }
  return written;
}

/** @param {number} value @param {number} high */
const within = (value, high) => Math.min(Math.max(Math.round(value), 0), high);

/** The position in whole pixels inside the picture.
 * @param {Point} point @param {Size} size
 * @returns {Point} */
export function inside(point, size) {
  return { x: within(point.x, size.width), y: within(point.y, size.height) };
}

/** The box between two positions, in whole pixels inside the picture, at least one wide and high.
 * @param {Point} one @param {Point} other @param {Size} size
 * @returns {Box} */
export function boxBetween(one, other, size) {
  const [a, b] = [inside(one, size), inside(other, size)];
  const x = Math.min(a.x, b.x, size.width - 1);
  const y = Math.min(a.y, b.y, size.height - 1);
  return { x, y, width: Math.max(1, Math.abs(a.x - b.x)), height: Math.max(1, Math.abs(a.y - b.y)) };
}

/** @param {Drawing} drawing @param {Kind} kind @param {Point | Box} entry
 * @returns {Drawing} */
export function added(drawing, kind, entry) {
  return { ...drawing, [kind]: [...drawing[kind], entry] };
}

/** @param {Drawing} drawing @param {Target} target
 * @returns {Drawing} */
export function removed(drawing, { kind, index }) {
  return { ...drawing, [kind]: /** @type {any[]} */ (drawing[kind]).filter((_, i) => i !== index) };
}

/** What the target refers to, moved by so many pixels and kept inside the picture: the whole, or a corner of a box.
 * @param {Drawing} drawing @param {Target} target @param {Point} by @param {Size} size
 * @returns {Drawing} */
export function moved(drawing, { kind, index, handle }, by, size) {
  const entry = drawing[kind][index];
  let place;
  if (kind !== "boxes") {
    place = inside({ x: entry.x + by.x, y: entry.y + by.y }, size);
  } else {
    const { x, y, width, height } = drawing.boxes[index];
    if (handle) {
      const corner = { x: handle.includes("w") ? x : x + width, y: handle.includes("n") ? y : y + height };
      const opposite = { x: handle.includes("w") ? x + width : x, y: handle.includes("n") ? y + height : y };
      place = boxBetween({ x: corner.x + by.x, y: corner.y + by.y }, opposite, size);
    } else {
      place = { x: within(x + by.x, Math.max(0, size.width - width)), y: within(y + by.y, Math.max(0, size.height - height)) };
    }
  }
  return { ...drawing, [kind]: drawing[kind].map((each, i) => (i === index ? { ...each, ...place } : each)) };
}

/** What lies at a position: the nearest point, else a corner, else the edge of the smallest box; null if nothing does.
 * @param {Drawing} drawing @param {Point} at @param {number} reach in pixels of the picture
 * @returns {Target | null} */
export function hit(drawing, at, reach) {
  /** @type {{target: Target, cost: number}[]} */
  const found = [];
  for (const kind of /** @type {Kind[]} */ (["positive", "negative"])) {
    drawing[kind].forEach((point, index) => {
      const cost = Math.hypot(point.x - at.x, point.y - at.y);
      if (cost <= reach) found.push({ target: { kind, index }, cost });
    });
  }
  if (!found.length) {
    drawing.boxes.forEach((box, index) => {
      for (const handle of /** @type {const} */ (["nw", "ne", "sw", "se"])) {
        const x = handle.includes("w") ? box.x : box.x + box.width;
        const y = handle.includes("n") ? box.y : box.y + box.height;
        const cost = Math.hypot(x - at.x, y - at.y);
        if (cost <= reach) found.push({ target: { kind: "boxes", index, handle }, cost });
      }
    });
  }
  if (!found.length) {
    drawing.boxes.forEach((box, index) => {
      const [right, bottom] = [box.x + box.width, box.y + box.height];
      const near = at.x >= box.x - reach && at.x <= right + reach && at.y >= box.y - reach && at.y <= bottom + reach;
      const deep = at.x > box.x + reach && at.x < right - reach && at.y > box.y + reach && at.y < bottom - reach;
      if (near && !deep) found.push({ target: { kind: "boxes", index }, cost: box.width * box.height });
    });
  }
  return found.sort((a, b) => a.cost - b.cost)[0]?.target ?? null;
}

/** The target after or before one in the order of kinds, round; null where nothing is drawn.
 * @param {Drawing} drawing @param {Target | null} target @param {1 | -1} step
 * @returns {Target | null} */
export function neighbour(drawing, target, step) {
  /** @type {Target[]} */
  const all = KINDS.flatMap((kind) => /** @type {any[]} */ (drawing[kind]).map((_, index) => ({ kind, index })));
  if (!all.length) return null;
  const at = all.findIndex((each) => each.kind === target?.kind && each.index === target.index);
  if (at < 0) return step > 0 ? all[0] : all[all.length - 1];
  return all[(at + step + all.length) % all.length];
}

/** What was before each change, for undo and redo. */
export class History {
  constructor() {
    /** @type {Texts[]} */
    this.past = [];
    /** @type {Texts[]} */
    this.future = [];
  }

  /** @param {Texts} before */
  changed(before) {
    this.past.push(before);
    if (this.past.length > 200) this.past.shift();
    this.future = [];
  }

  /** @param {Texts} now
   * @returns {Texts | null} */
  undo(now) {
    const before = this.past.pop();
    if (!before) return null;
    this.future.push(now);
    return before;
  }

  /** @param {Texts} now
   * @returns {Texts | null} */
  redo(now) {
    const after = this.future.pop();
    if (!after) return null;
    this.past.push(now);
    return after;
  }
}
