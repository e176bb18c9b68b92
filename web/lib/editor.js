// The editor of points and boxes on a picture: a toolbar, a canvas and a line of text. It edits three texts, which it is
// given and gives back; it knows nothing of ComfyUI.
import { drawCursor, drawFound, drawMarks } from "./marks.js";
import { EMPTY, KINDS, added, boxBetween, hit, inside, moved, neighbour, readTexts, removed, writeTexts } from "./drawing.js";
import { add, take } from "./place.js";
import { say } from "./texts.js";
import { ARROWS, fitted, panned, toPicture, zoomed } from "./view.js";

const REACH = 9; // pixels of the canvas around a mark that still hit it
const STILL = 4; // pixels of the canvas that a click may move
const LONG = 500; // ms, after which a finger draws a negative point
const SIGNS = { positive: "+", negative: "\u2212", undo: "\u21b6", redo: "\u21b7", remove: "\u2715", clear: "", fit: "" };

export class Editor {
  drawing = EMPTY;
  problem = "";
  past = /** @type {Texts[]} */ ([]);
  future = /** @type {Texts[]} */ ([]);
  selected = /** @type {Target | null} */ (null);
  tool = /** @type {"positive" | "negative"} */ ("positive");
  drag = /** @type {Drag | null} */ (null);
  cursor = /** @type {Point | null} */ (null);
  corner = /** @type {Point | null} */ (null); // of the box that the keyboard has begun
  fingers = /** @type {Map<number, Point>} */ (new Map());
  spaceHeld = false;
  image = /** @type {HTMLImageElement | null} */ (null);
  address = "";
  size = { width: 0, height: 0 };
  view = { scale: 1, x: 0, y: 0 };
  shown = "";

