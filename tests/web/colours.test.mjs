// Colours of links: told apart with any colour vision, and kept over changes of the palette.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import test from "node:test";
import { colour, styleSheet } from "../../web/lib/colours.js";

const COLOURS = JSON.parse(readFileSync(new URL("../../web/colours.json", import.meta.url), "utf8"));

// All differ by at least 0.05 in OKLab, from each other and from the page's own for pictures and models.
// Machado, Oliveira and Fernandes 2009, severity 1, on linear RGB.
const VISION = {
  normal: [[1, 0, 0], [0, 1, 0], [0, 0, 1]],
  protan: [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
  deutan: [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.01182, 0.04294, 0.968881]],
  tritan: [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.3039]],
};
// Ottosson 2020.
const LMS = [[0.4122214708, 0.5363325363, 0.0514459929], [0.2119034982, 0.6806995451, 0.1073969566], [0.0883024619, 0.2817188376, 0.6299787005]];
const LAB = [[0.2104542553, 0.793617785, -0.0040720468], [1.9779984951, -2.428592205, 0.4505937099], [0.0259040371, 0.7827717662, -0.808675766]];
// The page's own, of the palette "dark".
const THEIRS = {
  IMAGE: "#64b5f6",
  MASK: "#81c784",
  LATENT: "#ff9cf9",
  MODEL: "#b39ddb",
  CLIP: "#ffd500",
  VAE: "#ff6e6e",
  CONDITIONING: "#ffa931",
};
const times = (matrix, vector) => matrix.map((row) => row.reduce((sum, value, i) => sum + value * vector[i], 0));
const linear = (hex) =>
  [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16) / 255).map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
const seen = (hex, vision) => {
  const rgb = times(VISION[vision], linear(hex)).map((c) => Math.min(1, Math.max(0, c)));
  return times(LAB, times(LMS, rgb).map(Math.cbrt));
};
const luminance = (hex) => times([[0.2126, 0.7152, 0.0722]], linear(hex))[0];

test("any two are told apart with any colour vision", () => {
  const all = { ...THEIRS, ...COLOURS };
  for (const vision of Object.keys(VISION)) {
    for (const one of Object.keys(COLOURS)) {
      for (const other of Object.keys(all).filter((kind) => kind !== one)) {
        const [a, b] = [seen(COLOURS[one], vision), seen(all[other], vision)];
        assert.ok(Math.hypot(...a.map((value, i) => value - b[i])) > 0.05, `${one}, ${other}, ${vision}`);
      }
    }
  }
});

test("all stand out from the page's nodes", () => {
  for (const [kind, hex] of Object.entries(COLOURS)) assert.ok((luminance(hex) + 0.05) / (luminance("#353535") + 0.05) >= 1.9, kind);
});

test("a palette that empties the table leaves ours, one that names a kind wins", () => {
  const table = { IMAGE: "#64b5f6", TRILEMMA_OBJECTS: "" };
  colour(table, COLOURS);
  assert.equal(table.TRILEMMA_OBJECTS, COLOURS.TRILEMMA_OBJECTS);
  Object.assign(table, { TRILEMMA_OBJECTS: "", TRILEMMA_LATENT: "#123456" });
  assert.equal(table.TRILEMMA_OBJECTS, COLOURS.TRILEMMA_OBJECTS);
  assert.equal(table.TRILEMMA_LATENT, "#123456");
  Object.assign(table, { TRILEMMA_LATENT: "" });
  assert.equal(table.TRILEMMA_LATENT, COLOURS.TRILEMMA_LATENT);
  assert.equal(table.IMAGE, "#64b5f6");
});

test("the style sheet has them all", () => {
  for (const [kind, hex] of Object.entries(COLOURS)) assert.ok(styleSheet(COLOURS).includes(`--color-datatype-${kind}: ${hex};`));
});
