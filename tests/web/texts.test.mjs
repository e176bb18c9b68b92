import assert from "node:assert/strict";
import { test } from "node:test";
import { LANGUAGES, learn, say } from "../../web/lib/texts.js";
import { textsOf } from "./texts.mjs";

test("each language says its own, at the moment that it is spoken", async () => {
  let language = "zh";
  await learn(textsOf, () => language);
  const said = [];
  for (language of LANGUAGES) said.push(say("image", { place: 3 }));
  assert.deepEqual(said, ["image 3", "图像 3", "影像 3", "изображение 3"]);
});

test("English stands in for a language, for a text that it lacks, and for one that cannot be had", async () => {
  const tables = { en: { model: "model", seed: "seed {seed}" }, zh: { model: "模型" } };
  let language = "zh";
  await learn(async (each) => tables[each] ?? {}, () => language);
  assert.deepEqual([say("model"), say("seed", { seed: 4 })], ["模型", "seed 4"]);
  for (language of ["ru", "ko"]) assert.equal(say("model"), "model");
});

test("without any texts their keys are said", async () => {
  await learn(async () => ({}));
  assert.equal(say("not_copied"), "not_copied");
});
