// Elements of widgets in the page's newer nodes.

/** Puts a widget's element where it should be shown. When a graph is loaded over another (by undo, too), the page's newer
 * nodes go on showing the element of the node that had the same id before.
 * @param {{id: number | string}} node in the graph that is open
 * @param {HTMLElement} element
 * @param {string} kind what such elements have in common, over all nodes */
export function takePlace(node, element, kind) {
  element.dataset.trilemma = kind;
  if (element.isConnected) return;
  document.querySelector(`[data-node-id="${node.id}"] [data-trilemma="${kind}"]`)?.replaceWith(element);
}
