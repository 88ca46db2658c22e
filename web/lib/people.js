// @ts-check
import { Chooser } from "./chooser.js";
import { make } from "./panel.js";
import { t } from "./words.js";

const WORDS = /** @type {const} */ ({
  group: "choosePeople",
  every: "everybody",
  missing: "missingPerson",
});

/** A numbered face of everybody in a video, to be clicked. */
export class People {
  /**
   * @param {(picture: Record<string, string>) => string} address
   * @param {import("./chooser.js").Choice} choice
   */
  constructor(address, choice) {
    this.address = address;
    /** @type {number[] | null} the people of the last run */
    this.numbers = null;
    this.chooser = new Chooser(choice, WORDS, () => this.numbers);
    const { group, count, missing } = this.chooser;
    group.className = "codeformer-people";
    group.dataset.captureWheel = "true"; // Nodes 2.0 would zoom instead of scrolling
    group.addEventListener("keydown", (event) => this.chooser.key(event));
    // The host clears its previews: what a saved workflow showed may be gone.
    group.addEventListener("error", () => this.#forget(), { capture: true });
    this.bar = make("div", { class: "codeformer-bar codeformer-tabs" }, ...this.chooser.buttons(), count);
    this.newest = make("img", { class: "codeformer-newest", alt: "", hidden: true });
    this.element = make("div", { class: "codeformer-column" }, this.bar, group, this.newest, missing);
    this.#forget();
  }

  /**
   * Show what a run brought.
   * @param {Record<string, string>[]} pictures of person 1, 2 and so on
   */
  show(pictures) {
    this.numbers = pictures.map((_, place) => place + 1);
    this.showNewest(null);
    this.chooser.group.dataset.empty = t("nobody");
    this.chooser.show(pictures.map((picture, place) => this.#button(picture, place + 1)));
  }

  /**
   * Show what a run has just made in the place of the people.
   * @param {string | null} picture its address; null when the run ends
   */
  showNewest(picture) {
    if (picture) this.newest.src = picture;
    this.newest.hidden = !picture;
    this.chooser.group.hidden = picture !== null;
  }

  /** Show the state of the widget. */
  refresh() {
    this.chooser.refresh();
  }

  #forget() {
    this.numbers = null;
    this.chooser.group.dataset.empty = t("peopleEmpty");
    this.chooser.show([]);
  }

  /**
   * @param {Record<string, string>} picture
   * @param {number} number
   */
  #button(picture, number) {
    const label = t("person", { number });
    const properties = { type: "button", title: label, "aria-label": label, "data-number": number };
    const image = make("img", { src: this.address(picture), alt: "", draggable: "false" });
    const button = make("button", properties, image, make("span", {}, String(number)));
    button.addEventListener("click", (event) => this.chooser.toggle(number, event));
    button.addEventListener("focus", () => this.#uncover(button));
    return button;
  }

  /**
   * Scroll to a face. The browser's own way would move the canvas as well.
   * @param {HTMLElement} button
   */
  #uncover({ offsetTop, offsetHeight }) {
    const { group } = this.chooser;
    const lowest = offsetTop + offsetHeight - group.clientHeight;
    group.scrollTop = Math.max(lowest, Math.min(offsetTop, group.scrollTop));
  }
}
