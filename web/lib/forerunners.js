// @ts-check
/** Detectors that facerestore_cf's nodes name in a widget, where ours have a connection. */
import { setWidget, findWidget } from "./panel.js";

/** @typedef {import("./panel.js").LGraphNode} LGraphNode */

/** @type {Record<string, string>} */
const FILES = {
  retinaface_resnet50: "detection_Resnet50_Final.pth",
  "retinaface_mobile0.25": "detection_mobilenet0.25_Final.pth",
  YOLOv5l: "yolov5l-face.pth",
  YOLOv5n: "yolov5n-face.pth",
};
const APART = 300; // between a node and the one that is put before it

/**
 * Take the name that the host hands to a node it puts in the place of another one, and connect that
 * detector. The host looks for a widget of the name, which is there only while the node is made.
 * @param {LGraphNode} node
 * @param {"detector" | "faces"} input
 */
export function hearDetector(node, input) {
  const ear = /** @type {any} */ ({
    name: input,
    type: "hidden",
    value: "",
    hidden: true,
    serialize: false,
    options: { serialize: false, hidden: true },
    computeSize: () => [0, -4],
    callback: (/** @type {unknown} */ name) => queueMicrotask(() => connect(node, input, String(name))),
  });
  node.widgets = node.widgets ?? [];
  node.widgets.push(ear);
  queueMicrotask(() => {
    const place = node.widgets?.indexOf(ear) ?? -1;
    if (place >= 0) node.widgets?.splice(place, 1);
  });
}

/**
 * @param {LGraphNode} node
 * @param {"detector" | "faces"} input
 * @param {string} name
 */
function connect(node, input, name) {
  if (!(name in FILES) || !node.graph) return;
  const loader = before(node, "CodeFormerFaceDetectorLoader");
  if (!loader) return;
  setWidget(loader, "file", entryOf(loader, name));
  const search = input === "faces" ? before(node, "CodeFormerDetectFaces") : null;
  if (!search) {
    loader.connect(0, node, input);
    return;
  }
  loader.pos[0] -= APART;
  const picture = node.getInputLink(node.findInputSlot("image"));
  if (picture) node.graph.getNodeById(picture.origin_id)?.connect(picture.origin_slot, search, "image");
  loader.connect(0, search, "detector");
  search.connect(search.findOutputSlot("faces"), node, input);
}

/**
 * A new node on the left of another one.
 * @param {LGraphNode} node
 * @param {string} kind
 */
function before(node, kind) {
  const made = /** @type {LGraphNode | null} */ (/** @type {any} */ (window).LiteGraph.createNode(kind));
  if (!made) return null;
  made.pos = [node.pos[0] - APART, node.pos[1]];
  node.graph?.add(made);
  return made;
}

/**
 * The entry of a loader's list that a name means: a file, or its download.
 * @param {LGraphNode} loader
 * @param {string} name
 */
function entryOf(loader, name) {
  const values = findWidget(loader, "file")?.options?.values;
  const entries = Array.isArray(values) ? values.map(String) : [];
  const file = FILES[name];
  return entries.find((entry) => entry === file) ?? entries.find((entry) => entry.startsWith(`download ${file} `)) ?? name;
}
