// Colours of the pack's kinds of links, on slots and wires.
import { app } from "../../scripts/app.js";
import { colour, styleSheet } from "./lib/colours.js";
import { add, beside } from "./lib/place.js";

const colours = await beside("colours.json");

app.registerExtension({
  name: "Trilemma.Colours",
  init() {
    add(document.head, "style", {}, styleSheet(colours));
  },
  setup() {
    const canvas = app.canvas;
    colour(canvas.default_connection_color_byType, colours); // of slots
    colour(/** @type {any} */ (canvas.constructor).link_type_colors, colours); // of wires
    canvas.setDirty(true, true);
    window.trilemmaReady = true;
  },
});
