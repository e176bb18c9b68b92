// The colours of the pack's kinds of links. All differ by at least 0.05 in OKLab, from each other and from the page's own
// for pictures and models, as people see them with any colour vision (protan, deutan and tritan by Machado et al. 2009);
// kinds that meet at a node differ most. Free for kinds to come: #bb3399, #33aa77, #888844.

/** @type {Record<string, string>} */
export const COLOURS = {
  TRILEMMA_CONTROLNET: "#8877dd",
  TRILEMMA_CRITIC: "#8866bb",
  TRILEMMA_CROPS: "#2266dd",
  TRILEMMA_DETECTIONS: "#99dd88",
  TRILEMMA_DETECTOR: "#996666",
  TRILEMMA_DIRECTIONS: "#66eecc",
  TRILEMMA_EMBEDDING: "#8844bb",
  TRILEMMA_EXTRACTOR: "#ddee77",
  TRILEMMA_FEATURES: "#cc88aa",
  TRILEMMA_GENERATOR: "#cc2222",
  TRILEMMA_INDEX: "#bb6699",
  TRILEMMA_INPAINTER: "#88ffaa",
  TRILEMMA_LATENT: "#3377ff",
  TRILEMMA_LEADERBOARD: "#994477",
  TRILEMMA_LOGITS: "#227733",
  TRILEMMA_LORAS: "#9988ff",
  TRILEMMA_OBJECTS: "#dd8822",
  TRILEMMA_PUBLISHED: "#ccaabb",
  TRILEMMA_REGIONS: "#aa88cc",
  TRILEMMA_SCORES: "#6633ff",
  TRILEMMA_SEGMENTER: "#bbeeff",
};

/** Gives a table of the page our colours wherever it holds none of its own. The page empties the entries of all kinds
 * whenever the user changes the palette; a palette that names one of our kinds wins.
 * @param {Record<string, any>} table */
export function colour(table) {
  for (const [kind, ours] of Object.entries(COLOURS)) {
    let theirs = table[kind] ?? "";
    Object.defineProperty(table, kind, {
      configurable: true,
      enumerable: true,
      get: () => theirs || ours,
      set: (value) => {
        theirs = value;
      },
    });
  }
}

/** The same for the page's newer nodes, which ask for properties of the style; a palette sets them nearer, and wins.
 * @returns {string} */
export function styleSheet() {
  const lines = Object.entries(COLOURS).map(([kind, ours]) => `  --color-datatype-${kind}: ${ours};`);
  return `:root {\n${lines.join("\n")}\n}`;
}
