// @ts-check
/** What our nodes show in the browser. Every value lives in an ordinary widget of the node. */
import { app } from "../../scripts/app.js";
import { api } from "../../scripts/api.js";
import { ListChoice, NodeChoice, behind, nextWith } from "./lib/choice.js";
import { Compare } from "./lib/compare.js";
import { Download } from "./lib/downloads.js";
import { bringExamples } from "./lib/examples.js";
import { hearDetector } from "./lib/forerunners.js";
import { lastResults, nodeNamed, nodeRunning } from "./lib/history.js";
import { Notes, addNotes } from "./lib/notes.js";
import {
  addFoldingPanel,
  addPanel,
  asOneStep,
  findWidget,
  foldAdvanced,
  hidePictures,
  isWaiting,
  lifetime,
  make,
  noticePlace,
  onResult,
  onWidget,
  setWidget,
  showAgain,
  takeOver,
} from "./lib/panel.js";
import { People } from "./lib/people.js";
import { Picker } from "./lib/picker.js";
import { Strip } from "./lib/strip.js";
import { loadWords, t } from "./lib/words.js";

/** @typedef {import("./lib/panel.js").LGraphNode} LGraphNode */

// As in nodes/previews.py.
const SHOWN = "codeformer_frames";
const STEPS = "codeformer_strip";
const NEWEST = "codeformer_newest"; // as in nodes/host/messages.py
const HEIGHT = 280;
const STRIP_HEIGHT = 140;
const DOWNLOAD_HEIGHT = 76;
const PEOPLE_HEIGHT = 160;

const SETTING = {
  fidelity: "CodeFormer.Defaults.Fidelity",
  ask: "CodeFormer.Downloads.Ask",
};

/** @type {(path: string, options?: RequestInit) => Promise<Response>} */
const request = (path, options) => api.fetchApi(path, options);

/** @param {string} id */
const setting = (id) => app.extensionManager.setting.get(id);

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

/**
 * Show a node's results, and its notes below them, in a panel instead of as the host would.
 * @param {LGraphNode} node
 * @param {string} name of the widget
 * @param {number} height
 * @param {HTMLElement[]} parts
 * @param {(output: any) => void} show
 */
function showIn(node, name, height, parts, show) {
  const notes = new Notes();
  addPanel(node, name, make("div", {}, ...parts, notes.element), height);
  hidePictures(node);
  onResult(node, (output) => {
    notes.show(output);
    show(output);
  });
}

/** @param {LGraphNode} node */
function addPicker(node) {
  const { picker, show } = makePicker(node, lifetime(node), false);
  showIn(node, "codeformer_picker", HEIGHT, [picker.element], (output) => output[SHOWN] && show(output));
}

/** @param {LGraphNode} node */
function addCompareAndPicker(node) {
  const life = lifetime(node);
  const compare = new Compare(life, address);
  const { picker, show } = makePicker(node, life, true);
  const parts = { compare: compare.element, choose: picker.element };
  const tabs = makeTabs(parts);
  tabs.append(foldButton(node));
  showIn(node, "codeformer_compare", HEIGHT, [tabs, ...Object.values(parts)], (output) => {
    if (!output[SHOWN]) return;
    compare.show(output[SHOWN]);
    show(output);
  });
}

/** @param {LGraphNode} node */
function addPeople(node) {
  const choice = new ListChoice(node, "people");
  const people = new People(address, choice);
  choice.onEdit(() => people.refresh());
  people.bar.append(foldButton(node));
  hearNewest(node, (picture) => people.showNewest(picture));
  const show = (/** @type {any} */ output) => output.images && people.show(output.images);
  showIn(node, "codeformer_people", PEOPLE_HEIGHT, [people.element], show);
}

/**
 * Hand what a node has just made to a function, and null when its run breaks off.
 * @param {LGraphNode} node
 * @param {(picture: string | null) => void} use
 */
