// How points and boxes look on the picture. Kinds differ in shape too, for people who do not see the colours.
import { HANDLES, cornerOf } from "./drawing.js";
import { toCanvas } from "./view.js";

const COLOURS = { positive: "#56b4e9", negative: "#e69f00", boxes: "#f0e442", found: "#ffffff" };
const RADIUS = 7;

/** @type {DrawsFrame} */
const drawBox = (context, view, box, colour, width) => {
  const at = toCanvas(view, box);
  for (const [style, line] of /** @type {[string, number][]} */ ([["#000", width + 2], [colour, width]])) {
    context.strokeStyle = style;
    context.lineWidth = line;
    context.strokeRect(at.x, at.y, box.width * view.scale, box.height * view.scale);
  }
};

/** A minus, or a plus, of so many pixels from its middle.
 * @type {DrawsCross} */
const drawCross = (context, view, point, reach, plus, colour, width) => {
  const { x, y } = toCanvas(view, point);
  context.strokeStyle = colour;
  context.lineWidth = width;
  context.stroke(new Path2D(`M${x - reach} ${y}h${2 * reach}${plus ? `M${x} ${y - reach}v${2 * reach}` : ""}`));
};

/** @type {DrawsPoint} */
const drawPoint = (context, view, point, kind, selected) => {
  const at = toCanvas(view, point);
  context.beginPath();
  context.arc(at.x, at.y, RADIUS, 0, 2 * Math.PI);
  context.fillStyle = COLOURS[kind];
  context.fill();
  context.lineWidth = selected ? 3 : 1.5;
  context.strokeStyle = selected ? "#fff" : "#000";
  context.stroke();
  drawCross(context, view, point, 4, kind === "positive", "#000", 2);
};

/** Boxes that come from another node, beneath all that is drawn.
 * @type {Draws<[boxes: Box[]]>} */
export const drawFound = (context, view, boxes) => {
  context.setLineDash([5, 4]);
  context.font = "11px sans-serif";
  for (const box of boxes) {
    drawBox(context, view, box, COLOURS.found, 1);
    if (!box.label) continue;
    const at = toCanvas(view, box);
    context.fillStyle = "#000a";
    context.fillRect(at.x, at.y, context.measureText(box.label).width + 8, 15);
    context.fillStyle = COLOURS.found;
    context.fillText(box.label, at.x + 4, at.y + 11);
  }
  context.setLineDash([]);
};

/** @type {DrawsAll} */
export const drawMarks = (context, view, drawing, selected) => {
  drawing.boxes.forEach((box, index) => {
    const chosen = selected?.kind === "boxes" && selected.index === index;
    drawBox(context, view, box, COLOURS.boxes, chosen ? 3 : 2);
    if (!chosen) return;
    context.fillStyle = "#fff";
    for (const handle of HANDLES) {
      const at = toCanvas(view, cornerOf(box, handle));
      context.fillRect(at.x - 4, at.y - 4, 8, 8);
      context.lineWidth = 1;
      context.strokeStyle = "#000";
      context.strokeRect(at.x - 4, at.y - 4, 8, 8);
    }
  });
  for (const kind of /** @type {const} */ (["negative", "positive"])) {
    drawing[kind].forEach((point, index) => {
      drawPoint(context, view, point, kind, selected?.kind === kind && selected.index === index);
    });
  }
};

/** Where the keyboard would put the next point.
 * @type {Draws<[cursor: Point]>} */
export const drawCursor = (context, view, cursor) => {
  drawCross(context, view, cursor, 12, true, "#000", 3);
  drawCross(context, view, cursor, 12, true, "#fff", 1);
};
