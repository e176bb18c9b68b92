// The explorer of latents: points, shares, strengths, and their texts.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import test from "node:test";
import * as explore from "../../web/lib/explore.js";

const values = JSON.parse(readFileSync(new URL("values.json", import.meta.url), "utf8"));
const near = (one, other, by = 1e-9) => one.forEach((value, at) => assert.ok(Math.abs(value - other[at]) <= by, `${one} ${other}`));

test("what Python takes is read, what it refuses is null", () => {
  for (const [kind, read] of [["position", explore.readPosition], ["mix", explore.readMix]]) {
    const texts = (named) => values[kind][named].filter((value) => typeof value === "string");
    for (const text of texts("valid")) assert.ok(read(text), text);
    for (const text of [...texts("invalid"), "", " "]) assert.equal(read(text), null, text);
  }
});

test("shares sum to 1, as read and as written", () => {
  near(explore.readPosition("1, 1, 2"), [0.25, 0.25, 0.5]);
  assert.equal(explore.writePosition([1 / 3, 1 / 3, 1 / 3]), "0.34, 0.33, 0.33");
  assert.equal(explore.writePosition([0, 1]), "0, 1");
});

test("a point is where its shares say, and back", () => {
  for (const shares of [[1, 0, 0], [0, 1, 0], [0.2, 0.5, 0.3], [0.25, 0.75], [0, 1]]) {
    near(explore.sharesAt(explore.pointOf(shares), shares.length), shares, 1e-9);
  }
});

test("outside of the corners no share is below 0", () => {
  near(explore.sharesAt([100, -500], 3), [1, 0, 0]);
  near(explore.sharesAt([500, 0], 2), [0, 1]);
  near(explore.sharesAt([100, 0], 2), [0.5, 0.5]);
  const [, left, right] = explore.sharesAt([100, 300], 3);
  near([left, right], [0.5, 0.5]);
});

test("one strength changes, the others and their order stay", () => {
  assert.equal(explore.withStrength("", "age", "1", 1.5), "age: 1.5");
  assert.equal(explore.withStrength("pose: 2, age: 1", "age", "1", 0), "pose: 2, age: 0");
  assert.equal(explore.withStrength("2: 1", "pose", "2", -3), "2: -3");
  assert.equal(explore.withStrength("", "a, b", "4", 1), "4: 1");
});
