// What a node is connected to, and which picture and boxes come from there.

const BYPASSED = 4;
const OUTSIDE = "-10"; // where links begin that come into a subgraph; newer pages have ids that are texts

/** All nodes, those of subgraphs too.
 * @param {Graph | null | undefined} root */
export const nodesOf = (root) => [root, ...(root?.subgraphs?.values() ?? [])].flatMap((each) => each?._nodes ?? []);

/** The node that is a subgraph.
 * @param {Graph | null | undefined} graph @param {Graph | null} [root] */
const standsFor = (graph, root = graph?.rootGraph) => nodesOf(root).find((node) => node.subgraph === graph);

/** A node's name in the prompt, "5:3" within a subgraph; null if it is in none of the graph's.
 * @param {GraphNode} node @param {Graph} root @returns {string | null} */
export function promptId({ graph, id }, root) {
  if (graph === root) return `${id}`;
  const outer = standsFor(graph, root);
  return outer ? `${promptId(outer, root)}:${id}` : null;
}

/** The node that gives an input, and which of its outputs; through reroutes and bypassed nodes, into and out of subgraphs.
 * Null without one.
 * @param {GraphNode} node @param {string} name */
export function source(node, name) {
  let graph = node.graph;
  let id = node.inputs?.find((each) => each.name === name)?.link;
  for (let steps = 0; steps < 100; steps += 1) {
    const link = id == null ? null : graph?.getLink(id);
    if (!link) return null;
    const slot = link.origin_slot;
    const outside = `${link.origin_id}` === OUTSIDE;
    const origin = outside ? standsFor(graph) : graph?.getNodeById(link.origin_id);
    if (!origin) return null;
    if (outside) [graph, id] = [origin.graph, origin.inputs?.[slot]?.link];
    else if (origin.type === "Reroute") id = origin.inputs?.[0]?.link;
    else if (origin.mode === BYPASSED) {
      const kind = origin.outputs?.[slot]?.type;
      id = origin.inputs?.find((each) => each.type === kind && each.link != null)?.link;
    } else if (origin.subgraph) [graph, id] = [origin.subgraph, origin.subgraph.outputs?.[slot]?.linkIds[0]];
    else return { node: origin, slot };
  }
  return null;
}

/** A file as the host's widgets name it: "folder/name.png [output]".
 * @param {string} named */
export function fileOf(named) {
  const form = /^(?:(.*)\/)?([^/]*?)(?:\s*\[(input|output|temp)\])?$/;
  const [, subfolder = "", filename = named, type = "input"] = named.replaceAll("\\", "/").match(form) ?? [];
  return { filename, subfolder, type };
}

/** The address of a picture, from the page's root.
 * @param {PictureFile} file */
export function addressOf({ filename, subfolder, type }) {
  return `/view?${new URLSearchParams({ filename, subfolder, type })}`;
}

/** What the page knows a node by; root: the graph that all others are within.
 * @param {GraphNode} node @param {Graph | null} [root] */
export const placeOf = ({ graph, id }, root) => (!root || !graph || graph === root ? `${id}` : `${graph.id}:${id}`);

/** The picture that a Segment node's points belong to: Load Image's at once, else that of Encode Image's last run.
 * @type {Upstream<PictureFile | null>} */
export const pictureFor = (node, shownBy) => {
  const encoder = source(node, "embedding")?.node;
  if (!encoder) return null;
  const from = source(encoder, "image");
  if (from && from.slot === 0 && /^LoadImage(Output)?$/.test(from.node.type ?? "")) {
    const linked = from.node.inputs?.find((each) => each.name === "image")?.link != null;
    const value = from.node.widgets?.find((widget) => widget.name === "image")?.value;
    if (!linked && typeof value === "string" && value) return fileOf(value);
  }
  return shownBy(encoder)?.trilemma_images?.[0] ?? null;
};

/** The boxes of the last run that come to a Segment node, for its first image.
 * @type {Upstream<Box[]>} */
export const boxesFor = (node, shownBy) => {
  const from = source(node, "boxes");
  return (from && shownBy(from.node)?.trilemma_found?.[0]?.[0]) ?? [];
};
