// @ts-check
import { make } from "./panel.js";
import { t } from "./words.js";

/**
 * @typedef {object} Step one fidelity of a sweep, as nodes/previews.py describes it
 * @property {number} fidelity
 * @property {Record<string, string>} picture
 */

/** The results of a sweep side by side; a click passes the fidelity on. */
export class Strip {
  /**
   * @param {(picture: Record<string, string>) => string} address
   * @param {(fidelity: number) => boolean} use whether there was a node to pass it on to
   */
  constructor(address, use) {
    this.address = address;
    this.use = use;
    this.row = make("div", { class: "codeformer-strip", role: "group" });
    this.row.addEventListener("error", () => this.#forget(), { capture: true });
    this.status = make("div", { role: "status" }, t("stripEmpty"));
    this.element = make("div", { class: "codeformer-column" }, this.row, this.status);
  }

  /** @param {Step[]} steps */
  show(steps) {
    this.row.replaceChildren(...steps.map((step) => this.#button(step)));
    this.status.textContent = "";
  }

  /** The host clears its previews: what a saved workflow showed may be gone. */
  #forget() {
    this.row.replaceChildren();
    this.status.textContent = t("stripEmpty");
  }

  /** @param {Step} step */
  #button({ fidelity, picture }) {
    const value = String(Math.round(fidelity * 100) / 100);
    const label = t("use", { value });
    const image = make("img", { src: this.address(picture), alt: "", draggable: "false" });
    const properties = { type: "button", title: label, "aria-label": label, "data-fidelity": value };
    const button = make("button", properties, image, make("span", {}, value));
    button.addEventListener("click", () => this.#choose(button, fidelity));
    return button;
  }

  /**
   * @param {HTMLElement} chosen
   * @param {number} fidelity
   */
  #choose(chosen, fidelity) {
    const passed = this.use(fidelity);
    this.status.textContent = passed ? "" : t("nowhere");
    for (const button of this.row.children) {
      button.setAttribute("aria-pressed", String(passed && button === chosen));
    }
  }
}
