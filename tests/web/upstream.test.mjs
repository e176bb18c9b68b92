// The picture and the boxes that come to a node, over graphs of the few parts that are asked for.
import assert from "node:assert/strict";
import test from "node:test";
import { addressOf, boxesFor, fileOf, pictureFor, placeOf, promptId, source } from "../../web/lib/upstream.js";

/** Nodes of {id: {type, mode, inputs: {name: [id, slot, kind]}, value}} as the page has them. */
function graphOf(nodes, id = "root") {
  const links = new Map();
  const graph = { id, getLink: (link) => links.get(link), getNodeById: (node) => made[node] };
  const made = {};
  for (const [node, { type, mode = 0, inputs = {}, value, gives = [] }] of Object.entries(nodes)) {
    const entries = Object.entries(inputs).map(([name, [origin, slot, kind]]) => {
      links.set(`${node}.${name}`, { origin_id: origin, origin_slot: slot });
      return { name, type: kind, link: `${node}.${name}` };
    });
    const outputs = gives.map((kind) => ({ type: kind }));
    made[node] = { id: node, type, mode, graph, inputs: entries, outputs, widgets: [{ name: "image", value }] };
  }
  return { graph, made };
}

const chain = (loader, more = {}) => ({
  7: { type: "TrilemmaSegment", inputs: { embedding: [6, 0], boxes: [4, 0] } },
  6: { type: "TrilemmaEncodeImage", inputs: { image: [1, 0] } },
  4: { type: "TrilemmaSelectDetections" },
  1: loader,
  ...more,
});
const FILE = { filename: "cat.png", subfolder: "pets", type: "input" };
/** What nodes of a graph have shown, by their places. */
const by = (outputs, root) => (node) => outputs[placeOf(node, root)];
const SHOWN = { filename: "x.png", subfolder: "", type: "temp", width: 640, height: 480 };

test("files are named as the host's widgets name them", () => {
  assert.deepEqual(fileOf("pets/cat.png"), FILE);
  assert.deepEqual(fileOf("a [b]/c d.png [output]"), { filename: "c d.png", subfolder: "a [b]", type: "output" });
  assert.equal(addressOf(fileOf("c d&.png")), "/view?filename=c+d%26.png&subfolder=&type=input");
});

test("Load Image's picture is known at once", () => {
  const { made, graph } = graphOf(chain({ type: "LoadImage", value: "pets/cat.png" }));
  assert.deepEqual(pictureFor(made[7], by({}, graph)), FILE);
});

test("through reroutes and bypassed nodes", () => {
  const bypassed = { type: "ImageScale", mode: 4, inputs: { mask: [8, 1, "MASK"], image: [2, 0, "IMAGE"] }, gives: ["IMAGE"] };
  const nodes = chain(bypassed, {
    2: { type: "Reroute", inputs: { "": [3, 0] } },
    3: { type: "LoadImage", value: "pets/cat.png" },
    8: { type: "LoadImage", value: "mask.png" },
  });
  const { made, graph } = graphOf(nodes);
  assert.deepEqual(pictureFor(made[7], by({}, graph)), FILE);
});

test("what changes the picture is asked for the last run instead", () => {
  const scaled = { type: "ImageScale", inputs: { image: [2, 0, "IMAGE"] }, gives: ["IMAGE"] };
  const { made, graph } = graphOf(chain(scaled, { 2: { type: "LoadImage", value: "pets/cat.png" } }));
  assert.equal(pictureFor(made[7], by({}, graph)), null);
  assert.deepEqual(pictureFor(made[7], by({ 6: { trilemma_images: [SHOWN] } }, graph)), SHOWN);
});

test("in a subgraph nodes are known by its id too", () => {
  const { made } = graphOf(chain({ type: "EmptyImage" }), "inner");
  assert.deepEqual(pictureFor(made[7], by({ "inner:6": { trilemma_images: [SHOWN] } }, { id: "root" })), SHOWN);
});

test("boxes of the last run are the first image's", () => {
  const { made, graph } = graphOf(chain({ type: "LoadImage", value: "a.png" }));
  const box = { x: 1, y: 2, width: 3, height: 4 };
  assert.deepEqual(boxesFor(made[7], by({ 4: { trilemma_found: [[[box], []]] } }, graph)), [box]);
  assert.deepEqual(boxesFor(made[7], by({}, graph)), []);
});

test("nothing connected is nothing, and a ring ends", () => {
  const { made, graph } = graphOf({ 7: { type: "TrilemmaSegment" }, 8: { type: "Reroute", inputs: { "": [8, 0] } } });
  assert.equal(pictureFor(made[7], by({}, graph)), null);
  assert.equal(source(made[8], ""), null);
});

test("a node's name in the prompt goes through the subgraphs that it is in", () => {
  const [inner, middle] = [{ _nodes: [] }, { _nodes: [] }];
  const root = { _nodes: [{ id: 4 }], subgraphs: new Map([["a", middle], ["b", inner]]) };
  root._nodes.push({ id: 5, graph: root, subgraph: middle });
  middle._nodes.push({ id: 7, graph: middle, subgraph: inner });
  assert.equal(promptId({ id: 3, graph: root }, root), "3");
  assert.equal(promptId({ id: 3, graph: inner }, root), "5:7:3");
  assert.equal(promptId({ id: 3, graph: {} }, root), null);
});

/** A subgraph of these nodes, whose inputs come from `outside` and whose outputs are links of it. */
function nested(nodes, outerNodes, place) {
  const inner = graphOf(nodes, "inner");
  const outer = graphOf(outerNodes);
  for (const { graph, made } of [inner, outer]) Object.assign(graph, { _nodes: Object.values(made), rootGraph: outer.graph });
  outer.graph.subgraphs = new Map([["inner", inner.graph]]);
  outer.made[place].subgraph = inner.graph;
  return { inner, outer };
}

test("a picture from outside is seen within a subgraph", () => {
  const { 7: segment, 6: encoder } = chain({});
  const around = { 1: { type: "LoadImage", value: "pets/cat.png" }, 2: { inputs: { image: [1, 0] } } };
  for (const outside of [-10, "-10"]) {
    const { inner, outer } = nested({ 7: segment, 6: { ...encoder, inputs: { image: [outside, 0] } } }, around, 2);
    assert.deepEqual(pictureFor(inner.made[7], by({}, outer.graph)), FILE);
  }
});

test("a picture within a subgraph is seen outside, and that of its last run", () => {
  const nodes = { 6: { type: "TrilemmaEncodeImage", inputs: { image: [1, 0] } }, 1: { type: "LoadImage", value: "pets/cat.png" } };
  const outside = { 7: { type: "TrilemmaSegment", inputs: { embedding: [2, 0] } }, 2: { type: "inner" } };
  const { inner, outer } = nested(nodes, outside, 2);
  inner.graph.outputs = [{ linkIds: ["given"] }];
  const { getLink } = inner.graph;
  inner.graph.getLink = (link) => (link === "given" ? { origin_id: 6, origin_slot: 0 } : getLink(link));
  assert.deepEqual(pictureFor(outer.made[7], by({}, outer.graph)), FILE);
  inner.made[1].type = "EmptyImage";
  assert.deepEqual(pictureFor(outer.made[7], by({ "inner:6": { trilemma_images: [SHOWN] } }, outer.graph)), SHOWN);
});
