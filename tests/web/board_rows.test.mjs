import assert from "node:assert/strict";
import { test } from "node:test";
import { extremes, groupsOf, project, provenance, short, sorted } from "../../web/board_rows.js";
import "./texts.mjs";

const row = (name, rank, fid) => ({ name, rank, warnings: [], scores: {}, cells: { of: { fid: { value: fid } } } });
const ROWS = [row("b", 1, 2.5), row("a", 1, 10), row("d", null, null), row("c", 3, 9)];
const names = (rows) => rows.map(({ name }) => name).join("");

test("rows are sorted by numbers, names and ranks, and keep their own order", () => {
  assert.equal(names(sorted(ROWS, "fid", false)), "bcad");
  assert.equal(names(sorted(ROWS, "name", false)), "abcd");
  assert.equal(names(sorted(ROWS, "rank", false)), "bacd");
  assert.equal(names(ROWS), "badc");
});

test("rows without a value stand last either way", () => {
  assert.equal(names(sorted(ROWS, "fid", true)), "acbd");
  assert.equal(names(sorted(ROWS, "nothing", true)), "badc");
});

test("better stands further up, right, and back", () => {
  const [x, y] = project([0, 0, 0]);
  assert.ok(project([1, 0, 0])[1] < y && project([1, 0, 0])[0] === x);
  assert.ok(project([0, 1, 0])[0] > x && project([0, 1, 0])[1] === y);
  assert.ok(project([0, 0, 1])[0] > x && project([0, 0, 1])[1] < y);
  const halves = [project([1, 0, 0]), project([0, 0, 1])];
  assert.deepEqual(project([0.5, 0, 0.5]), [0, 1].map((side) => (halves[0][side] + halves[1][side]) / 2));
});

test("each row has its cells", () => {
  const json = JSON.stringify({ groups: [{ rows: [{ name: "a" }] }, { rows: [{ name: "b" }, { name: "c" }] }] });
  const groups = groupsOf({ json, cells: [["x"], ["y", "z"]] });
  assert.deepEqual(groups[1].rows, [{ name: "b", cells: "y" }, { name: "c", cells: "z" }]);
});

test("a row tells where it comes from, and what a reader has to know", () => {
  const scores = { provenance: { samples: 256, extractor: { name: "Inception" }, seeds: [0, 255], graph: { 1: {} } } };
  const told = provenance({ name: "VAE", warnings: ["few samples"], scores, runs: [{}, {}] });
  assert.equal(told, "VAE\nsamples: 256\nextractor: Inception\nseeds: 0–255\nruns: 2\nfew samples");
});

test("best and worst samples are told where a benchmark found them", () => {
  const samples = { best: [{ seed: "3", condition: "" }], worst: [] };
  assert.deepEqual(extremes({ cells: { samples } }), [["nearest", samples.best]]);
  assert.deepEqual(extremes({ cells: { samples: { best: [], worst: [] } } }), []);
});

test("numbers of axes are short", () => {
  assert.deepEqual([0, 1, 0.05, 123.456, 20000].map(short), ["0", "1", "0.05", "123", "2e4"]);
});
