// @ts-check
/** What our widgets share: a place inside a node, its results, its end. */

/** @typedef {import("@comfyorg/comfyui-frontend-types").ComfyExtension} ComfyExtension */
/** @typedef {Parameters<NonNullable<ComfyExtension["nodeCreated"]>>[0]} BareNode */
/** @typedef {{name: string, type?: string, element?: HTMLElement, value?: any, callback?: Function, serialize?: boolean, hidden?: boolean, visibility?: any, options?: any}} Widget */
/**
 * @typedef {object} HostNode what the host adds to the graph library's nodes
 * @property {(name: string, type: string, element: HTMLElement, options: object) => Widget} addDOMWidget
 * @property {(output: any) => void} [onExecuted]
 * @property {unknown[]} [imgs]
 * @property {boolean} [hideOutputImages]
 */
/** @typedef {BareNode & HostNode} LGraphNode */

const TYPE = "codeformer"; // of the widgets that hold our panels
const MARGIN = 10; // that the canvas leaves around a panel

/** @type {Map<string, WeakRef<HTMLElement>>} what removed nodes showed, by node and widget */
const leftBehind = new Map();

/**
 * Show an element inside a node, in the canvas and in Nodes 2.0. It holds no value of its own.
 * @param {LGraphNode} node
 * @param {string} name of the widget, unique in the node
 * @param {HTMLElement} element
 * @param {number | (() => number)} height least height in pixels; if it changes, it is the only one
 */
export function addPanel(node, name, element, height) {
  element.classList.add("codeformer");
  // Nodes 2.0 asks the element, the canvas asks the widget.
  if (typeof height === "number") element.style.minHeight = `${height}px`;
  // The canvas must not move the node while someone works in here.
  for (const type of ["pointerdown", "dblclick", "contextmenu"]) {
    element.addEventListener(type, (event) => event.stopPropagation());
  }
  // Nor take a key for its own, such as Delete. Shortcuts like Ctrl+Enter are the host's also here.
  element.addEventListener("keydown", (event) => {
    if (!event.ctrlKey && !event.metaKey) event.stopPropagation();
  });
  const widget = node.addDOMWidget(name, TYPE, element, {
    serialize: false,
    hideOnZoom: false,
    ...(typeof height === "number"
      ? { getMinHeight: () => height + 2 * MARGIN }
      : { getMinHeight: height, getMaxHeight: height }),
  });
  widget.serialize = false;
  lifetime(node).addEventListener("abort", () => {
    if (element.isConnected) leftBehind.set(`${node.id} ${name}`, new WeakRef(element));
  });
}

/**
 * The same for an element that takes place only at times.
 * @param {LGraphNode} node
 * @param {string} name
 * @param {HTMLElement} element
 * @param {number} height in pixels, while it is there
 * @returns {(now: boolean) => void} what unfolds and folds it
 */
export function addFoldingPanel(node, name, element, height) {
  let shown = false;
  addPanel(node, name, element, () => (shown ? height : 0));
  return (now) => {
    if (shown === now) return;
    shown = now;
    const [width, least] = node.computeSize();
    node.setSize([Math.max(node.size[0], width), least]);
  };
}

/**
 * Put the panels of a graph that was loaded over another where those of the other still are: of two
 * nodes with one id, Nodes 2.0 goes on to show the first one's element.
 * @param {Iterable<LGraphNode>} nodes
 */
export function takeOver(nodes) {
  for (const node of nodes) {
    for (const { type, name, element } of /** @type {Widget[]} */ (node.widgets ?? [])) {
      const old = leftBehind.get(`${node.id} ${name}`)?.deref();
      if (type === TYPE && element && old?.isConnected) old.replaceWith(element);
    }
  }
  leftBehind.clear();
}

/**
 * Show the panels of a node that was put into a graph without being told so, as the host does where
 * it puts our nodes in the place of missing ones.
 * @param {LGraphNode} node just made
 */
export function noticePlace(node) {
  let told = false;
  const previous = node.onAdded;
  node.onAdded = function (graph) {
    told = true;
    previous?.call(this, graph);
  };
  queueMicrotask(() => {
    if (node.graph && !told) node.onAdded?.(node.graph);
  });
}

/** @type {WeakMap<LGraphNode, (output: any) => void>} */
const receivers = new WeakMap();
/** @type {WeakSet<LGraphNode>} nodes that show a result */
const showing = new WeakSet();

/**
 * Hand the results of a node to a function, after whoever receives them already.
 * @param {LGraphNode} node
 * @param {(output: any) => void} use
 */
