// The leaderboard on its node: a table to sort, the trilemma plot, and the texts to copy and save.
import { extremes, groupsOf, project, provenance, short, sorted } from "./board_rows.js";
import { add, redrawn, say, viewOf } from "./folded.js";
import { register } from "./panels.js";
import { caption } from "./sample_grid.js";

// Told apart with any colour vision, and from light and dark grounds; numbers tell marks apart too.
const COLOURS = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#8a6d00", "#3a9bd8", "#a04000", "#6a5acd"];

/** @param {string} text @param {string} ending */
function save(text, ending) {
  const url = URL.createObjectURL(new Blob([text]));
  add(null, "a", { href: url, download: `leaderboard.${ending}` }).click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}

// The clipboard is there for secure addresses only: not for http in a local network.
/** @param {string} text */
async function copy(text) {
  if (window.isSecureContext) return navigator.clipboard.writeText(text);
  const box = add(document.body, "textarea", { style: "position: fixed; opacity: 0" }, text);
  box.select();
  document.execCommand("copy");
  box.remove();
}

/** @param {Element} element @param {SentBoard} sent */
function bar(element, sent) {
  const line = add(element, "div", { class: "trilemma-bar" });
  const says = add(line, "span");
  const tell = (/** @type {string} */ key) => () => { says.textContent = say(key); };
  add(line, "button", {}, say("copy"), () =>
    copy(sent.markdown).then(tell("copied"), tell("not_copied")));
  add(line, "button", {}, "CSV", () => save(sent.csv, "csv"));
  add(line, "button", {}, "JSON", () => save(sent.json, "json"));
}

/** @type {DrawsHeader} */
const header = (table, group, state, redraw) => {
  const row = add(add(table, "thead"), "tr");
  /** @type {Column[]} */
  const columns = [{ key: "rank", label: "#" }, { key: "name", label: say("model") }, ...group.columns];
  for (const column of columns) {
    const by = state.by === column.key;
    const arrow = column.better ? { lower: " ↓", higher: " ↑" }[column.better] : "";
    const sign = by ? (state.descending ? " ▼" : " ▲") : "";
    const look = { class: column.key, scope: "col", title: say("sort", { column: column.label }) };
    const head = add(row, "th", look, column.label + arrow + sign, () => {
      state.descending = by ? !state.descending : column.better === "higher";
      state.by = column.key;
      redraw();
    });
    if (by) head.ariaSort = state.descending ? "descending" : "ascending";
  }
};

/** @type {DrawsRows} */
const body = (table, group, state, choose) => {
  const rows = sorted(group.rows, state.by, state.descending);
  const ranks = group.rows.map(({ rank }) => rank);
  const bands = [...new Set(ranks)];
  const made = add(table, "tbody");
  for (const row of rows) {
    const shared = row.rank && ranks.filter((rank) => rank === row.rank).length > 1;
    const classes = [shared && "band", bands.indexOf(row.rank) % 2 && "odd"].filter(Boolean).join(" ");
    const look = { class: classes, title: provenance(row), "data-row": row.name };
    const line = add(made, "tr", look, "", () => choose(row));
    const rank = add(line, "td", { class: "rank" }, row.cells.rank);
    if (shared) rank.title = say("band");
    add(line, "td", { class: "name" }, row.name);
    for (const { key } of group.columns) {
      const { best, text } = row.cells.of[key];
      add(line, "td", { class: best ? "best" : "" }, text);
    }
  }
};

// Of each axis its name, best and worst: where, how far right of there and down, and the anchor. The depth is lettered at the
// right edge of the floor, where no mark stands.
/** @type {Letter[]} */
const LETTERS = [
  [[1, 0, 0], -30, -8, "start"], [[1, 0, 0], -4, 4, "end"], [[0, 0, 0], -4, 0, "end"],
  [[0, 0.5, 0], 0, 22, "middle"], [[0, 1, 0], 0, 11, "middle"], [[0, 0, 0], 0, 11, "middle"],
  [[0, 1, 0.5], 8, 4, "start"], [[0, 1, 1], 5, 4, "start"], [[0, 1, 0], 6, -2, "start"],
];

