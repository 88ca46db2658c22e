// @ts-check
/** What our nodes show in the browser. Every value lives in an ordinary widget of the node. */
import { app } from "../../scripts/app.js";
import { api } from "../../scripts/api.js";
import { NodeChoice, behind, nextWith } from "./lib/choice.js";
import { Compare } from "./lib/compare.js";
import { Download, nameIn } from "./lib/downloads.js";
import { lastResults, nodeNamed } from "./lib/history.js";
import {
  addPanel,
  asOneStep,
  findWidget,
  isWaiting,
  lifetime,
  make,
  onResult,
  onWidget,
  setWidget,
  showAgain,
  takeOver,
} from "./lib/panel.js";
import { Picker } from "./lib/picker.js";
import { Strip } from "./lib/strip.js";
import { loadWords, t } from "./lib/words.js";

/** @typedef {import("./lib/panel.js").LGraphNode} LGraphNode */

// As in nodes/previews.py.
const SHOWN = "codeformer_frames";
const STEPS = "codeformer_strip";
const HEIGHT = 280;
const STRIP_HEIGHT = 140;
const DOWNLOAD_HEIGHT = 76;

const SETTING = {
  fidelity: "CodeFormer.Defaults.Fidelity",
  detector: "CodeFormer.Defaults.Detector",
  ask: "CodeFormer.Downloads.Ask",
};

/** The workflow on the screen. */
const workflow = () => /** @type {import("./lib/history.js").Graph} */ (/** @type {any} */ (app.graph));

/** @param {Record<string, string>} picture */
const address = (picture) => api.apiURL(`/view?${new URLSearchParams(picture)}`);

/**
 * A picker over the faces of a node.
 * @param {LGraphNode} node
 * @param {AbortSignal} life
 * @param {boolean} emptyIsAll
 */
function makePicker(node, life, emptyIsAll) {
  const choice = new NodeChoice(node, emptyIsAll);
  const picker = new Picker(life, address, choice);
  choice.onEdit(() => picker.refresh());
  /** @param {any} output */
  const show = (output) => {
    /** @type {import("./lib/stage.js").FoundFace[]} */
    const faces = output[SHOWN].flatMap((/** @type {any} */ frame) => frame.faces);
    choice.found = faces.map(({ number }) => number);
    choice.taken = faces.filter(({ chosen }) => chosen).map(({ number }) => number);
    picker.show(output[SHOWN]);
  };
  return { picker, show };
}

/** @param {LGraphNode} node */
function addPicker(node) {
  const { picker, show } = makePicker(node, lifetime(node), false);
  addPanel(node, "codeformer_picker", picker.element, HEIGHT);
  onResult(node, (output) => output[SHOWN] && show(output));
}

/** @param {LGraphNode} node */
function addCompareAndPicker(node) {
  const life = lifetime(node);
  const compare = new Compare(life, address);
  const { picker, show } = makePicker(node, life, true);
  const parts = { compare: compare.element, choose: picker.element };
  const tabs = makeTabs(parts);
  addPanel(node, "codeformer_compare", make("div", {}, tabs, ...Object.values(parts)), HEIGHT);
  onResult(node, (output) => {
    if (!output[SHOWN]) return;
    compare.show(output[SHOWN]);
    show(output);
  });
}

/**
 * A sweep's results; a click sets the fidelity of the nodes that restore the same faces.
 * @param {LGraphNode} node
 */
function addStrip(node) {
  const strip = new Strip(address, (fidelity) => {
    const targets = restoringTheSame(node);
    asOneStep(node, () => targets.forEach((target) => setWidget(target, "fidelity", fidelity)));
    return targets.length > 0;
  });
  addPanel(node, "codeformer_strip", strip.element, STRIP_HEIGHT);
  onResult(node, (output) => output[STEPS] && strip.show(output[STEPS]));
}

/**
 * Decode Faces on the codes of a sweep, and Restore Faces on the crops they were made from.
 * @param {LGraphNode} sweep
 */
function restoringTheSame(sweep) {
  const encode = /** @type {LGraphNode | null} */ (sweep.getInputNode(0));
  if (!encode) return [];
  const crop = /** @type {LGraphNode | null} */ (encode.getInputNode(0));
  const beside = crop ? behind(crop) : [];
  const restoring = beside.filter(({ comfyClass }) => comfyClass === "CodeFormerRestoreFaces");
  const decoding = nextWith(encode, "fidelity");
  return decoding ? [decoding, ...restoring] : restoring;
}

/**
 * Buttons that show one of several elements.
 * @param {Record<"compare" | "choose", HTMLElement>} parts
 */
