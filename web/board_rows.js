// What the leaderboard's panel computes: no page, no ComfyUI.
import { say } from "./lib/texts.js";

// On the sheet, in units: where the worst of everything stands, and from there the best of each axis, in the
// order of the axes: quality, coverage, speed.
const ORIGIN = [34, 200];
const WAYS = [[0, -120], [150, 0], [78, -62]];

/** @param {Position} position */
export function project(position) {
  return [0, 1].map((side) => WAYS.reduce((sum, way, axis) => sum + way[side] * position[axis], ORIGIN[side]));
}

/** Rows of a group with their cells, in order of a column; those without a value stand last, as they came.
 * @param {Row[]} rows @param {string} key @param {boolean} descending */
export function sorted(rows, key, descending) {
  const value = (/** @type {any} */ row) => row.cells.of[key]?.value ?? row[key] ?? null;
  return [...rows].sort((a, b) => {
    const [one, other] = [value(a), value(b)];
    if (one === null || other === null) return +(one === null) - +(other === null);
    const order = typeof one === "string" ? one.localeCompare(other) : one - other;
    return descending ? -order : order;
  });
}

/** The groups of a board: what the JSON tells of them, and the cells of each row beside it.
 * @param {SentBoard} sent */
export function groupsOf(sent) {
  /** @type {Group[]} */
  const groups = JSON.parse(sent.json).groups;
  return groups.map((group, place) => ({
    ...group,
    rows: group.rows.map((row, at) => ({ ...row, cells: sent.cells[place][at] })),
  }));
}

/** Where a row comes from, a line to each fact.
 * @param {Row} row */
export function provenance(row) {
  const from = row.scores.provenance ?? {};
  /** @type {Record<string, any>} */
  const facts = { ...from, seeds: from.seeds && [from.seeds].flat().join("\u2013"), runs: row.runs?.length };
  const told = ["samples", "extractor", "reference", "weights", "seeds", "device", "version", "runs"]
    .map((name) => [name, facts[name]?.name ?? facts[name]])
    .filter(([, value]) => ["string", "number"].includes(typeof value) && value !== "");
  return [row.name, ...told.map(([name, value]) => say(name, { value })), ...row.warnings].join("\n");
}

/** The most and the least typical samples that a benchmark found: [key of a text, samples] pairs.
 * @param {Row} row */
export function extremes(row) {
  const { best, worst } = row.cells.samples;
  return Object.entries({ "nearest": best, "farthest": worst }).filter(([, samples]) => samples.length);
}

/** A number as an axis prints it.
 * @param {number} value */
export function short(value) {
  return Math.abs(value) >= 1e4 ? value.toExponential(0).replace("e+", "e") : `${+value.toPrecision(3)}`;
}
