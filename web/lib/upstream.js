// What a node is connected to, and which picture and boxes come from there. Of the page's graph it needs little, so that
// tests do without the page.

const BYPASSED = 4;

/** The node that gives an input, and which of its outputs; through reroutes and bypassed nodes. Null without one.
 * @param {GraphNode} node @param {string} name */
export function source(node, name) {
  let input = node.inputs?.find((each) => each.name === name);
  for (let steps = 0; input && steps < 100; steps += 1) {
    const link = input.link == null ? null : node.graph?.getLink(input.link);
    const origin = link && node.graph?.getNodeById(link.origin_id);
    if (!link || !origin) return null;
    if (origin.type === "Reroute") input = origin.inputs?.[0];
    else if (origin.mode === BYPASSED) {
      const kind = origin.outputs?.[link.origin_slot]?.type;
      input = origin.inputs?.find((each) => each.type === kind && each.link != null);
    } else return { node: origin, slot: link.origin_slot };
    node = origin;
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