  /** @param {Source} source */
  constructor(source) {
    this.source = source;
    this.element = add(null, "div", { class: "trilemma-editor" });
    const bar = add(this.element, "div", { class: "bar" });
    for (const [name, sign] of Object.entries(SIGNS)) {
      const look = { title: say(name), "aria-label": say(name), "data-action": name };
      add(bar, "button", look, sign || say(`${name}_label`), () => this.act(name));
    }
    this.tools = /** @type {HTMLElement[]} */ ([...bar.children].slice(0, 2));
    const title = say("keys");
    const label = `${say("points_title")}\n${title}`;
    this.canvas = add(this.element, "canvas", { tabindex: 0, role: "application", "aria-label": label, title });
    // The page looks at every key before anybody else does, and leaves undo to what says (older, newer) that it is text.
    Object.defineProperties(this.canvas, { type: { value: "textarea" }, isContentEditable: { value: true } });
    this.line = add(this.element, "div", { class: "line", "aria-live": "polite" });
    const canvas = this.canvas;
    canvas.oncontextmenu = (event) => event.preventDefault();
    canvas.onpointerdown = (event) => this.#down(event);
    canvas.onpointermove = (event) => this.#move(event);
    canvas.onpointerup = canvas.onpointercancel = (event) => this.#up(event);
    canvas.addEventListener("wheel", (event) => this.#wheel(event), { passive: false });
    canvas.onkeydown = (event) => {
      if (!this.#pressed(event)) return;
      take(event);
      this.draw();
    };
    canvas.onkeyup = ({ key }) => (this.spaceHeld &&= key !== " ");
    canvas.onfocus = canvas.onblur = () => this.draw();
    new ResizeObserver(() => this.fit()).observe(canvas);
  }

  again() {
    this.shown = "";
    this.refresh();
  }

  /** @param {number} factor @param {Point} about on the canvas */
  zoom(factor, about) {
    this.view = zoomed(this.view, factor, about, this.size, this.room);
  }

  /** @param {Point} screen @param {Point} before on the canvas @param {number} [share] of the way */
  pan(screen, before, share = 1) {
    const by = { x: (screen.x - before.x) * share, y: (screen.y - before.y) * share };
    this.view = panned(this.view, by, this.size, this.room);
  }

  /** Reads the texts, the picture and the boxes anew, and draws what has changed. */
  refresh() {
    if (!this.element.isConnected || this.drag) return;
    const texts = this.source.read();
    const picture = this.source.picture();
    const found = this.source.found();
    const all = JSON.stringify([texts, picture, found]);
    if (all === this.shown) return;
    this.shown = all;
    this.found = found;
    try {
      this.drawing = readTexts(texts);
      this.problem = "";
    } catch (error) {
      this.drawing = EMPTY;
      this.problem = /** @type {Error} */ (error).message;
    }
    if (this.selected && !this.drawing[this.selected.kind][this.selected.index]) this.selected = null;
    if (picture?.address !== this.address) this.#load(picture);
    this.draw();
  }

  /** @param {Picture | null} picture */
  #load(picture) {
    this.address = picture?.address ?? "";
    this.image = null;
    if (!picture) return;
    const image = new Image();
    image.onload = () => {
      if (this.address !== picture.address) return;
      this.image = image;
      this.size = { width: picture.width ?? image.naturalWidth, height: picture.height ?? image.naturalHeight };
      this.cursor = this.corner = null;
      this.fit();
    };
    image.onerror = () => this.tell(say("no_file"));
    image.src = picture.address;
  }

  get room() {
    return { width: this.canvas.clientWidth || 1, height: this.canvas.clientHeight || 1 };
  }

  get editable() {
    return this.image !== null && !this.problem;
  }

  fit() {
    this.view = fitted(this.size.width ? this.size : this.room, this.room);
    this.draw();
  }

  /** @param {string} text */
  tell(text) {
    if (this.line.textContent !== text) this.line.textContent = text;
  }

  draw() {
    const context = /** @type {Sheet} */ (this.canvas.getContext("2d"));
    const { width, height } = this.room;
    // As fine as the screen where the page shows the node enlarged.
    const fine = Math.min(3, (this.canvas.getBoundingClientRect().width / width || 1) * devicePixelRatio);
    this.canvas.width = Math.round(width * fine);
    this.canvas.height = Math.round(height * fine);
    context.setTransform(fine, 0, 0, fine, 0, 0);
    for (const each of this.tools) each.setAttribute("aria-pressed", String(each.dataset.action === this.tool));
    if (!this.image) return this.tell(this.problem || say("no_picture"));
    const { scale, x, y } = this.view;
    context.imageSmoothingEnabled = scale < 4;
    context.drawImage(this.image, x, y, this.size.width * scale, this.size.height * scale);
    drawFound(context, this.view, this.found ?? []);
    const { drawing, drag, corner, cursor, size } = this;
    const boxes = [...drawing.boxes];
    if (drag?.moved && !drag.target && !drag.panning) boxes.push(boxBetween(drag.from, drag.at, size));
    if (corner && cursor) boxes.push(boxBetween(corner, cursor, size));
    drawMarks(context, this.view, { ...drawing, boxes }, this.selected);
    if (cursor && document.activeElement === this.canvas) drawCursor(context, this.view, cursor);
    const [on, off, drawn] = KINDS.map((kind) => drawing[kind].length);
    this.tell(this.problem || say(on + off + drawn ? "counts" : "help", { ...size, on, off, boxes: drawn }));
  }

  /** Shows and gives another drawing; `before` is what undo comes back to, if not what is there.
   * @param {Drawing} drawing @param {Texts} [before] */
  change(drawing, before = this.source.read()) {
    const written = writeTexts(before, drawing);
    this.drawing = drawing;
    if (JSON.stringify(written) !== JSON.stringify(before)) {
      this.past = [...this.past.slice(-199), before];
      this.future = [];
      this.source.write(written);
    }
    this.again();
  }

  /** @param {string} name of a button */
  act(name) {
    if (name === "positive" || name === "negative") this.tool = name;
    else if (name === "fit") this.fit();
    else if (name === "undo" || name === "redo") {
      const [from, to] = name === "undo" ? [this.past, this.future] : [this.future, this.past];
      const texts = from.pop();
      if (texts) {
        to.push(this.source.read());
        this.source.write(texts);
      }
      this.again();
    } else if (this.editable && name === "clear") this.change(EMPTY);
    else if (this.editable && name === "remove" && this.selected) {
      const target = this.selected;
      this.selected = null;
      this.change(removed(this.drawing, target));
    }
    this.draw();
  }

  /** Where it is on the canvas, whatever the page's zoom.
   * @param {MouseEvent} event */
  #at(event) {
    const box = this.canvas.getBoundingClientRect();
    const { width, height } = this.room;
    return { x: ((event.clientX - box.left) * width) / box.width, y: ((event.clientY - box.top) * height) / box.height };
  }

