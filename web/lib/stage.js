// @ts-check
import { make } from "./panel.js";

/**
 * @typedef {object} FoundFace
 * @property {number} number from 1 over all frames
 * @property {[number, number, number, number]} box left, top, right, bottom in 0..1
 * @property {number} score the detector's confidence
 * @property {number} size pixels of the longer side
 * @property {boolean} chosen by the last run
 */
/**
 * @typedef {object} Frame what a node shows of a picture, as nodes/previews.py describes it
 * @property {number} frame
 * @property {number} frames in the whole batch
 * @property {number} width
 * @property {number} height
 * @property {Record<string, string>} [picture]
 * @property {Record<string, string>} [before]
 * @property {FoundFace[]} faces
 */

const FACE_PART = 0.6; // of the stage that a face fills when it is zoomed to

/**
 * A picture that fits its place, can be zoomed to a face or to single pixels, and be moved.
 *
 * The sheet is laid out at its size on screen instead of being scaled by a transform, so that the
 * browser draws the file's own pixels at every zoom and density.
 */
export class Stage {
  /**
   * @param {AbortSignal} life ends the observer
   * @param {string} hint what to do while there is no picture
   */
  constructor(life, hint) {
    this.hint = hint;
    this.sheet = make("div", { class: "codeformer-sheet" });
    this.element = make("div", { class: "codeformer-stage", "data-empty": hint }, this.sheet);
    // The host clears its previews: what a saved workflow showed may be gone.
    this.sheet.addEventListener("error", () => this.fill(false), { capture: true });
    /** @type {"fit" | "free"} */
    this.mode = "fit";
    this.pixels = { width: 1, height: 1 };
    this.scale = 1;
    this.left = 0;
    this.top = 0;
    const observer = new ResizeObserver(() => (this.mode === "fit" ? this.fit() : this.apply()));
    observer.observe(this.element);
    life.addEventListener("abort", () => observer.disconnect());
  }

  /**
   * Show the sheet, or what to do to see something.
   * @param {boolean} filled
   */
  fill(filled) {
    if (filled) delete this.element.dataset.empty;
    else this.element.dataset.empty = this.hint;
  }

  /**
   * Take the size of another picture; the zoom stays while the size does.
   * @param {number} width
   * @param {number} height
   */
  resize(width, height) {
    const same = this.pixels.width === width && this.pixels.height === height;
    this.pixels = { width, height };
    if (!same || this.mode === "fit") this.fit();
  }

  /** Show the whole picture. */
  fit() {
    this.mode = "fit";
    const { clientWidth, clientHeight } = this.element;
    this.scale = Math.min(clientWidth / this.pixels.width, clientHeight / this.pixels.height);
    this.#centre(0.5, 0.5);
  }

  /** Show one pixel of the picture as one pixel of the screen, whatever the density and zoom. */
  oneToOne() {
    const middle = this.#middle();
    this.mode = "free";
    const onScreen = this.element.getBoundingClientRect().width / this.element.clientWidth || 1;
    this.scale = 1 / (devicePixelRatio * onScreen);
    this.#centre(middle.x, middle.y);
  }

  /**
   * Show a part of the picture.
   * @param {[number, number, number, number]} box
   */
  zoomTo([left, top, right, bottom]) {
    this.mode = "free";
    const { clientWidth, clientHeight } = this.element;
    const width = (right - left) * this.pixels.width;
    const height = (bottom - top) * this.pixels.height;
    this.scale = FACE_PART * Math.min(clientWidth / width, clientHeight / height);
    this.#centre((left + right) / 2, (top + bottom) / 2);
  }

  /**
   * Move the picture by pixels of the stage.
   * @param {number} x
   * @param {number} y
   */
  move(x, y) {
    this.left += x;
    this.top += y;
    this.apply();
  }

  /**
   * Where a pointer is on the picture, in 0..1; outside of it beyond.
   * @param {MouseEvent} event
   */
  locate(event) {
    const { left, top, width, height } = this.sheet.getBoundingClientRect();
    return { x: (event.clientX - left) / width, y: (event.clientY - top) / height };
  }

  /**
   * Pixels of the stage for pixels of the screen: the canvas may be zoomed.
   * @param {number} distance
   */
  toStage(distance) {
    return (distance * this.element.clientWidth) / this.element.getBoundingClientRect().width;
  }

  /** Lay the sheet out; a picture wider than the stage leaves no gap at its edges. */
  apply() {
    const { clientWidth, clientHeight } = this.element;
    const width = this.pixels.width * this.scale;
    const height = this.pixels.height * this.scale;
    this.left = inside(this.left, width, clientWidth);
    this.top = inside(this.top, height, clientHeight);
    Object.assign(this.sheet.style, {
      left: `${this.left}px`,
      top: `${this.top}px`,
      width: `${width}px`,
      height: `${height}px`,
    });
    this.element.dataset.mode = this.mode;
  }

  #middle() {
    const { clientWidth, clientHeight } = this.element;
    const { width, height } = this.pixels;
    return {
      x: (clientWidth / 2 - this.left) / (width * this.scale),
      y: (clientHeight / 2 - this.top) / (height * this.scale),
    };
  }

  /**
   * @param {number} x
   * @param {number} y
   */
  #centre(x, y) {
    const { clientWidth, clientHeight } = this.element;
    this.left = clientWidth / 2 - x * this.pixels.width * this.scale;
    this.top = clientHeight / 2 - y * this.pixels.height * this.scale;
    this.apply();
  }
}

/**
 * @param {number} start
 * @param {number} length
 * @param {number} room
 */
function inside(start, length, room) {
  if (length <= room) return (room - length) / 2;
  return Math.min(0, Math.max(room - length, start));
}
