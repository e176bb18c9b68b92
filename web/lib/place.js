// Elements of widgets in the page's newer nodes. What `data-trilemma` says of an element is its widget.

/** Puts a widget's element where it should be shown. When a graph is loaded over another (by undo, too), the page's newer
 * nodes go on showing the element of the node that had the same id before.
 * @param {{id: number | string}} node in the graph that is open
 * @param {HTMLElement} element
 */
export function takePlace(node, element) {
  if (element.isConnected) return;
  const before = document.querySelector(`[data-node-id="${node.id}"] [data-trilemma="${element.dataset.trilemma}"]`);
  before?.replaceWith(element);
}
