// Which part of a picture a canvas shows: position on the canvas = position in the picture * scale + offset.

/** Ways of the keys, right and down.
 * @type {Record<string, number[]>} */
export const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
const LARGEST = 32; // pixels of the canvas per pixel of the picture

/** The view that shows the whole picture in the middle of the canvas.
 * @param {Size} picture @param {Size} canvas */
export function fitted(picture, canvas) {
  const scale = Math.min(canvas.width / picture.width, canvas.height / picture.height) || 1;
  return { scale, x: (canvas.width - picture.width * scale) / 2, y: (canvas.height - picture.height * scale) / 2 };
}

/** @type {Places} */
export const toPicture = (view, at) => ({ x: (at.x - view.x) / view.scale, y: (at.y - view.y) / view.scale });

/** @type {Places} */
export const toCanvas = (view, at) => ({ x: at.x * view.scale + view.x, y: at.y * view.scale + view.y });

/** Larger by a factor about a position that stays where it is; never smaller than the whole picture.
 * @type {Views<[factor: number, about: Point]>} */
export const zoomed = (view, factor, about, picture, canvas) => {
  const whole = fitted(picture, canvas);
  const scale = Math.min(Math.max(view.scale * factor, whole.scale), Math.max(LARGEST, whole.scale));
  const kept = toPicture(view, about);
  return held({ scale, x: about.x - kept.x * scale, y: about.y - kept.y * scale }, picture, canvas);
};

/** @type {Views<[by: Point]>} */
export const panned = (view, by, ...room) => held({ ...view, x: view.x + by.x, y: view.y + by.y }, ...room);

/** The view moved so that no more of the canvas than needed is empty.
 * @type {Views<[]>} */
function held(view, picture, canvas) {
  /** @param {number} offset @param {number} shown @param {number} room */
  const one = (offset, shown, room) =>
    shown <= room ? (room - shown) / 2 : Math.min(0, Math.max(room - shown, offset));
  return {
    scale: view.scale,
    x: one(view.x, picture.width * view.scale, canvas.width),
    y: one(view.y, picture.height * view.scale, canvas.height),
  };
}
