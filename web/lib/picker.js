// @ts-check
import { Chooser, actionButton } from "./chooser.js";
import { frameSlider } from "./compare.js";
import { make } from "./panel.js";
import { Stage } from "./stage.js";
import { t } from "./words.js";

/** @typedef {import("./stage.js").Frame} Frame */
/** @typedef {import("./stage.js").FoundFace} FoundFace */
/**
 * @typedef {object} Fidelities the same for one fidelity of each face
 * @property {() => boolean} hasFidelity whether there is a list to write fidelities into
 * @property {(number: number) => number} fidelity
 * @property {(number: number, value: number | null) => void} setFidelity null: the node's own
 */
/** @typedef {import("./chooser.js").Choice & Fidelities} FaceChoice */

const WORDS = /** @type {const} */ ({ group: "choose", every: "everyFace", missing: "missing" });
const DRAG = 4; // pixels a pointer moves before a click becomes a rectangle

/** The faces of the last run on their picture, to be clicked. */
export class Picker {
  /**
   * @param {AbortSignal} life
   * @param {(picture: Record<string, string>) => string} address
   * @param {FaceChoice} choice
   */
  constructor(life, address, choice) {
    this.address = address;
    this.choice = choice;
    /** @type {Frame[]} */
    this.frames = [];
    this.index = 0;
    /** @type {number | null} the face whose fidelity can be set */
    this.current = null;
    /** @type {{x: number, y: number, clientX: number, clientY: number} | null} */
    this.start = null;
    this.dragged = false;
    this.stage = new Stage(life, t("pickEmpty"));
    this.image = make("img", { draggable: "false", alt: "" });
    this.chooser = new Chooser(
      choice,
      WORDS,
      () => (this.frames.length > 0 ? this.everyFace().map(({ number }) => number) : null),
      (chosen) => this.#showFidelity(chosen),
    );
    this.rectangle = make("div", { class: "codeformer-rectangle", hidden: true });
    this.stage.sheet.append(this.image, this.chooser.group, this.rectangle);
    this.largest = actionButton("largest", t("largest"), () => this.chooser.choose(this.#largest()));
    this.largest.disabled = true; // until there was a run
    this.slider = frameSlider((index) => this.showFrame(index));
    this.fidelity = this.#fidelityRow();
    this.element = make(
      "div",
      { class: "codeformer-column codeformer-picker" },
      this.stage.element,
      this.#bar(),
      this.fidelity.element,
      this.chooser.missing,
    );
    this.#listen();
    this.refresh();
  }

  /**
   * Show what a run brought.
   * @param {Frame[]} frames
   */
  show(frames) {
    this.frames = frames;
    this.largest.disabled = frames.length === 0;
    const index = Math.max(0, Math.min(this.index, frames.length - 1));
    this.slider.update(frames, index);
    this.showFrame(index);
  }

  /** @param {number} index */
  showFrame(index) {
    const frame = this.frames[index];
    if (!frame) return;
    this.index = index;
    const picture = frame.before ?? frame.picture;
    this.image.hidden = !picture;
    if (picture) this.image.src = this.address(picture);
    // Of the later frames of a long batch there are only the boxes.
    this.stage.fill(picture !== undefined || this.everyFace().length > 0);
    this.stage.resize(frame.width, frame.height);
    this.chooser.show(frame.faces.map((face) => this.#face(face)));
  }

  /** Show the state of the widgets. */
  refresh() {
    this.chooser.refresh();
  }

  /** Every face of the last run. */
  everyFace() {
    return this.frames.flatMap((frame) => frame.faces);
  }

  #bar() {
    const { chooser } = this;
    const parts = [...chooser.buttons(), this.largest, chooser.count, this.slider.element];
    return make("div", { class: "codeformer-bar" }, ...parts);
  }

  /** Number of the largest face of each frame. */
  #largest() {
    return this.frames.flatMap(({ faces }) => {
      const [first] = [...faces].sort((a, b) => b.size - a.size);
      return first ? [first.number] : [];
    });
  }

  /** @param {FoundFace} face */
  #face(face) {
    const { number, box } = face;
    const details = t("faceDetails", { number, score: face.score.toFixed(2), size: face.size });
    const button = make(
      "button",
      {
        type: "button",
        class: "codeformer-face",
        "data-number": number,
        "aria-label": details,
        click: (/** @type {MouseEvent} */ event) => this.#click(face, event),
        focus: () => this.#focus(number),
      },
      make("span", {}, String(number)),
    );
    // Its details open towards the middle, where the stage does not cut them off.
    button.dataset.details = details;
    button.toggleAttribute("data-right", box[0] + box[2] > 1);
    button.toggleAttribute("data-low", box[3] > 0.85);
    Object.assign(button.style, {
      left: `${box[0] * 100}%`,
      top: `${box[1] * 100}%`,
      width: `${(box[2] - box[0]) * 100}%`,
      height: `${(box[3] - box[1]) * 100}%`,
    });
    return button;
  }

  /**
   * @param {FoundFace} face
   * @param {MouseEvent} event
   */
  #click(face, event) {
    if (this.dragged) return;
    this.current = face.number;
    this.chooser.toggle(face.number, event);
  }

