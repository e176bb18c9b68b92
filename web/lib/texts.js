// What the widgets say, in the page's language, or in English where it lacks a text.

export const LANGUAGES = ["en", "zh", "zh-TW", "ru"];
/** @type {Record<string, Record<string, string>>} */
const tables = {};
let language = () => "en";

/** read: one language's texts by key; spoken: the page's language of the moment.
 * @type {(read: (language: string) => Promise<Record<string, string>>, spoken?: () => string) => Promise<unknown>} */
export const learn = (read, spoken = language) => {
  language = spoken;
  return Promise.all(LANGUAGES.map(async (each) => (tables[each] = await read(each))));
};

/** @param {string} key @param {Record<string, unknown>} [told] in place of each {name} */
export const say = (key, told = {}) =>
  (tables[language()]?.[key] ?? tables.en?.[key] ?? key).replace(/\{(\w+)\}/g, (_, name) => `${told[name]}`);
