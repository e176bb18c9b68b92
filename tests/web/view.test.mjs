// Which part of the picture is shown.
import assert from "node:assert/strict";
import test from "node:test";
import { fitted, panned, toCanvas, toPicture, zoomed } from "../../web/lib/view.js";

const PICTURE = { width: 200, height: 100 };
const CANVAS = { width: 100, height: 100 };
const WHOLE = { scale: 0.5, x: 0, y: 25 };

test("the whole picture stands in the middle", () => {
  assert.deepEqual(fitted(PICTURE, CANVAS), WHOLE);
});

test("positions go there and back", () => {
  const view = { scale: 3, x: -7, y: 11 };
  assert.deepEqual(toPicture(view, toCanvas(view, { x: 13, y: 17 })), { x: 13, y: 17 });
});

test("what is under the pointer stays there", () => {
  const about = { x: 60, y: 50 };
  const view = zoomed(WHOLE, 8, about, PICTURE, CANVAS);
  assert.equal(view.scale, 4);
  assert.deepEqual(toPicture(view, about), toPicture(WHOLE, about));
});

test("it is never smaller than the whole, nor larger than the limit", () => {
  assert.deepEqual(zoomed(WHOLE, 0.1, { x: 3, y: 4 }, PICTURE, CANVAS), WHOLE);
  assert.equal(zoomed(WHOLE, 1e6, { x: 3, y: 50 }, PICTURE, CANVAS).scale, 32);
});

test("a picture larger than the canvas is not moved away from its edges", () => {
  const view = zoomed(WHOLE, 8, { x: 50, y: 50 }, PICTURE, CANVAS);
  const corner = panned(view, { x: 1e4, y: 1e4 }, PICTURE, CANVAS);
  assert.deepEqual([corner.x, corner.y], [0, 0]);
  const other = panned(view, { x: -1e4, y: -1e4 }, PICTURE, CANVAS);
  assert.deepEqual([other.x, other.y], [-700, -300]);
});
