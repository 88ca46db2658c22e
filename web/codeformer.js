// @ts-check
/** What our nodes show in the browser. Every value lives in an ordinary widget of the node. */
import { app } from "../../scripts/app.js";
import { api } from "../../scripts/api.js";
import { Compare } from "./lib/compare.js";
import { addPanel, lifetime, make, onResult, showAgain } from "./lib/panel.js";
import { loadWords } from "./lib/words.js";

/** @typedef {import("./lib/panel.js").LGraphNode} LGraphNode */

const SHOWN = "codeformer_frames"; // as in nodes/previews.py
const COMPARE_HEIGHT = 260;

/** @param {Record<string, string>} picture */
const address = (picture) => api.apiURL(`/view?${new URLSearchParams(picture)}`);

/** @param {LGraphNode} node */
function addCompare(node) {
  const compare = new Compare(lifetime(node), address);
  addPanel(node, "codeformer_compare", compare.element, COMPARE_HEIGHT);
  onResult(node, (output) => output[SHOWN] && compare.show(output[SHOWN]));
}

/** @type {Record<string, (node: LGraphNode) => void>} */
const PANELS = {
  CodeFormerRestoreImage: addCompare,
};

app.registerExtension({
  name: "codeformer",

  async init() {
    const style = new URL("./codeformer.css", import.meta.url);
    document.head.append(make("link", { rel: "stylesheet", href: style.href }));
    const language = app.extensionManager.setting.get("Comfy.Locale");
    await loadWords((path) => api.fetchApi(path), String(language ?? "en"));
  },

  nodeCreated(node) {
    PANELS[node.comfyClass ?? ""]?.(/** @type {LGraphNode} */ (node));
  },

  /** @param {Record<string, any>} outputs */
  onNodeOutputsUpdated(outputs) {
    for (const [id, output] of Object.entries(outputs)) {
      const node = app.graph.getNodeById(/** @type {any} */ (id));
      showAgain(/** @type {LGraphNode | null} */ (node), output);
    }
  },
});