function makeTabs(parts) {
  const names = /** @type {("compare" | "choose")[]} */ (Object.keys(parts));
  const buttons = names.map((name) =>
    make("button", { type: "button", "data-do": name, click: () => open(name) }, t(name)),
  );
  /** @param {"compare" | "choose"} chosen */
  function open(chosen) {
    names.forEach((name, index) => {
      parts[name].hidden = name !== chosen;
      buttons[index].setAttribute("aria-pressed", String(name === chosen));
    });
  }
  open("compare");
  return make("div", { class: "codeformer-bar codeformer-tabs" }, ...buttons);
}

/** @param {LGraphNode} node */
function addDownload(node) {
  let shown = false;
  const chosen = () => String(findWidget(node, "file")?.value ?? "");
  const ask = () => app.extensionManager.setting.get(SETTING.ask) !== false;
  const download = new Download(lifetime(node), (path, options) => api.fetchApi(path, options), chosen, ask, (now) => {
    if (shown === now) return;
    shown = now;
    const [width, height] = node.computeSize();
    node.setSize([Math.max(node.size[0], width), height]);
  });
  const height = () => (shown ? DOWNLOAD_HEIGHT : 0);
  addPanel(node, "codeformer_download", make("div", {}, download.element), height);
  onWidget(node, "file", () => void download.refresh(true));
  // A saved workflow sets its values after the node is made.
  queueMicrotask(() => void download.refresh());
}

/**
 * Start a new node with the user's own default; a saved workflow then sets what it saved.
 * @param {LGraphNode} node
 * @param {string} name of the widget
 * @param {string} setting
 */
function applyDefault(node, name, setting) {
  const value = app.extensionManager.setting.get(setting);
  const values = findWidget(node, name)?.options?.values;
  // A file that is not there yet is listed as a download of it.
  const entry = Array.isArray(values) ? values.find((each) => nameIn(each) === value) : value;
  if (entry != null) setWidget(node, name, entry);
}

/** @type {Record<string, (node: LGraphNode) => void>} */
const PANELS = {
  CodeFormerRestoreImage: addCompareAndPicker,
  CodeFormerSelectFaces: addPicker,
  CodeFormerFidelitySweep: addStrip,
  CodeFormerLoader: addDownload,
  CodeFormerFaceDetectorLoader: addDownload,
  CodeFormerFaceParserLoader: addDownload,
};

const FIDELITY_NODES = new Set([
  "CodeFormerRestoreImage",
  "CodeFormerRestoreFaces",
  "CodeFormerDecodeFaces",
]);

// As in codeformer_core/checkpoints/catalogue.py, behind what names no file.
const DETECTORS = [
  "automatic",
  "dlib",
  "detection_Resnet50_Final.pth",
  "detection_mobilenet0.25_Final.pth",
];

/** @type {any[]} The host's own type knows only the host's ids. */
const SETTINGS = [
  {
    id: SETTING.fidelity,
    name: "Fidelity of new nodes",
    tooltip: "0 gives the best quality, 1 stays closest to the person in the picture.",
    type: "slider",
    attrs: { min: 0, max: 1, step: 0.05 },
    defaultValue: 0.5,
  },
  {
    id: SETTING.detector,
    name: "Detector of new Load Face Detector nodes",
    tooltip: "Automatic takes RetinaFace if its weights are there, else dlib.",
    type: "combo",
    options: DETECTORS,
    defaultValue: "automatic",
  },
  {
    id: SETTING.ask,
    name: "Ask before downloading a model",
    tooltip: "Off: a published file that is not here is fetched as soon as a loader chooses it or a run needs it.",
    type: "boolean",
    defaultValue: true,
  },
];

app.registerExtension({
  name: "codeformer",

  settings: SETTINGS,

  async init() {
    const style = new URL("./codeformer.css", import.meta.url);
    document.head.append(make("link", { rel: "stylesheet", href: style.href }));
    const language = app.extensionManager.setting.get("Comfy.Locale");
    await loadWords((path) => api.fetchApi(path), String(language ?? "en"));
  },

  nodeCreated(node) {
    const ours = /** @type {LGraphNode} */ (node);
    const kind = node.comfyClass ?? "";
    if (FIDELITY_NODES.has(kind)) applyDefault(ours, "fidelity", SETTING.fidelity);
    if (kind === "CodeFormerFaceDetectorLoader") applyDefault(ours, "file", SETTING.detector);
    PANELS[kind]?.(ours);
  },

  /** @param {Record<string, any>} outputs */
  onNodeOutputsUpdated(outputs) {
    for (const [name, output] of Object.entries(outputs)) {
      showAgain(nodeNamed(workflow(), name), output);
    }
  },

  async afterConfigureGraph() {
    takeOver(workflow().nodes);
    // After the page was opened again the frontend itself knows no results.
    const request = (/** @type {string} */ path) => api.fetchApi(path);
    for (const [node, output] of await lastResults(request, workflow(), isWaiting)) {
      if (isWaiting(node)) showAgain(node, output);
    }
  },
});
