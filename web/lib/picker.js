// @ts-check
import { frameSlider } from "./compare.js";
import { make } from "./panel.js";
import { Stage } from "./stage.js";
import { t } from "./words.js";

/** @typedef {import("./stage.js").Frame} Frame */
/** @typedef {import("./stage.js").FoundFace} FoundFace */
/**
 * @typedef {object} Choice where the chosen numbers and their fidelities are kept
 * @property {() => number[]} chosen numbers
 * @property {(numbers: number[]) => void} choose
 * @property {boolean} emptyIsAll
 * @property {() => boolean} hasFidelity whether there is a list to write fidelities into
 * @property {(number: number) => number} fidelity
 * @property {(number: number, value: number | null) => void} setFidelity null: the node's own
 */

const DRAG = 4; // pixels a pointer moves before a click becomes a rectangle

/** The faces of the last run on their picture, to be clicked. */
export class Picker {
  /**
   * @param {AbortSignal} life
   * @param {(picture: Record<string, string>) => string} address
   * @param {Choice} choice
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
    this.faces = make("div", { role: "group", "aria-label": t("choose") });
    this.rectangle = make("div", { class: "codeformer-rectangle", hidden: true });
    this.stage.sheet.append(this.image, this.faces, this.rectangle);
    this.count = make("span", { "aria-live": "polite" });
    this.missing = make("div", { class: "codeformer-bar", hidden: true });
    this.slider = frameSlider((index) => this.showFrame(index));
    this.fidelity = this.#fidelityRow();
    this.element = make(
      "div",
      { class: "codeformer-column codeformer-picker" },
      this.stage.element,
      make("div", { class: "codeformer-bar" }, ...this.#buttons(), this.count, this.slider.element),
      this.fidelity.element,
      this.missing,
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
    this.faces.replaceChildren(...frame.faces.map((face) => this.#face(face)));
    this.refresh();
  }

  /** Show the state of the widgets. */
  refresh() {
    const chosen = this.choice.chosen();
    for (const button of this.faces.querySelectorAll("button")) {
      const pressed = chosen.includes(Number(button.dataset.number));
      button.setAttribute("aria-pressed", String(pressed));
    }
    const all = this.choice.emptyIsAll && chosen.length === 0;
    this.element.classList.toggle("codeformer-all", all);
    this.count.textContent = all ? t("everyFace") : t("picked", { count: chosen.length });
    this.#showMissing(chosen);
    this.#showFidelity(chosen);
  }

  /** Every face of the last run. */
  everyFace() {
    return this.frames.flatMap((frame) => frame.faces);
  }

  #buttons() {
    const button = (/** @type {string} */ name, /** @type {string} */ text, /** @type {() => void} */ use) =>
      make("button", { type: "button", "data-do": name, click: use }, text);
    const all = () =>
      this.#choose(this.choice.emptyIsAll ? [] : this.everyFace().map(({ number }) => number));
    return [
      button("all", t("all"), all),
      this.choice.emptyIsAll ? null : button("none", t("none"), () => this.#choose([])),
      button("largest", t("largest"), () => this.#choose(this.#largest())),
    ].filter((one) => one !== null);
  }

  /** Number of the largest face of each frame. */
  #largest() {
    return this.frames.flatMap(({ faces }) => {
      const [first] = [...faces].sort((a, b) => b.size - a.size);
      return first ? [first.number] : [];
    });
  }

  /** @param {number[]} numbers */
  #choose(numbers) {
    this.choice.choose(numbers);
    this.refresh();
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
    const chosen = this.choice.chosen();
    const taken = chosen.includes(face.number);
    if (taken && event.shiftKey) return;
    const without = chosen.filter((number) => number !== face.number);
    this.current = face.number;
    this.#choose(taken ? without : [...chosen, face.number]);
  }

  /** @param {number} number */
  #focus(number) {
    this.current = number;
    this.#showFidelity(this.choice.chosen());
  }

  /** @param {number[]} chosen */
  #showMissing(chosen) {
    const there = new Set(this.everyFace().map(({ number }) => number));
    const known = this.frames.length > 0;
    const gone = known ? chosen.filter((number) => !there.has(number)) : [];
    this.missing.hidden = gone.length === 0;
    this.missing.replaceChildren(...gone.map((number) => this.#missingChip(number)));
  }

  /** @param {number} number */
  #missingChip(number) {
    const remove = () => this.#choose(this.choice.chosen().filter((other) => other !== number));
    return make(
      "button",
      { type: "button", class: "codeformer-missing", title: t("missingHint"), click: remove },
      t("missing", { number }),
    );
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
    stage.addEventListener("keydown", (event) => this.#key(event));
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
      this.#choose([...kept, ...inside.map(({ number }) => number)]);
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

  /** @param {KeyboardEvent} event */
  #key(event) {
    if (event.ctrlKey || event.metaKey) return;
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    if (step) this.#focusNext(step);
    else if (event.key === "a") this.#choose(this.everyFace().map(({ number }) => number));
    else if (event.key === "Escape") this.#choose([]);
    else return;
    event.preventDefault();
  }

  /** @param {number} step */
  #focusNext(step) {
    const buttons = [...this.faces.querySelectorAll("button")];
    const at = buttons.findIndex((button) => button === document.activeElement);
    buttons[(at + step + buttons.length) % buttons.length]?.focus({ preventScroll: true });
  }
}
