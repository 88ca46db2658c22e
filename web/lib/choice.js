// @ts-check
import { formatFidelities, formatNumbers, parseFidelities, parseNumbers, realign } from "./numbers.js";
import { asOneStep, findWidget, onWidget, setWidget } from "./panel.js";

/** @typedef {import("./panel.js").LGraphNode} LGraphNode */

const PICKED = "picked"; // the widget, and the rule of Select Faces that reads it
const PER_FACE = "per_face";
const SELECT = "CodeFormerSelectFaces"; // its first output is what it chose
const PASTE = "CodeFormerPasteFaces"; // puts the crops back: behind it other faces may be found

/** Chosen numbers, kept in an ordinary widget; an empty list means all. */
export class ListChoice {
  /**
   * @param {LGraphNode} node
   * @param {string} name of the widget
   */
  constructor(node, name) {
    this.node = node;
    this.name = name;
    this.emptyIsAll = true;
  }

  /**
   * Run a function when the user edits the text itself.
   * @param {() => void} use
   */
  onEdit(use) {
    onWidget(this.node, this.name, use);
  }

  chosen() {
    return parseNumbers(String(findWidget(this.node, this.name)?.value ?? ""));
  }

  /** @param {number[]} numbers */
  choose(numbers) {
    asOneStep(this.node, () => setWidget(this.node, this.name, formatNumbers(numbers)));
  }
}

/** The chosen faces of a node, kept in its ordinary widgets. */
export class NodeChoice {
  /**
   * @param {LGraphNode} node with a widget `picked`
   * @param {boolean} emptyIsAll what an empty list means to the node
   */
  constructor(node, emptyIsAll) {
    this.node = node;
    this.emptyIsAll = emptyIsAll;
    /** @type {number[]} numbers of the last run's faces, and of those it chose */
    this.found = [];
    /** @type {number[]} */
    this.taken = [];
  }

  /**
   * Run a function when the user edits the text itself.
   * @param {() => void} use
   */
  onEdit(use) {
    onWidget(this.node, PICKED, use);
    onWidget(this.node, "rule", use);
  }

  /** Numbers: picked ones as they are written, or what another rule chose in the last run. */
  chosen() {
    const rule = findWidget(this.node, "rule");
    if (rule && rule.value !== PICKED) return this.taken;
    return parseNumbers(String(findWidget(this.node, PICKED)?.value ?? ""));
  }

  /** @param {number[]} numbers */
  choose(numbers) {
    asOneStep(this.node, () => this.#choose(numbers));
  }

  /** @param {number[]} numbers */
  #choose(numbers) {
    const target = this.#target();
    const before = target ? this.#listed(target) : [];
    setWidget(this.node, "rule", PICKED);
    setWidget(this.node, PICKED, formatNumbers(numbers));
    if (!target) return;
    const values = this.#values(target);
    if (values.length === 0) return;
    this.#write(target, realign(values, before, this.#listed(target), common(target)));
  }

  hasFidelity() {
    return this.#target() !== null;
  }

  /** @param {number} number */
  fidelity(number) {
    const target = this.#target();
    if (!target) return 0.5;
    return this.#values(target)[this.#listed(target).indexOf(number)] ?? common(target);
  }

  /**
   * @param {number} number
   * @param {number | null} value
   */
  setFidelity(number, value) {
    const target = this.#target();
    if (!target) return;
    const listed = this.#listed(target);
    if (!listed.includes(number)) return;
    const values = realign(this.#values(target), listed, listed, common(target));
    values[listed.indexOf(number)] = value ?? common(target);
    this.#write(target, values);
  }

  /**
   * The faces that the list of fidelities is about, in its order.
   * @param {LGraphNode} target
   */
  #listed(target) {
    const chosen = this.chosen();
    if (this.emptyIsAll && chosen.length === 0) return this.found;
    // This node pairs both lists as they are written; another one gets the crops in their order,
    // without those of faces that are not there.
    if (target === this.node) return chosen;
    const there = this.found.length > 0 ? chosen.filter((n) => this.found.includes(n)) : chosen;
    return there.toSorted((a, b) => a - b);
  }

  /** @param {LGraphNode} target */
  #values(target) {
    return parseFidelities(String(findWidget(target, PER_FACE)?.value ?? ""));
  }

  /**
   * @param {LGraphNode} target
   * @param {number[]} values
   */
  #write(target, values) {
    const same = values.every((value) => value === common(target));
    setWidget(target, PER_FACE, same ? "" : formatFidelities(values));
  }

  /** The node that reads one fidelity a face: this one, or the next behind it. */
  #target() {
    return nextWith(this.node, PER_FACE);
  }
}

/** @param {LGraphNode} node */
function common(node) {
  return Number(findWidget(node, "fidelity")?.value ?? 0.5);
}

/**
 * The nearest node with a widget, from a node along its outputs, that works on the same faces.
 * @param {LGraphNode} start
 * @param {string} name of the widget
 * @returns {LGraphNode | null}
 */
export function nextWith(start, name) {
  const queue = [start];
  const seen = new Set(queue);
  for (let node = queue.shift(); node; node = queue.shift()) {
    if (findWidget(node, name)) return node;
    if (node.comfyClass === PASTE || (node.comfyClass === SELECT && node !== start)) continue;
    for (const next of behind(node)) {
      if (!seen.has(next)) queue.push(next);
      seen.add(next);
    }
  }
  return null;
}

/**
 * The nodes that take what a node gives; of Select Faces, what it chose.
 * @param {LGraphNode} node
 * @returns {LGraphNode[]}
 */
export function behind(node) {
  const outputs = (node.outputs ?? []).slice(0, node.comfyClass === SELECT ? 1 : undefined);
  const nodes = outputs.flatMap((_, slot) => node.getOutputNodes(slot) ?? []);
  return /** @type {LGraphNode[]} */ (nodes);
}
