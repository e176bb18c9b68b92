// What a node is connected to, and which picture and boxes come from there. Of the page's graph it needs little, so that
// tests do without the page.

/** @typedef {{name: string, type?: any, link?: number | null}} Input */
/** @typedef {{name?: string, value?: unknown}} Widget */
/** @typedef {{origin_id: number | string, origin_slot: number}} Link */
/** @typedef {{id: number | string, type?: string, mode?: number, inputs?: Input[], outputs?: {type?: any}[],
 *   widgets?: Widget[], graph?: Graph | null}} Node */
/** @typedef {{id?: string, getNodeById(id: any): Node | null | undefined, getLink(id: any): Link | null | undefined}} Graph */
/** @typedef {{filename: string, subfolder: string, type: string, width?: number, height?: number}} File */
/** @typedef {Record<string, any>} Outputs what each node of the last run has shown, by its id */

const BYPASSED = 4;

/** The node that gives an input, and which of its outputs; through reroutes and bypassed nodes. Null without one.
 * @param {Node} node @param {string} name
 * @returns {{node: Node, slot: number} | null} */
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
 * @param {string} named
 * @returns {File} */
export function fileOf(named) {
  const annotated = named.match(/^(.*?)\s*\[(input|output|temp)\]$/);
  const path = (annotated ? annotated[1] : named).replaceAll("\\", "/");
  const cut = path.lastIndexOf("/");
  return { filename: path.slice(cut + 1), subfolder: cut < 0 ? "" : path.slice(0, cut), type: annotated?.[2] ?? "input" };
}

/** @param {File} file
 * @returns {string} the address of a picture, from the page's root */
export function addressOf({ filename, subfolder, type }) {
  return `/view?${new URLSearchParams({ filename, subfolder, type })}`;
}

/** @param {Node} node @param {Outputs} outputs @param {Graph | null} [root] */
function shownBy(node, outputs, root) {
  return outputs?.[!root || node.graph === root ? String(node.id) : `${node.graph?.id}:${node.id}`];
}

/** The picture that a Segment node's points belong to: Load Image's at once, else that of Encode Image's last run.
 * @param {Node} node @param {Outputs} outputs @param {Graph | null} [root]
 * @returns {File | null} */
export function pictureFor(node, outputs, root) {
  const encoder = source(node, "embedding")?.node;
  if (!encoder) return null;
  const from = source(encoder, "image");
  if (from && from.slot === 0 && /^LoadImage(Output)?$/.test(from.node.type ?? "")) {
    const linked = from.node.inputs?.find((each) => each.name === "image")?.link != null;
    const value = from.node.widgets?.find((widget) => widget.name === "image")?.value;
    if (!linked && typeof value === "string" && value) return fileOf(value);
  }
  return shownBy(encoder, outputs, root)?.trilemma_images?.[0] ?? null;
}

/** The boxes of the last run that come to a Segment node, for its first image.
 * @param {Node} node @param {Outputs} outputs @param {Graph | null} [root]
 * @returns {{x: number, y: number, width: number, height: number, label?: string}[]} */
export function boxesFor(node, outputs, root) {
  const from = source(node, "boxes");
  return (from && shownBy(from.node, outputs, root)?.trilemma_found?.[0]?.[0]) ?? [];
}