  /** @param {number} number */
  #focus(number) {
    this.current = number;
    this.#showFidelity(this.choice.chosen());
  }

  #fidelityRow() {
    const label = make("span");
    const range = make("input", { type: "range", min: 0, max: 1, step: 0.05 });
    const value = make("output");
    const set = (/** @type {number | null} */ to) => {
      if (this.current === null) return;
      this.choice.setFidelity(this.current, to);
      this.#showFidelity(this.choice.chosen());
    };
    range.addEventListener("input", () => set(Number(range.value)));
    const reset = make("button", { type: "button", click: () => set(null) }, t("asNode"));
    const row = make("label", { class: "codeformer-frames" }, label, range, value);
    const element = make("div", { class: "codeformer-bar codeformer-fidelity" }, row, reset);
    return { element, label, range, value };
  }

  /** @param {number[]} chosen */
  #showFidelity(chosen) {
    const { element, label, range, value } = this.fidelity;
    const number = this.current ?? this.everyFace()[0]?.number ?? 1;
    const all = this.choice.emptyIsAll && chosen.length === 0;
    const shown = this.current !== null && (all || chosen.includes(number));
    // Its place is kept: a picture that moved under the pointer would lose the click.
    element.hidden = !this.choice.hasFidelity();
    element.classList.toggle("codeformer-kept", !shown);
    label.textContent = t("fidelity", { number });
    range.setAttribute("aria-label", label.textContent);
    range.value = String(this.choice.fidelity(number));
    value.textContent = this.choice.fidelity(number).toFixed(2);
  }

  #listen() {
    const stage = this.stage.element;
    stage.addEventListener("pointerdown", (event) => {
      const { clientX, clientY } = event;
      this.start = { ...this.stage.locate(event), clientX, clientY };
      this.dragged = false;
    });
    stage.addEventListener("pointermove", (event) => this.#drag(event));
    stage.addEventListener("pointerup", (event) => this.#drop(event));
    stage.addEventListener("pointercancel", () => this.#endDrag());
    stage.addEventListener("keydown", (event) => this.chooser.key(event));
  }

  /** @param {PointerEvent} event */
  #drag(event) {
    if (!this.start) return;
    const far = Math.hypot(event.clientX - this.start.clientX, event.clientY - this.start.clientY);
    if (!this.dragged && far < DRAG) return;
    if (!this.dragged) this.stage.element.setPointerCapture(event.pointerId);
    this.dragged = true;
    const [left, top, right, bottom] = this.#dragBox(event);
    this.rectangle.hidden = false;
    Object.assign(this.rectangle.style, {
      left: `${left * 100}%`,
      top: `${top * 100}%`,
      width: `${(right - left) * 100}%`,
      height: `${(bottom - top) * 100}%`,
    });
  }

  /** @param {PointerEvent} event */
  #drop(event) {
    if (this.start && this.dragged) {
      const [left, top, right, bottom] = this.#dragBox(event);
      const faces = this.frames[this.index]?.faces ?? [];
      const inside = faces.filter(({ box }) => {
        const x = (box[0] + box[2]) / 2;
        const y = (box[1] + box[3]) / 2;
        return x >= left && x <= right && y >= top && y <= bottom;
      });
      const here = new Set(faces.map(({ number }) => number));
      const kept = this.choice.chosen().filter((number) => event.shiftKey || !here.has(number));
      this.chooser.choose([...kept, ...inside.map(({ number }) => number)]);
    }
    this.#endDrag();
  }

  #endDrag() {
    this.start = null;
    this.rectangle.hidden = true;
    // The click that ends a drag comes after it; a key's click comes on its own.
    setTimeout(() => (this.dragged = false));
  }

  /** @param {PointerEvent} event */
  #dragBox(event) {
    const start = this.start ?? { x: 0, y: 0 };
    const end = this.stage.locate(event);
    return [
      Math.min(start.x, end.x),
      Math.min(start.y, end.y),
      Math.max(start.x, end.x),
      Math.max(start.y, end.y),
    ];
  }
}
