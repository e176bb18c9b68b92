// Points and boxes on the picture: an editor on the node Segment, which writes the node's own text inputs.
import { registerFolded, shownBy, viewOf, widgetOf, write } from "./folded.js";
import { INPUTS, KINDS } from "./lib/drawing.js";
import { Editor } from "./lib/editor.js";
import { boxesFor, pictureFor } from "./lib/upstream.js";

registerFolded({
  kind: "TrilemmaSegment",
  key: "points_and_boxes",
  text: "points_title",
  property: "drawing_open",
  lowest: 320,
  open: true,
  made: (node) =>
    new Editor({
      read: () => /** @type {any} */ (
        Object.fromEntries(KINDS.map((kind) => [kind, String(widgetOf(node, INPUTS[kind])?.value ?? "")]))
      ),
      write: (texts) => write(node, Object.fromEntries(KINDS.map((kind) => [INPUTS[kind], texts[kind]]))),
      picture: () => {
        const file = pictureFor(node, shownBy);
        return file && { address: viewOf(file), width: file.width, height: file.height };
      },
      found: () => boxesFor(node, shownBy),
    }),
});
