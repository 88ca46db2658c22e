// @ts-check
/** The words of our widgets: English here, other languages from locales/ by way of the host. */

const ENGLISH = {
  compareEmpty: "Run to compare before and after.",
  compare: "Compare",
  choose: "Choose faces",
  advanced: "More",
  before: "before",
  after: "after",
  divider: "Divider between before and after",
  fit: "Fit",
  oneToOne: "1:1",
  zoomTo: "Zoom to face {number}",
  frame: "Frame {frame} of {frames}",
  pickEmpty: "Run to see the faces here, then click the ones you want.",
  all: "All",
  none: "None",
  largest: "Largest",
  faceDetails: "Face {number}: score {score}, {size} px",
  missing: "Face {number} is missing",
  missingHint: "Not found in the last run. Click to remove it.",
  picked: "{count} picked",
  everyFace: "All faces",
  peopleEmpty: "Run to see everybody here, then click the people you want.",
  nobody: "Nobody was seen.",
  choosePeople: "Choose people",
  person: "Person {number}",
  missingPerson: "Person {number} is missing",
  everybody: "Everybody",
  fidelity: "Fidelity of face {number}",
  asNode: "As the node",
  download: "Download",
  cancel: "Cancel",
  sizeUnknown: "size not stated",
  notHere: "{name} is not on this computer.",
  licence: "Licence: {licence}",
  downloading: "{done} of {total} MB",
  downloaded: "{name} is here.",
  failed: "Not downloaded: {reason}",
  stripEmpty: "Run to see every fidelity, then click the one you want.",
  use: "Use fidelity {value}",
  nowhere: "Connect Decode Faces to the same codes, or Restore Faces to the same crops, to use this fidelity.",
};

/** @typedef {keyof typeof ENGLISH} Word */

/** @type {Partial<Record<Word, string>>} */
let translated = {};

/**
 * Fetch the words of a language; those that are not there stay English.
 * @param {(path: string) => Promise<Response>} request the host's `fetchApi`
 * @param {string} language for example "de"
 */
export async function loadWords(request, language) {
  const answer = await request("/i18n");
  if (!answer.ok) return;
  translated = (await answer.json())[language]?.codeformer ?? {};
}

/**
 * A text in the user's language.
 * @param {Word} word
 * @param {Record<string, string | number>} [values] for the names in braces
 */
export function t(word, values = {}) {
  const text = translated[word] ?? ENGLISH[word];
  return text.replace(/\{(\w+)\}/g, (whole, name) => String(values[name] ?? whole));
}
