// The leaderboard on its node: a table to sort, the trilemma plot, and the texts to copy and save.
import { extremes, groupsOf, project, provenance, short, sorted } from "./board_rows.js";
import { add } from "./lib/place.js";
import { say } from "./lib/texts.js";
import { register } from "./panels.js";

// Told apart with any colour vision, and from light and dark grounds; numbers tell marks apart too.
const COLOURS = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#8a6d00", "#3a9bd8", "#a04000", "#6a5acd"];

function save(text, type, ending) {
  const url = URL.createObjectURL(new Blob([text], { type }));
  add(null, "a", { href: url, download: `leaderboard.${ending}` }).click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}

// The clipboard is there for secure addresses only: not for http in a local network.
async function copy(text) {
  if (navigator.clipboard && window.isSecureContext) return navigator.clipboard.writeText(text);
  const box = add(document.body, "textarea", { style: "position: fixed; opacity: 0" });
  box.value = text;
  box.select();
  document.execCommand("copy");
  box.remove();
}

function bar(element, sent) {
  const line = add(element, "div", { class: "trilemma-bar" });
  const says = add(line, "span");
  const tell = (key) => () => { says.textContent = say(key); };
  add(line, "button", {}, say("copy"), () =>
    copy(sent.markdown).then(tell("copied"), tell("not_copied")));
  add(line, "button", {}, "CSV", () => save(sent.csv, "text/csv", "csv"));
  add(line, "button", {}, "JSON", () => save(sent.json, "application/json", "json"));
}

function header(table, group, state, redraw) {
  const row = add(add(table, "thead"), "tr");
  const columns = [{ key: "rank", label: "#" }, { key: "name", label: say("model") }, ...group.columns];
  for (const column of columns) {
    const by = state.by === column.key;
    const arrow = { lower: " ↓", higher: " ↑" }[column.better] ?? "";
    const sign = by ? (state.descending ? " ▼" : " ▲") : "";
    const attributes = { class: column.key, scope: "col", title: say("sort", { column: column.label }) };
    if (by) attributes["aria-sort"] = state.descending ? "descending" : "ascending";
    add(row, "th", attributes, column.label + arrow + sign, () => {
      state.descending = by ? !state.descending : column.better === "higher";
      state.by = column.key;
      redraw();
    });
  }
}

function body(table, group, state, choose) {
  const rows = sorted(group.rows, state.by, state.descending);
  const shared = (row) => row.rank && group.rows.filter((other) => other.rank === row.rank).length > 1;
  const bands = [...new Set(group.rows.map((row) => row.rank))];
  const made = add(table, "tbody");
  for (const row of rows) {
    const classes = [shared(row) && "band", bands.indexOf(row.rank) % 2 && "odd", state.chosen === row.name && "chosen"];
    const look = { class: classes.filter(Boolean).join(" "), title: provenance(row) };
    const line = add(made, "tr", look, "", () => choose(row));
    const band = shared(row) ? { title: say("band") } : {};
    add(line, "td", { class: "rank", ...band }, row.cells.rank);
    add(line, "td", { class: "name" }, row.name);
    for (const { key } of group.columns) {
      const cell = row.cells.of[key];
      add(line, "td", { class: cell.best ? "best" : "" }, cell.text);
    }
  }
}

function axes(svg, group) {
  const from = project([0, 0, 0]);
  for (const end of [[1, 0, 0], [0, 1, 0], [0, 0, 1]]) {
    add(svg, "polyline", { points: [from, project(end)].join(" ") });
  }
  const floor = [[0, 1, 0], [0, 1, 1], [0, 0, 1]].map((corner) => project(corner).join(","));
  add(svg, "polyline", { class: "floor", points: floor.join(" ") });
  // The depth is lettered at the right edge of the floor, where no mark stands.
  const letter = (position, right, down, anchor, text) => {
    const [x, y] = project(position);
    add(svg, "text", { x: x + right, y: y + down, "text-anchor": anchor }, text);
  };
  const [quality, coverage, speed] = group.axes.map(({ label, best, worst }) => [label, short(best), short(worst)]);
  letter([1, 0, 0], -30, -8, "start", quality[0]);
  letter([1, 0, 0], -4, 4, "end", quality[1]);
  letter([0, 0, 0], -4, 0, "end", quality[2]);
  letter([0, 0.5, 0], 0, 22, "middle", coverage[0]);
  letter([0, 1, 0], 0, 11, "middle", coverage[1]);
  letter([0, 0, 0], 0, 11, "middle", coverage[2]);
  letter([0, 1, 0.5], 8, 4, "start", speed[0]);
  letter([0, 1, 1], 5, 4, "start", speed[1]);
  letter([0, 1, 0], 6, -2, "start", speed[2]);
}

function plot(element, group, state, choose) {
  const placed = group.rows.filter((row) => row.trilemma_position);
  if (!placed.length) return;
  const svg = add(element, "svg", { viewBox: "0 0 420 232", role: "img", "aria-label": say("plot") });
  axes(svg, group);
  placed.forEach((row, place) => {
    const [x, y] = project(row.trilemma_position);
    const [, foot] = project([0, ...row.trilemma_position.slice(1)]);
    const at = group.rows.indexOf(row);
    const [number, colour] = [`${at + 1}`, COLOURS[at % COLOURS.length]];
    const look = { class: row.pareto_front ? "mark front" : "mark", stroke: colour, fill: colour };
    const mark = add(svg, "g", look, "", () => choose(row));
    const standing = say(row.pareto_front ? "front" : "beaten");
    add(mark, "title", {}, `${provenance(row)}\n${standing}`);
    add(mark, "line", { x1: x, y1: y, x2: x, y2: foot });
    add(mark, "circle", { cx: x, cy: y, r: state.chosen === row.name ? 9 : 7 });
    add(mark, "text", { x, y: y + 3, "text-anchor": "middle" }, number);
    const line = add(svg, "text", { x: 300, y: 24 + 11 * place, class: "name" }, "", () => choose(row));
    add(line, "tspan", { fill: colour }, `${number} `);
    add(line, "tspan", {}, row.name.length > 24 ? `${row.name.slice(0, 23)}…` : row.name);
  });
}

function about(row) {
  const samples = extremes(row).map(([key, found]) => {
    const each = found.map(({ seed, condition }) => (condition ? `${seed} (${condition})` : `${seed}`));
    return say(key, { seeds: each.join(", ") });
  });
  const lacks = row.trilemma_lacks ? [say("lacks", { metric: row.trilemma_lacks })] : [];
  return [provenance(row), ...lacks, ...samples].join("\n");
}

function draw(element, data, node, state) {
  element.replaceChildren();
  element.classList.add("trilemma-board");
  for (const sent of data) {
    bar(element, sent);
    groupsOf(sent).forEach((group, place) => {
      state[place] ??= { by: "rank", descending: false, chosen: null };
      const own = state[place];
      const section = add(element, "div", { style: "display: contents" });
      const redraw = () => {
        section.replaceChildren();
        const choose = (row) => {
          own.chosen = own.chosen === row.name ? null : row.name;
          redraw();
        };
        const table = add(add(section, "div", { class: "scroll" }), "table");
        header(table, group, own, redraw);
        body(table, group, own, choose);
        const chosen = group.rows.find((row) => row.name === own.chosen);
        add(section, "div", { class: "about" }, chosen ? about(chosen) : "");
        plot(section, group, own, choose);
      };
      redraw();
    });
  }
}

register({ name: "Trilemma.Leaderboard", key: "trilemma_board", lowest: 320, draw });
