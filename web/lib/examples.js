// @ts-check
/** What our templates load, brought as the host brings that of its own templates. */

const EXAMPLES = new Set([
  "codeformer_clip.mp4",
  "codeformer_gray_photo.jpg",
  "codeformer_old_photo.jpg",
  "codeformer_portrait.jpg",
  "codeformer_scratched_photo.webp",
  "codeformer_two_faces.jpg",
]);

/** @type {Record<string, string>} nodes that load a file, and which of their inputs names it */
const LOADERS = { LoadImage: "image", LoadVideo: "file" };

/**
 * Put those of our files that a workflow loads among the user's inputs.
 * @param {{nodes?: {type?: string, widgets_values?: any}[]}} workflow as it was saved
 * @param {(path: string, options?: RequestInit) => Promise<Response>} request the host's `fetchApi`
 * @returns {Promise<boolean>} whether one came that was not there
 */
export async function bringExamples(workflow, request) {
  /** @type {Map<string, string>} the node that loads each */
  const wanted = new Map();
  for (const { type = "", widgets_values } of workflow.nodes ?? []) {
    const name = widgets_values?.[0];
    if (type in LOADERS && EXAMPLES.has(name)) wanted.set(name, type);
  }
  const there = await Promise.all([...wanted.values()].map((loader) => offered(loader, request)));
  const missing = [...wanted.keys()].filter((name, place) => !there[place].includes(name));
  await Promise.all(missing.map((name) => upload(name, request)));
  return missing.length > 0;
}

/**
 * The names that a loader offers.
 * @param {string} loader
 * @param {(path: string) => Promise<Response>} request
 * @returns {Promise<string[]>}
 */
async function offered(loader, request) {
  const described = await (await request(`/object_info/${loader}`)).json();
  const [values, options] = described[loader].input.required[LOADERS[loader]];
  return Array.isArray(values) ? values : options.options;
}

/**
 * @param {string} name
 * @param {(path: string, options?: RequestInit) => Promise<Response>} request
 */
async function upload(name, request) {
  const file = await fetch(new URL(`../examples/${name}`, import.meta.url));
  const body = new FormData();
  body.append("image", await file.blob(), name);
  const answer = await request("/upload/image", { method: "POST", body });
  if (!answer.ok) console.error(`CodeFormer: ${name} was not uploaded: HTTP ${answer.status}`);
}
