// What the widgets say, in the page's language, or in English where it lacks a text.

export const LANGUAGES = ["en", "zh", "zh-TW", "ru"];
/** @type {Record<string, Record<string, string>>} */
const tables = {};
let language = () => "en";

/** @type {Learns} */
export const learn = (read, spoken = language) => {
  language = spoken;
  return Promise.all(LANGUAGES.map(async (each) => (tables[each] = await read(each))));
};

/** @type {Says} */
export const say = (key, told = {}) =>
  (tables[language()]?.[key] ?? tables.en?.[key] ?? key).replace(/\{(\w+)\}/g, (_, name) => `${told[name]}`);
