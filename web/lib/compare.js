// @ts-check
import { make } from "./panel.js";
import { Stage } from "./stage.js";
import { t } from "./words.js";

/** @typedef {import("./stage.js").Frame} Frame */

const STEP = 0.02; // of the width, for the arrow keys; five times as far with Shift

/** Before and after over each other, with a divider that follows the pointer. */
export class Compare {
  /**
   * @param {AbortSignal} life
   * @param {(picture: Record<string, string>) => string} address of a picture
   */
  constructor(life, address) {
    this.address = address;
    /** @type {Frame[]} */
    this.frames = [];
    this.index = 0;
    this.at = 0.5;
    this.stage = new Stage(life, t("compareEmpty"));
    this.before = make("img", { draggable: "false", alt: t("before") });
    this.after = make("img", { draggable: "false", alt: t("after") });
    this.line = make("div", { class: "codeformer-divider" });
    this.numbers = make("div", { class: "codeformer-numbers" });
    this.stage.sheet.append(this.after, this.before, this.line, this.numbers);
    this.stage.element.append(
      make("span", { class: "codeformer-tag", "data-side": "before" }, t("before")),
      make("span", { class: "codeformer-tag", "data-side": "after" }, t("after")),
    );
    this.slider = frameSlider((index) => this.showFrame(index));
    this.element = make(
      "div",
      { class: "codeformer-column" },
      this.stage.element,
      make("div", { class: "codeformer-bar" }, ...this.#buttons(), this.slider.element),
    );
    this.#listen();
    this.moveTo(0.5);
  }

  /**
   * Show what a run brought.
   * @param {Frame[]} frames
   */
  show(frames) {
    this.frames = frames.filter((frame) => frame.before && frame.picture);
    this.slider.update(this.frames, Math.min(this.index, this.frames.length - 1));
    this.showFrame(Math.max(0, Math.min(this.index, this.frames.length - 1)));
  }

  /** @param {number} index */
  showFrame(index) {
    const frame = this.frames[index];
    if (!frame?.before || !frame.picture) return;
    this.index = index;
    this.stage.fill(true);
    this.before.src = this.address(frame.before);
    this.after.src = this.address(frame.picture);
    this.stage.resize(frame.width, frame.height);
    this.numbers.replaceChildren(...frame.faces.map((face) => this.#number(face)));
  }

  /**
   * Put the divider somewhere.
   * @param {number} at 0 left edge of the picture, 1 right edge
   */
  moveTo(at) {
    this.at = Math.min(1, Math.max(0, at));
    this.before.style.clipPath = `inset(0 ${(1 - this.at) * 100}% 0 0)`;
    this.line.style.left = `${this.at * 100}%`;
    this.stage.element.setAttribute("aria-valuenow", String(Math.round(this.at * 100)));
  }

  #buttons() {
    return [
      make("button", { type: "button", "data-do": "fit", click: () => this.stage.fit() }, t("fit")),
      make(
        "button",
        { type: "button", "data-do": "pixels", click: () => this.stage.oneToOne() },
        t("oneToOne"),
      ),
    ];
  }

  /** @param {import("./stage.js").FoundFace} face */
  #number(face) {
    const title = t("zoomTo", { number: face.number });
    const zoom = () => this.stage.zoomTo(face.box);
    const button = make(
      "button",
      { type: "button", class: "codeformer-number", title, "aria-label": title, click: zoom },
      String(face.number),
    );
    button.style.left = `${Math.max(0, face.box[0]) * 100}%`;
    button.style.top = `${Math.max(0, face.box[1]) * 100}%`;
    return button;
  }

  #listen() {
    const stage = this.stage.element;
    const role = { role: "slider", tabindex: "0", "aria-label": t("divider") };
    for (const [name, value] of Object.entries(role)) stage.setAttribute(name, value);
    stage.setAttribute("aria-valuemin", "0");
    stage.setAttribute("aria-valuemax", "100");
    stage.addEventListener("pointermove", (event) => this.#follow(event));
    stage.addEventListener("pointerdown", (event) => {
      stage.focus({ preventScroll: true });
      if (onButton(event)) return;
      stage.setPointerCapture(event.pointerId);
      if (this.stage.mode === "fit") this.#follow(event);
    });
    stage.addEventListener("dblclick", (event) => {
      if (onButton(event)) return;
      if (this.stage.mode === "fit") this.stage.oneToOne();
      else this.stage.fit();
    });
    stage.addEventListener("keydown", (event) => this.#key(event));
  }

  /** @param {PointerEvent} event */
  #follow(event) {
    if (event.buttons && this.stage.mode === "free") {
      this.stage.move(this.stage.toStage(event.movementX), this.stage.toStage(event.movementY));
    } else {
      this.moveTo(this.stage.locate(event).x);
    }
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    if (event.target !== this.stage.element || event.ctrlKey || event.metaKey) return;
    const step = event.shiftKey ? 5 * STEP : STEP;
    /** @type {Record<string, () => void>} */
    const actions = {
      ArrowLeft: () => this.moveTo(this.at - step),
      ArrowRight: () => this.moveTo(this.at + step),
      Home: () => this.moveTo(0),
      End: () => this.moveTo(1),
      Escape: () => this.stage.fit(),
      0: () => this.stage.fit(),
      z: () => this.stage.oneToOne(),
    };
    const faces = this.frames[this.index]?.faces ?? [];
    const face = faces.find(({ number }) => String(number) === event.key);
    const action = actions[event.key] ?? (face && (() => this.stage.zoomTo(face.box)));
    if (!action) return;
    action();
    event.preventDefault();
  }
}

/**
 * A slider over the frames of a batch, hidden while there is only one.
 * @param {(index: number) => void} use
 */
export function frameSlider(use) {
  const label = make("span");
  const range = make("input", { type: "range", min: 0, step: 1, "data-do": "frame" });
  const element = make("label", { class: "codeformer-frames", hidden: true }, range, label);
  let total = 0;
  const describe = () => {
    label.textContent = t("frame", { frame: Number(range.value) + 1, frames: total });
    range.setAttribute("aria-label", label.textContent);
  };
  range.addEventListener("input", () => {
    describe();
    use(Number(range.value));
  });
  return {
    element,
    /** @param {Frame[]} frames @param {number} index */
    update(frames, index) {
      element.hidden = frames.length < 2;
      total = frames[0]?.frames ?? 0;
      range.max = String(Math.max(0, frames.length - 1));
      range.value = String(Math.max(0, index));
      describe();
    },
  };
}

/** @param {Event} event */
function onButton(event) {
  return event.target instanceof Element && event.target.closest("button") !== null;
}
