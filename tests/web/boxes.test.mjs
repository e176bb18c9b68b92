import assert from "node:assert/strict";
import { test } from "node:test";
import { about, heights, readNumbers, toggled } from "../../web/boxes.js";
import "./texts.mjs";

test("numbers are read from a list, and from nothing else", () => {
  assert.deepEqual([...readNumbers("[3, 17]")], [3, 17]);
  for (const text of ["", "[]", undefined, "3", "{", '{"a": 1}', '["x", 1.5]']) {
    assert.equal(readNumbers(text).size, 0);
  }
});

test("a click drops a box, another keeps it again", () => {
  assert.equal(toggled("[]", 4), "[4]");
  assert.equal(toggled("[17, 4]", 10), "[4,10,17]");
  assert.equal(toggled("[4, 17]", 4), "[17]");
  assert.equal(toggled("what a user wrote", 0), "[0]");
});

test("bars are logarithmic, and the largest is whole", () => {
  const [none, one, many] = heights([0, 1, 899]);
  assert.deepEqual([none, many], [0, 1]);
  assert.ok(one > 0.1 && one < 0.2);
  assert.deepEqual(heights([0, 0]), [0, 0]);
});

test("a box tells what it is", () => {
  const box = { x: 1.2, y: 3.7, width: 10, height: 20, label: "a cat", score: 0.45678, number: 12 };
  assert.equal(about(box, false), "a cat 0.457 · 10 x 20 at 1, 4 · number 12");
  assert.ok(about(box, true).endsWith("· dropped"));
});
