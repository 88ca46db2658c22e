// @ts-check
/** Lists in ordinary text widgets: numbers of faces, and one fidelity for each of them. */

/**
 * Read "4-5, 1" as [4, 5, 1], as written and without repeats; what is no number is left out.
 * @param {string} text
 */
export function parseNumbers(text) {
  /** @type {Set<number>} */
  const numbers = new Set();
  for (const [, first, last] of text.matchAll(/(\d{1,6})(?:\s*-\s*(\d{1,6}))?/g)) {
    const end = Math.min(Number(last ?? first), Number(first) + 9999);
    for (let number = Number(first); number <= end; number++) numbers.add(number);
  }
  return [...numbers];
}

/** @param {Iterable<number>} numbers */
export function formatNumbers(numbers) {
  return [...new Set(numbers)].sort((a, b) => a - b).join(", ");
}

/**
 * Read "0.3, 1" as [0.3, 1].
 * @param {string} text
 */
export function parseFidelities(text) {
  const items = text.split(/[\s,;]+/).filter(Boolean);
  return items.map(Number).filter((value) => Number.isFinite(value));
}

/**
 * A list for other faces: a face keeps its value, a new one gets the common value.
 * @param {number[]} values one for each of `before`
 * @param {number[]} before numbers of faces
 * @param {number[]} after
 * @param {number} common
 */
export function realign(values, before, after, common) {
  return after.map((number) => values[before.indexOf(number)] ?? common);
}

/** @param {number[]} values */
export function formatFidelities(values) {
  return values.map((value) => String(Math.round(value * 100) / 100)).join(", ");
}
