// Points and boxes: texts to drawings and back, and every change of them.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import test from "node:test";
import * as drawing from "../../web/lib/drawing.js";
import "./texts.mjs";

const values = JSON.parse(readFileSync(new URL("values.json", import.meta.url), "utf8"));
const SIZE = { width: 100, height: 60 };
const BOX = { x: 10, y: 20, width: 30, height: 20 };
const DRAWN = { positive: [{ x: 50, y: 30 }], negative: [{ x: 52, y: 30 }], boxes: [BOX, { x: 5, y: 5, width: 90, height: 50 }] };
const texts = (positive = "", negative = "", boxes = "") => ({ positive, negative, boxes });

test("what Python takes is read, what it refuses is refused by name", () => {
  for (const kind of drawing.KINDS) {
    const { valid, invalid } = values[kind === "boxes" ? "boxes" : "points"];
    for (const value of valid) drawing.readText(JSON.stringify(value), kind);
    const named = { message: new RegExp(`^${drawing.INPUTS[kind]}: `) };
    for (const value of invalid) assert.throws(() => drawing.readText(JSON.stringify(value), kind), named, JSON.stringify(value));
    assert.throws(() => drawing.readText("[{", kind), named);
  }
});

test("empty texts are an empty drawing, and it is written as they were", () => {
  assert.deepEqual(drawing.readTexts(texts("", " ", "[]")), drawing.EMPTY);
  assert.deepEqual(drawing.writeTexts(texts("", " ", "[]"), drawing.EMPTY), texts("", " ", "[]"));
});

test("a drawing survives its texts", () => {
  const written = drawing.writeTexts(texts(), DRAWN);
  assert.equal(written.positive, '[{"x":50,"y":30}]');
  assert.deepEqual(drawing.readTexts(written), DRAWN);
});

test("the last one deleted leaves an empty text", () => {
  const before = texts('[{"x": 1, "y": 2}]');
  assert.deepEqual(drawing.writeTexts(before, drawing.removed(drawing.readTexts(before), { kind: "positive", index: 0 })), texts());
});

test("lists of other images, other keys, and untouched texts stay", () => {
  const before = texts('[[{"x": 1, "y": 2, "note": 3}], [{"x": 9, "y": 9}]]', '[ {"x": 4, "y": 4} ]');
  const after = drawing.moved(drawing.readTexts(before), { kind: "positive", index: 0 }, { x: 5, y: 0 }, SIZE);
  const written = drawing.writeTexts(before, after);
  assert.deepEqual(JSON.parse(written.positive), [[{ x: 6, y: 2, note: 3 }], [{ x: 9, y: 9 }]]);
  assert.equal(written.negative, before.negative);
});

test("boxes are whole pixels inside the picture, whichever corner comes first", () => {
  assert.deepEqual(drawing.boxBetween({ x: 40.2, y: 39.8 }, { x: 10.4, y: 20.3 }, SIZE), BOX);
  assert.deepEqual(drawing.boxBetween({ x: -50, y: -50 }, { x: 500, y: 500 }, SIZE), { x: 0, y: 0, width: 100, height: 60 });
  assert.deepEqual(drawing.boxBetween({ x: 100, y: 60 }, { x: 100, y: 60 }, SIZE), { x: 99, y: 59, width: 1, height: 1 });
});

test("points are hit before boxes, the nearest first, and a box by its edge alone", () => {
  assert.deepEqual(drawing.hit(DRAWN, { x: 51.6, y: 30 }, 5), { kind: "negative", index: 0 });
  assert.deepEqual(drawing.hit(DRAWN, { x: 40, y: 40 }, 3), { kind: "boxes", index: 0, handle: "se" });
  assert.deepEqual(drawing.hit(DRAWN, { x: 25, y: 20 }, 3), { kind: "boxes", index: 0 });
  assert.equal(drawing.hit(DRAWN, { x: 25, y: 30 }, 3), null);
});

test("what is moved stays inside, and a box keeps its size", () => {
  const far = { x: 1000, y: -1000 };
  assert.deepEqual(drawing.moved(DRAWN, { kind: "positive", index: 0 }, far, SIZE).positive, [{ x: 100, y: 0 }]);
  assert.deepEqual(drawing.moved(DRAWN, { kind: "boxes", index: 0 }, far, SIZE).boxes[0], { ...BOX, x: 70, y: 0 });
  assert.deepEqual(DRAWN.boxes[0], BOX);
});

test("a corner drags its sides, over the opposite corner too", () => {
  const dragged = (handle, by) => drawing.moved(DRAWN, { kind: "boxes", index: 0, handle }, by, SIZE).boxes[0];
  assert.deepEqual(dragged("se", { x: 5, y: 6 }), { x: 10, y: 20, width: 35, height: 26 });
  assert.deepEqual(dragged("nw", { x: 40, y: 0 }), { x: 40, y: 20, width: 10, height: 20 });
});

test("the neighbour goes round all kinds", () => {
  let at = null;
  const seen = [];
  for (let i = 0; i < 5; i += 1) seen.push((at = drawing.neighbour(DRAWN, at, 1)));
  assert.deepEqual(seen.map((each) => each.kind), ["positive", "negative", "boxes", "boxes", "positive"]);
  assert.deepEqual(drawing.neighbour(DRAWN, null, -1), { kind: "boxes", index: 1 });
  assert.equal(drawing.neighbour(drawing.EMPTY, null, 1), null);
});
