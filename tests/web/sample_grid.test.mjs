import assert from "node:assert/strict";
import { test } from "node:test";
import { caption, columnsFor, seedOf } from "../../web/sample_grid.js";
import "./texts.mjs";

test("pictures are as large as the box lets them be", () => {
  assert.deepEqual(columnsFor(4, 200, 200, 1, 0), { columns: 2, side: 100 });
  assert.deepEqual(columnsFor(8, 400, 200, 1, 0), { columns: 4, side: 100 });
  assert.deepEqual(columnsFor(1, 300, 100, 1, 0), { columns: 1, side: 100 });
  assert.deepEqual(columnsFor(2, 100, 100, 2, 0), { columns: 1, side: 100 });
});

test("they never stand out of the box", () => {
  for (const count of [1, 3, 7, 64]) {
    for (const [width, height] of [[310, 150], [150, 700]]) {
      const { columns, side } = columnsFor(count, width, height);
      assert.ok(columns * side + 2 * (columns - 1) <= width);
      assert.ok(Math.ceil(count / columns) * (side + 2) - 2 <= height);
    }
  }
});

test("a box that is not shown yet has pictures of some size", () => {
  assert.equal(columnsFor(9, 0, 0).side, 1);
});

test("only seeds that a number holds exactly can be kept", () => {
  assert.equal(seedOf("0"), 0);
  assert.equal(seedOf("9007199254740991"), 2 ** 53 - 1);
  for (const text of ["9007199254740993", "18446744073709551615", "", "-1", "1.5", undefined]) {
    assert.equal(seedOf(text), null);
  }
});

test("a caption tells what is known", () => {
  assert.equal(caption({ seed: "7", condition: "cat" }, 2), "image 2 · seed 7 · cat");
  assert.equal(caption({ condition: "coarse 1, fine 4" }, 0), "image 0 · coarse 1, fine 4");
  assert.equal(caption({}, 0), "image 0");
  assert.equal(caption({ seed: "7", condition: "cat" }), "seed 7 · cat");
  assert.equal(caption({ seed: "0", condition: "" }), "seed 0");
});
