// The pack's texts, for tests: importing this has the modules of web/ speak English.
import { readFileSync } from "node:fs";
import { learn } from "../../web/lib/texts.js";

export const textsOf = async (language) =>
  JSON.parse(readFileSync(new URL(`../../web/texts/${language}.json`, import.meta.url), "utf8"));

await learn(textsOf);
