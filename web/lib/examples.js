// @ts-check
/** The pictures that our templates load, brought as the host brings those of its own templates. */

const EXAMPLES = new Set([
  "codeformer_old_photo.jpg",
  "codeformer_portrait.jpg",
  "codeformer_two_faces.jpg",
]);

/**
 * Put those of our pictures that a workflow loads among the user's inputs.
 * @param {{nodes?: {type?: string, widgets_values?: any}[]}} workflow as it was saved
 * @param {(path: string, options?: RequestInit) => Promise<Response>} request the host's `fetchApi`
 * @returns {Promise<boolean>} whether one came that was not there
 */
export async function bringExamples(workflow, request) {
  const loading = (workflow.nodes ?? []).filter(({ type }) => type === "LoadImage");
  const names = new Set(loading.map(({ widgets_values }) => widgets_values?.[0]));
  const wanted = [...names].filter((name) => EXAMPLES.has(name));
  if (wanted.length === 0) return false;
  const there = await inputPictures(request);
  const missing = wanted.filter((name) => !there.includes(name));
  await Promise.all(missing.map((name) => upload(name, request)));
  return missing.length > 0;
}

/**
 * The names that Load Image offers.
 * @param {(path: string) => Promise<Response>} request
 * @returns {Promise<string[]>}
 */
async function inputPictures(request) {
  const { LoadImage } = await (await request("/object_info/LoadImage")).json();
  const [values, options] = LoadImage.input.required.image;
  return Array.isArray(values) ? values : options.options;
}

/**
 * @param {string} name
 * @param {(path: string, options?: RequestInit) => Promise<Response>} request
 */
async function upload(name, request) {
  const picture = await fetch(new URL(`../examples/${name}`, import.meta.url));
  const body = new FormData();
  body.append("image", await picture.blob(), name);
  const answer = await request("/upload/image", { method: "POST", body });
  if (!answer.ok) console.error(`CodeFormer: ${name} was not uploaded: HTTP ${answer.status}`);
}