function hearNewest(node, use) {
  const signal = lifetime(node);
  const hear = (/** @type {CustomEvent} */ { detail }) => {
    if (nodeRunning(workflow(), detail.node) === node) use(detail.picture);
  };
  const ours = /** @type {any} */ (NEWEST); // the host's own type knows only the host's events
  api.addEventListener(ours, hear, { signal });
  for (const type of /** @type {const} */ (["execution_error", "execution_interrupted"])) {
    api.addEventListener(type, () => use(null), { signal });
  }
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
  const show = (/** @type {any} */ output) => output[STEPS] && strip.show(output[STEPS]);
  showIn(node, "codeformer_strip", STRIP_HEIGHT, [strip.element], show);
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
function foldButton(node) {
  const click = foldAdvanced(node);
  return make("button", { type: "button", "data-do": "advanced", click }, t("advanced"));
}

/** @param {LGraphNode} node */
function addDownload(node) {
  const chosen = () => String(findWidget(node, "file")?.value ?? "");
  const ask = () => setting(SETTING.ask) !== false;
  const download = new Download(lifetime(node), request, chosen, ask, (now) => unfold(now));
  const panel = make("div", {}, download.element);
  const unfold = addFoldingPanel(node, "codeformer_download", panel, DOWNLOAD_HEIGHT);
  onWidget(node, "file", () => void download.refresh(true));
  // A saved workflow sets its values after the node is made.
  queueMicrotask(() => void download.refresh());
}

/** @type {Record<string, (node: LGraphNode) => void>} */
const PANELS = {
  CodeFormerRestoreImage: addCompareAndPicker,
  CodeFormerRestoreVideo: addPeople,
  CodeFormerSelectFaces: addPicker,
  CodeFormerFidelitySweep: addStrip,
  CodeFormerLoader: addDownload,
  CodeFormerFaceDetectorLoader: addDownload,
  CodeFormerFaceParserLoader: addDownload,
  CodeFormerCompareRestorers: addNotes,
  CodeFormerDetectFaces: addNotes,
  CodeFormerCropFaces: addNotes,
  CodeFormerRestoreFaces: addNotes,
  CodeFormerPasteFaces: addNotes,
  CodeFormerEncodeFaces: addNotes,
  CodeFormerDecodeFaces: addNotes,
  CodeFormerInpaintFaces: addNotes,
  CodeFormerColorizeFaces: addNotes,
};

const FIDELITY_NODES = new Set([
  "CodeFormerRestoreImage",
  "CodeFormerRestoreVideo",
  "CodeFormerRestoreFaces",
  "CodeFormerDecodeFaces",
]);

/** @type {Record<string, "detector" | "faces">} Where a named detector belongs. */
const NAMED_DETECTORS = { CodeFormerRestoreImage: "detector", CodeFormerCropFaces: "faces" };

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
    await loadWords(request, String(setting("Comfy.Locale") ?? "en"));
  },

  nodeCreated(node) {
    const ours = /** @type {LGraphNode} */ (node);
    const kind = node.comfyClass ?? "";
    // A saved workflow then sets what it saved.
    if (FIDELITY_NODES.has(kind)) setWidget(ours, "fidelity", setting(SETTING.fidelity));
    PANELS[kind]?.(ours);
    if (kind in NAMED_DETECTORS) hearDetector(ours, NAMED_DETECTORS[kind]);
    if (kind in PANELS) noticePlace(ours);
  },

  /** @param {Record<string, any>} outputs */
  onNodeOutputsUpdated(outputs) {
    for (const [name, output] of Object.entries(outputs)) {
      showAgain(nodeNamed(workflow(), name), output);
    }
  },

  /** @param {any} workflow */
  async beforeConfigureGraph(workflow) {
    const brought = await bringExamples(workflow, request);
    // Older frontends have only the loud one of the two.
    if (brought) await (app.reloadNodeDefs ?? app.refreshComboInNodes).call(app);
  },

  async afterConfigureGraph() {
    takeOver(workflow().nodes);
    // After the page was opened again the frontend itself knows no results.
    for (const [node, output] of await lastResults(request, workflow(), isWaiting)) {
      if (isWaiting(node)) showAgain(node, output);
    }
  },
});