/** @type {DrawsGroup<[]>} */
const axes = (svg, group) => {
  const from = project([0, 0, 0]);
  for (const end of [[1, 0, 0], [0, 1, 0], [0, 0, 1]]) {
    add(svg, "polyline", { points: [from, project(end)].join(" ") });
  }
  const floor = [[0, 1, 0], [0, 1, 1], [0, 0, 1]].map(project);
  add(svg, "polyline", { class: "floor", points: floor.join(" ") });
  const letters = group.axes.flatMap(({ label, best, worst }) => [label, short(best), short(worst)]);
  LETTERS.forEach(([position, right, down, anchor], at) => {
    const [x, y] = project(position);
    add(svg, "text", { x: x + right, y: y + down, "text-anchor": anchor }, letters[at]);
  });
};

/** @type {DrawsGroup<[choose: Chooses]>} */
const plot = (element, group, choose) => {
  const placed = group.rows.filter((row) => row.trilemma_position);
  if (!placed.length) return;
  const svg = add(element, "svg", { viewBox: "0 0 420 232", role: "group", "aria-label": say("plot") });
  axes(svg, group);
  placed.forEach((row, place) => {
    const [height, ...floor] = /** @type {Position} */ (row.trilemma_position);
    const [x, y] = project([height, ...floor]);
    const [, foot] = project([0, ...floor]);
    const at = group.rows.indexOf(row);
    const [number, colour] = [`${at + 1}`, COLOURS[at % COLOURS.length]];
    const front = row.pareto_front ? "front" : "beaten";
    const look = { class: `mark ${front}`, stroke: colour, fill: colour, role: "button", "data-row": row.name };
    const mark = add(svg, "g", look, "", () => choose(row));
    add(mark, "title", {}, `${provenance(row)}\n${say(front)}`);
    add(mark, "line", { x1: x, y1: y, x2: x, y2: foot });
    add(mark, "circle", { cx: x, cy: y, r: 7 });
    add(mark, "text", { x, y: y + 3, "text-anchor": "middle" }, number);
    const line = add(mark, "text", { x: 300, y: 24 + 11 * place, class: "name" });
    add(line, "tspan", { fill: colour }, `${number} `);
    add(line, "tspan", {}, row.name.length > 24 ? `${row.name.slice(0, 23)}…` : row.name);
  });
};

/** @param {Element} element @param {Row} row */
function about(element, row) {
  const lacks = row.trilemma_lacks && say("lacks", { metric: row.trilemma_lacks });
  for (const [key, found] of extremes(row)) {
    add(element, "div", {}, say(key));
    const strip = add(element, "div", { class: "strip" });
    for (const sample of found) {
      const told = caption(sample);
      const src = sample.filename ? viewOf(sample) : "";
      const image = add(strip, "img", { src, alt: told, title: told, draggable: "false" });
      image.onload = () => image.classList.toggle("enlarged", image.naturalHeight < image.clientHeight);
      // Old scores have none; a new start empties temp.
      image.onerror = () => image.replaceWith(add(null, "span", {}, told));
    }
  }
  add(element, "div", {}, [provenance(row), lacks].filter(Boolean).join("\n"));
}

/** @type {DrawsPanel<SentBoard, Sorting[]>} */
const draw = (element, data, _, state) => {
  element.classList.add("trilemma-board");
  for (const sent of data) {
    bar(element, sent);
    groupsOf(sent).forEach((group, place) => {
      const own = (state[place] ??= { by: "rank", descending: false, chosen: null });
      const section = add(element, "div", { style: "display: contents" });
      const scroll = add(section, "div", { class: "scroll" });
      const told = add(section, "div", { class: "about" });
      const show = () => {
        for (const each of section.querySelectorAll("[data-row]")) {
          const mark = each.matches("tr") ? "ariaSelected" : "ariaPressed";
          each[mark] = `${each.getAttribute("data-row") === own.chosen}`;
        }
        told.replaceChildren();
        const chosen = group.rows.find((row) => row.name === own.chosen);
        if (chosen) about(told, chosen);
      };
      const choose = (/** @type {Row} */ { name }) => {
        own.chosen = own.chosen === name ? null : name;
        show();
      };
      const redraw = () => redrawn(scroll, () => {
        const table = add(scroll, "table", { role: "grid" });
        header(table, group, own, redraw);
        body(table, group, own, choose);
        show();
      });
      plot(section, group, choose);
      redraw();
    });
  }
};

register({ key: "trilemma_board", lowest: 320, draw });