export function onResult(node, use) {
  const previous = node.onExecuted;
  node.onExecuted = function (output) {
    previous?.call(this, output);
    showAgain(node, output);
  };
  receivers.set(node, use);
}

/**
 * Keep the host from showing a node's pictures: our panel does.
 * @param {LGraphNode} node
 */
export function hidePictures(node) {
  node.hideOutputImages = true; // Nodes 2.0
  Object.defineProperty(node, "imgs", { get: () => undefined, set() {}, configurable: true }); // canvas
}

/**
 * Hand a node the results it had before, when its workflow comes back to the screen.
 * @param {LGraphNode | null | undefined} node
 * @param {any} output
 */
export function showAgain(node, output) {
  if (!node || !output) return;
  showing.add(node);
  receivers.get(node)?.(output);
}

/**
 * Whether a node would show results and has none yet.
 * @param {LGraphNode} node
 */
export function isWaiting(node) {
  return receivers.has(node) && !showing.has(node);
}

/**
 * A signal that aborts when the node is removed: for listeners, observers and requests.
 * @param {LGraphNode} node
 */
export function lifetime(node) {
  const life = new AbortController();
  const previous = node.onRemoved;
  node.onRemoved = function () {
    previous?.call(this);
    life.abort();
  };
  return life.signal;
}

/**
 * Fold the inputs that the schema calls advanced on the canvas too, where the host leaves them or
 * their place. Nodes 2.0 folds them by itself.
 * @param {LGraphNode} node just made
 * @returns {() => void} what unfolds and folds them
 */
export function foldAdvanced(node) {
  const apply = () => {
    const [, before] = node.computeSize();
    for (const widget of /** @type {Widget[]} */ (node.widgets ?? [])) {
      const linked = node.inputs.some((input) => input.widget?.name === widget.name && input.link != null);
      if (widget.options?.advanced) showOnCanvas(widget, linked || node.showAdvanced === true);
    }
    const [, after] = node.computeSize();
    node.setSize([node.size[0], node.size[1] + after - before]);
  };
  const previous = node.onConfigure;
  node.onConfigure = function (saved) {
    previous?.call(this, saved);
    apply();
    node.setSize(saved.size);
  };
  apply();
  return () => {
    node.showAdvanced = !node.showAdvanced;
    apply();
  };
}

/**
 * @param {Widget} widget
 * @param {boolean} shown
 */
function showOnCanvas(widget, shown) {
  const surfaces = widget.visibility?.surfaces;
  if (surfaces) surfaces.canvas = shown ? "shown" : "never";
  else widget.hidden = !shown; // older frontends: of the canvas alone
}

/**
 * @param {LGraphNode} node
 * @param {string} name
 * @returns {Widget | undefined}
 */
export function findWidget(node, name) {
  /** @type {Widget[]} */
  const widgets = node.widgets ?? [];
  return widgets.find((widget) => widget.name === name);
}

/**
 * Set an ordinary widget as if its user had.
 * @param {LGraphNode} node
 * @param {string} name
 * @param {any} value
 */
export function setWidget(node, name, value) {
  const widget = findWidget(node, name);
  if (!widget || widget.value === value) return;
  widget.value = value;
  widget.callback?.(value);
  node.setDirtyCanvas(true, true);
}

/**
 * Change widgets as one step that the host saves and can undo: a click in a panel tells it nothing.
 * @param {LGraphNode} node
 * @param {() => void} change
 */
export function asOneStep(node, change) {
  node.graph?.canvasAction((canvas) => canvas.emitBeforeChange());
  change();
  node.graph?.canvasAction((canvas) => canvas.emitAfterChange());
}

/**
 * Run a function whenever an ordinary widget changes.
 * @param {LGraphNode} node
 * @param {string} name
 * @param {() => void} use
 */
export function onWidget(node, name, use) {
  const widget = findWidget(node, name);
  if (!widget) return;
  const previous = widget.callback;
  widget.callback = function (/** @type {any[]} */ ...values) {
    const result = previous?.apply(this, values);
    use();
    return result;
  };
}

/**
 * Make an element.
 * @template {keyof HTMLElementTagNameMap} Tag
 * @param {Tag} tag
 * @param {Record<string, any>} [properties] attributes; functions become listeners
 * @param {...(Node | string | null | undefined)} children
 * @returns {HTMLElementTagNameMap[Tag]}
 */
export function make(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (typeof value === "function") element.addEventListener(name, value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value != null) element.setAttribute(name, String(value));
  }
  element.append(...children.filter((child) => child != null));
  return element;
}