  /** @param {PointerEvent} event */
  #down(event) {
    event.preventDefault();
    this.canvas.focus({ preventScroll: true });
    if (!this.editable) return;
    const screen = this.#at(event);
    this.canvas.setPointerCapture(event.pointerId);
    if (event.pointerType === "touch") this.fingers.set(event.pointerId, screen);
    if (this.fingers.size > 1) {
      this.drag = null; // two fingers move the picture
      this.shown = "";
      return;
    }
    const from = toPicture(this.view, screen);
    const panning = event.button === 1 || this.spaceHeld;
    const negative = event.button === 2 || event.shiftKey || this.tool === "negative";
    const target = panning ? null : hit(this.drawing, from, REACH / this.view.scale);
    if (!panning) this.selected = target;
    this.cursor = this.corner = null;
    this.drag = { from, at: from, screen, negative, moved: false, panning, target, before: this.source.read(), since: event.timeStamp };
    this.draw();
  }

  /** @param {PointerEvent} event */
  #move(event) {
    const screen = this.#at(event);
    if (this.fingers.size > 1) return this.#pinch(event.pointerId, screen);
    const drag = this.drag;
    if (!drag) return;
    if (Math.hypot(screen.x - drag.screen.x, screen.y - drag.screen.y) > STILL) drag.moved = true;
    if (!drag.moved) return;
    if (drag.panning) {
      this.pan(screen, drag.screen);
      drag.screen = screen;
    } else {
      drag.at = toPicture(this.view, screen);
      const by = { x: drag.at.x - drag.from.x, y: drag.at.y - drag.from.y };
      if (drag.target) this.drawing = moved(readTexts(drag.before), drag.target, by, this.size);
    }
    this.draw();
  }

  /** @param {number} finger @param {Point} screen */
  #pinch(finger, screen) {
    const old = this.fingers.get(finger);
    const other = [...this.fingers].find(([id]) => id !== finger)?.[1];
    if (!old || !other) return;
    this.fingers.set(finger, screen);
    /** @param {Point} one */
    const apart = (one) => Math.max(1, Math.hypot(one.x - other.x, one.y - other.y));
    this.zoom(apart(screen) / apart(old), { x: (old.x + other.x) / 2, y: (old.y + other.y) / 2 });
    this.pan(screen, old, 0.5);
    this.draw();
  }

  /** @param {PointerEvent} event */
  #up(event) {
    this.fingers.delete(event.pointerId);
    const drag = this.drag;
    this.drag = null;
    if (!drag) return;
    if (event.type === "pointercancel") this.drawing = readTexts(drag.before);
    else if (drag.target && drag.moved) this.change(this.drawing, drag.before);
    else if (!drag.target && !drag.panning) {
      if (drag.moved) this.#add("boxes", boxBetween(drag.from, drag.at, this.size));
      else {
        const long = event.pointerType === "touch" && event.timeStamp - drag.since > LONG;
        this.#add(drag.negative || long ? "negative" : "positive", inside(drag.from, this.size));
      }
    }
    this.again();
  }

  /** @param {Kind} kind @param {Point | Box} entry @param {boolean} [keyed] so that arrows go on moving the cross */
  #add(kind, entry, keyed) {
    const drawing = added(this.drawing, kind, entry);
    this.selected = keyed ? null : { kind, index: drawing[kind].length - 1 };
    if (keyed) this.corner = null;
    this.change(drawing);
  }

  /** @param {WheelEvent} event */
  #wheel(event) {
    // Until the editor is clicked, the wheel is the page's.
    if (!this.image || document.activeElement !== this.canvas) return;
    take(event);
    this.zoom(Math.exp(-event.deltaY / 400), this.#at(event));
    this.draw();
  }

  /** Whether the key is the editor's.
   * @param {KeyboardEvent} event */
  #pressed(event) {
    const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    if (event.ctrlKey || event.metaKey) {
      if (key !== "z" && key !== "y") return false;
      this.act(key === "y" || event.shiftKey ? "redo" : "undo");
      return true;
    }
    if (!this.editable || event.altKey) return false;
    const arrow = ARROWS[key];
    const draws = key === "Enter" || key === "b";
    const middle = { x: this.room.width / 2, y: this.room.height / 2 };
    this.cursor ??= arrow || draws ? inside(toPicture(this.view, middle), this.size) : null;
    if (arrow) this.#step(arrow, event.shiftKey ? Math.max(10, Math.round(this.size.width / 32)) : 1);
    else if (draws && this.corner && this.cursor) {
      this.#add("boxes", boxBetween(this.corner, this.cursor, this.size), true);
    } else if (key === "Enter" && this.cursor) this.#add(event.shiftKey ? "negative" : this.tool, this.cursor, true);
    else if (key === "b") [this.corner, this.selected] = [this.cursor, null];
    else if (key === "[" || key === "]") this.selected = neighbour(this.drawing, this.selected, key === "]" ? 1 : -1);
    else if (key === "Delete" || key === "Backspace") this.act("remove");
    else if (key === "+" || key === "=") this.zoom(1.25, middle);
    else if (key === "-") this.zoom(0.8, middle);
    else if (key === "0") this.fit();
    else if (key === " ") this.spaceHeld = true;
    else if (key === "Escape") this.selected = this.corner = null;
    else return false;
    return true;
  }

  /** @param {number[]} direction @param {number} pixels */
  #step([x, y], pixels) {
    const by = { x: x * pixels, y: y * pixels };
    if (this.selected) this.change(moved(this.drawing, { ...this.selected, handle: undefined }, by, this.size));
    else if (this.cursor) this.cursor = inside({ x: this.cursor.x + by.x, y: this.cursor.y + by.y }, this.size);
  }
}
