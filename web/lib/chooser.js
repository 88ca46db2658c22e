// @ts-check
import { make } from "./panel.js";
import { t } from "./words.js";

/**
 * @typedef {object} Choice where the chosen numbers are kept
 * @property {() => number[]} chosen numbers
 * @property {(numbers: number[]) => void} choose
 * @property {boolean} emptyIsAll
 */
/** @typedef {Record<"group" | "every" | "missing", import("./words.js").Word>} Words */

/** Buttons with a number each, to be chosen with the pointer or the keys. */
export class Chooser {
  /**
   * @param {Choice} choice
   * @param {Words} words what the buttons are called
   * @param {() => number[] | null} there every number of the last run; null before there was one
   * @param {(chosen: number[]) => void} [onRefresh]
   */
  constructor(choice, words, there, onRefresh) {
    this.choice = choice;
    this.words = words;
    this.there = there;
    this.onRefresh = onRefresh;
    this.group = make("div", { role: "group", "aria-label": t(words.group) });
    this.count = make("span", { "aria-live": "polite" });
    this.missing = make("div", { class: "codeformer-bar", hidden: true });
    this.all = actionButton("all", t("all"), () => this.#chooseAll());
  }

  /**
   * Put other buttons into the group.
   * @param {HTMLButtonElement[]} buttons each with a `data-number`
   */
  show(buttons) {
    this.group.replaceChildren(...buttons);
    this.refresh();
  }

  /** Show the state of the widgets. */
  refresh() {
    const chosen = this.choice.chosen();
    for (const button of this.group.querySelectorAll("button")) {
      const pressed = chosen.includes(Number(button.dataset.number));
      button.setAttribute("aria-pressed", String(pressed));
    }
    this.all.disabled = !this.choice.emptyIsAll && !this.there();
    const all = this.choice.emptyIsAll && chosen.length === 0;
    this.group.classList.toggle("codeformer-all", all);
    this.count.textContent = all ? t(this.words.every) : t("picked", { count: chosen.length });
    this.#showMissing(chosen);
    this.onRefresh?.(chosen);
  }

  /** @param {number[]} numbers */
  choose(numbers) {
    this.choice.choose(numbers);
    this.refresh();
  }

  /**
   * Add a number to the chosen ones or take it away; Shift only adds.
   * @param {number} number
   * @param {MouseEvent} event
   */
  toggle(number, event) {
    const chosen = this.choice.chosen();
    const taken = chosen.includes(number);
    if (taken && event.shiftKey) return;
    this.choose(taken ? chosen.filter((other) => other !== number) : [...chosen, number]);
  }

  /** Buttons that choose all and, where that is something else, none. */
  buttons() {
    const buttons = [this.all];
    if (!this.choice.emptyIsAll) buttons.push(actionButton("none", t("none"), () => this.choose([])));
    return buttons;
  }

  /**
   * Move among the buttons with the arrows, choose all with A and none with Escape.
   * @param {KeyboardEvent} event
   */
  key(event) {
    if (event.ctrlKey || event.metaKey) return;
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    if (step) this.#focusNext(step);
    else if (event.key === "a") this.#chooseAll();
    else if (event.key === "Escape") this.choose([]);
    else return;
    event.preventDefault();
  }

  /** Every number; before there was a run nobody knows them. */
  #chooseAll() {
    const numbers = this.choice.emptyIsAll ? [] : this.there();
    if (numbers) this.choose(numbers);
  }

  /** @param {number} step */
  #focusNext(step) {
    const buttons = [...this.group.querySelectorAll("button")];
    const at = buttons.findIndex((button) => button === document.activeElement);
    buttons[(at + step + buttons.length) % buttons.length]?.focus({ preventScroll: true });
  }

  /** @param {number[]} chosen */
  #showMissing(chosen) {
    const there = this.there();
    const gone = there ? chosen.filter((number) => !there.includes(number)) : [];
    this.missing.hidden = gone.length === 0;
    this.missing.replaceChildren(...gone.map((number) => this.#missingChip(number)));
  }

  /** @param {number} number */
  #missingChip(number) {
    const remove = () => this.choose(this.choice.chosen().filter((other) => other !== number));
    return make(
      "button",
      { type: "button", class: "codeformer-missing", title: t("missingHint"), click: remove },
      t(this.words.missing, { number }),
    );
  }
}

/**
 * @param {string} name
 * @param {string} text
 * @param {() => void} use
 */
export function actionButton(name, text, use) {
  return make("button", { type: "button", "data-do": name, click: use }, text);
}
