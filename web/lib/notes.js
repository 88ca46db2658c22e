// @ts-check
import { addFoldingPanel, make, onResult } from "./panel.js";

/** @typedef {import("./panel.js").LGraphNode} LGraphNode */

// As in nodes/host/messages.py.
const KEY = "codeformer_notes";
const HEIGHT = 92; // four lines and the margins; the rest is scrolled to

/** What a run had to say about its result. */
export class Notes {
  constructor() {
    this.element = make("div", { class: "codeformer-notes", role: "status", hidden: true });
  }

  /**
   * @param {any} output of the node
   * @returns {boolean} whether there is anything
   */
  show(output) {
    /** @type {string[]} */
    const lines = output[KEY] ?? [];
    this.element.replaceChildren(...lines.map((line) => make("div", {}, line)));
    this.element.hidden = lines.length === 0;
    return lines.length > 0;
  }
}

/**
 * Show the notes of a node that has no other panel.
 * @param {LGraphNode} node
 */
export function addNotes(node) {
  const notes = new Notes();
  const unfold = addFoldingPanel(node, "codeformer_notes", make("div", {}, notes.element), HEIGHT);
  onResult(node, (output) => unfold(notes.show(output)));
}
