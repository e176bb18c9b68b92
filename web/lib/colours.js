// The colours of the pack's kinds of links, which colours.json has. All differ with any colour vision (colours.test.mjs),
// kinds that meet at a node most. Free for kinds to come: #bb3399, #33aa77, #888844.

/** Gives a table of the page our colours wherever it holds none of its own. The page empties the entries of all kinds
 * whenever the user changes the palette; a palette that names one of our kinds wins.
 * @param {Record<string, any>} table @param {Record<string, string>} colours */
export function colour(table, colours) {
  for (const [kind, ours] of Object.entries(colours)) {
    let theirs = table[kind] ?? "";
    Object.defineProperty(table, kind, {
      configurable: true,
      enumerable: true,
      get: () => theirs || ours,
      set: (value) => (theirs = value),
    });
  }
}

/** The same for the page's newer nodes, which ask for properties of the style; a palette sets them nearer, and wins.
 * @param {Record<string, string>} colours */
export function styleSheet(colours) {
  const lines = Object.entries(colours).map(([kind, ours]) => `  --color-datatype-${kind}: ${ours};`);
  return `:root {\n${lines.join("\n")}\n}`;
}
